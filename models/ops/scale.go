package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// Scale is c·x for a constant c and an x of any shape. Its backward pass is c·dy.
func Scale(x *G.Node, c float64) (*G.Node, error) {
	k := checker{op: "scale"}
	s := k.any("x", x)
	if k.err != nil {
		return nil, k.err
	}
	o := newOp("scale", s, x)
	o.form = c
	loop := flat(size(o.shape), func(lo, hi int) { kernel.Scale(o.out[lo:hi], o.in[0][lo:hi], float32(c)) })
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(_ G.Nodes, _, dy *G.Node, _ []bool) (G.Nodes, error) {
		d, err := Scale(dy, c)
		return G.Nodes{d}, err
	}
	return o.apply(x)
}
