package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// Mul is the element-wise product of two nodes of one shape.
//
// Its backward pass is da = dy ⊙ b and db = dy ⊙ a.
func Mul(a, b *G.Node) (*G.Node, error) {
	c := checker{op: "mul"}
	s := c.any("a", a)
	c.shape("b", b, "a and b have one shape", s...)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("mul", s, a, b)
	loop := flat(size(o.shape), func(lo, hi int) { kernel.Mul(o.out[lo:hi], o.in[0][lo:hi], o.in[1][lo:hi]) })
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		var err error
		d := make(G.Nodes, 2)
		for i := range d {
			if need[i] {
				if d[i], err = Mul(dy, in[1-i]); err != nil {
					return nil, err
				}
			}
		}
		return d, nil
	}
	return o.apply(a, b)
}
