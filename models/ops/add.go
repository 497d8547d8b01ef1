package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// mostTerms bounds the inputs of one op: the time in which Gorgonia finds the type of an op grows with their square.
const mostTerms = 64

// Add is the sum of nodes of one shape, scalars included, added from left to right. The sum of one node is that node. Many nodes are
// added by several ops, to the same bits.
//
// Its backward pass hands dy on as it is.
func Add(xs ...*G.Node) (*G.Node, error) {
	c := checker{op: "add"}
	if len(xs) == 0 {
		c.fail("no inputs")
	}
	for _, x := range xs {
		s := c.any("input", x)
		if c.err == nil && !same(s, xs[0].Shape()) {
			c.fail("inputs are %v and %v, want one shape", xs[0].Shape(), s)
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	if len(xs) == 1 {
		return xs[0], nil
	}
	if len(xs) > mostTerms {
		first, err := Add(xs[:mostTerms]...)
		if err != nil {
			return nil, err
		}
		return Add(append(G.Nodes{first}, xs[mostTerms:]...)...)
	}
	o := newOp("add", xs[0].Shape(), xs...)
	loop := flat(size(o.shape), func(lo, hi int) {
		dst := o.out[lo:hi]
		kernel.AddTo(dst, o.in[0][lo:hi], o.in[1][lo:hi])
		for _, x := range o.in[2:] {
			kernel.Add(dst, x[lo:hi])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		d := make(G.Nodes, len(in))
		for i := range d {
			if need[i] {
				d[i] = dy
			}
		}
		return d, nil
	}
	return o.apply(xs...)
}
