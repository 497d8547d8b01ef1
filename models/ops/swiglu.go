package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// SwiGLU is the gated unit silu(a) ⊙ b with silu(a) = a·σ(a), element by element, for a and b of one shape (Shazeer 2020,
// arXiv:2002.05202, section 2).
//
// Its backward pass computes s = σ(a) anew:
//
//	da = dy ⊙ b ⊙ s ⊙ (1 + a ⊙ (1 − s)),  db = dy ⊙ a ⊙ s
func SwiGLU(a, b *G.Node) (*G.Node, error) {
	c := checker{op: "swiglu"}
	s := c.any("a", a)
	c.shape("b", b, "a and b have one shape", s...)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("swiglu", s, a, b)
	loop := flat(size(s), func(lo, hi int) {
		y, a := o.out[lo:hi], o.in[0][lo:hi]
		kernel.Activate(y, a, kernel.Sigmoid)
		kernel.Mul(y, y, a)
		kernel.Mul(y, y, o.in[1][lo:hi])
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = swigluGrad
	return o.apply(a, b)
}

// swigluBlock is the number of elements worked on at a time: they stay in the first-level cache.
const swigluBlock = 512

func swigluGrad(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
	shape := dy.Shape()
	n := size(shape)
	o := newOp("swiglu/da", shape, in[0], in[1], dy)
	var db []float32
	if need[1] {
		db = buffer(in, n)
	}
	p := min(n, parts(n))
	space := room[float32](in, p, 2, swigluBlock)
	loop := rowParts(n, p, func(i, lo, hi int) {
		for ; lo < hi; lo += swigluBlock {
			end := min(lo+swigluBlock, hi)
			a, b, dy, da := o.in[0][lo:end], o.in[1][lo:end], o.in[2][lo:end], o.out[lo:end]
			s := space[2*i*swigluBlock:][:end-lo]
			t := space[(2*i+1)*swigluBlock:][:end-lo]
			kernel.Activate(s, a, kernel.Sigmoid)
			kernel.Mul(t, dy, s)
			if db != nil {
				kernel.Mul(db[lo:end], t, a)
			}
			for j, v := range s {
				s[j] = 1 + float32(a[j]*(1-v))
			}
			kernel.Mul(t, t, b)
			kernel.Mul(da, t, s)
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	first, err := o.apply(in[0], in[1], dy)
	if err != nil {
		return nil, err
	}
	d := make(G.Nodes, 2)
	if need[0] {
		d[0] = first
	}
	if need[1] {
		d[1], err = view("swiglu/db", shape, db, first)
	}
	return d, err
}
