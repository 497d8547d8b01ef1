package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// Activate is act(x), element by element, of any shape. With kernel.None it is x itself.
//
// The derivative is taken from the result y: [y > 0], 1 − y², y·(1 − y).
func Activate(x *G.Node, act kernel.Act) (*G.Node, error) {
	c := checker{op: "activate"}
	s := c.any("x", x)
	c.act(act)
	if c.err != nil {
		return nil, c.err
	}
	if act == kernel.None {
		return x, nil
	}
	o := newOp("activate", s, x)
	o.form = act
	loop := flat(size(o.shape), func(lo, hi int) { kernel.Activate(o.out[lo:hi], o.in[0][lo:hi], act) })
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(_ G.Nodes, out, dy *G.Node, _ []bool) (G.Nodes, error) {
		d, err := actGrad(out, dy, act, nil)
		return G.Nodes{d}, err
	}
	return o.apply(x)
}

// block is the number of rows worked on at a time where two loops share rows that the first left in the cache.
const block = 4

// actGrad returns dy·act′ from the result y of the activation. With sums it leaves the sums of the columns there, while
// the rows are in the cache.
func actGrad(y, dy *G.Node, act kernel.Act, sums *partial) (*G.Node, error) {
	s := y.Shape()
	o := newOp("activate/dx", s, y, dy)
	grad := func(lo, hi int) { kernel.ActGrad(o.out[lo:hi], o.in[0][lo:hi], o.in[1][lo:hi], act) }
	loop := flat(size(o.shape), grad)
	if sums != nil {
		C := s[1]
		loop = sums.loop(func(sum []float32, lo, hi int) {
			for r := lo; r < hi; r += block {
				a, z := r*C, min(r+block, hi)*C
				grad(a, z)
				addRows(sum, o.out[a:z])
			}
		})
	}
	o.run = func() error {
		loop()
		return nil
	}
	return o.apply(y, dy)
}
