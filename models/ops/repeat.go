package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Repeat puts the row of each sequence at all of its live positions, x [B, D] → [R, D], with zeros at the others: so an item can
// be compared with each one of a history. The gradient of a row is the sum of those of its live positions.
func Repeat(x *G.Node, t *Tokens) (*G.Node, error) {
	c := checker{op: "repeat"}
	B, D := c.mat("x", x)
	if c.err == nil && t == nil {
		c.fail("no tokens to tell the sequences apart")
	}
	if c.err == nil && t.packed() && t.Batch != B {
		c.fail("x has %d rows, want one for each of %d sequences", B, t.Batch)
	}
	if c.err == nil && t.L < 1 {
		c.fail("sequences of %d, want 1 or more", t.L)
	}
	if c.err != nil {
		return nil, c.err
	}
	R, live := t.rows(B), room[int]([]*G.Node{x}, B)
	each := func(f func(b int)) func() {
		return rowParts(B, min(B, parts(R*D)), func(_, lo, hi int) {
			for b := lo; b < hi; b++ {
				f(b)
			}
		})
	}
	o := newOp("repeat", tensor.Shape{R, D}, x)
	o.form = t
	loop := each(func(b int) {
		mask := t.mask(b)
		at, end := t.span(b)
		for i := range end - at {
			y := o.out[(at+i)*D:][:D]
			if i < live[b] && seen(mask, i) {
				copy(y, o.in[0][b*D:])
			} else {
				clear(y)
			}
		}
	})
	o.run = func() error {
		if err := t.live(live); err != nil {
			return err
		}
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, _ []bool) (G.Nodes, error) {
		o := newOp("repeat/dx", in[0].Shape(), dy, out) // out: only to run after it
		loop := each(func(b int) {
			at, mask := t.at(b), t.mask(b)
			dx := o.out[b*D : (b+1)*D]
			clear(dx)
			for i := range live[b] {
				if seen(mask, i) {
					kernel.Add(dx, o.in[0][(at+i)*D:][:D])
				}
			}
		})
		o.run = func() error {
			loop()
			return nil
		}
		d, err := o.apply(dy, out)
		return G.Nodes{d}, err
	}
	return o.apply(x)
}
