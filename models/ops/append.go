package ops

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Append puts a row behind the live positions of each sequence: x [R, D] over the positions of B sequences and y [B, D] → [R+B, D],
//
//	z_i = x_i for i < n,  z_n = y,  0 behind it
//
// with n the positions of the sequence up to its last live one; those before it that a mask hides are 0. So an item takes part in the
// attention over a history. A sequence without live positions has the row alone. Padding is not read and takes no gradient.
func Append(x, y *G.Node, t *Tokens) (*G.Node, error) {
	c := checker{op: "append"}
	R, D := c.mat("x", x)
	B := c.tokens("x", R, t)
	c.shape("y", y, "a row for each sequence, as wide as x", B, D)
	if c.err != nil {
		return nil, c.err
	}
	live := room[int]([]*G.Node{x, y}, B)
	each := func(f func(b, n int, mask []float32)) func() {
		return rowParts(B, min(B, parts(R*D)), func(_, lo, hi int) {
			for b := lo; b < hi; b++ {
				f(b, live[b], t.mask(b))
			}
		})
	}
	o := newOp("append", tensor.Shape{R + B, D}, x, y)
	o.form = t
	loop := each(func(b, n int, mask []float32) {
		at, end := t.span(b)
		z := o.out[(at+b)*D : (end+b+1)*D]
		copy(z, o.in[0][at*D:][:n*D])
		for i := range n {
			if !seen(mask, i) {
				clear(z[i*D:][:D])
			}
		}
		copy(z[n*D:], o.in[1][b*D:][:D])
		clear(z[(n+1)*D:])
	})
	o.run = func() error {
		if err := t.live(live); err != nil {
			return err
		}
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dz *G.Node, need []bool) (G.Nodes, error) {
		o := newOp("append/dx", in[0].Shape(), dz, out) // out: only to run after it
		dy := buffer(in, B, D)
		loop := each(func(b, n int, mask []float32) {
			at, end := t.span(b)
			dx, dz := o.out[at*D:end*D], o.in[0][(at+b)*D:][:(n+1)*D]
			clear(dx[copy(dx, dz[:n*D]):])
			for i := range n {
				if !seen(mask, i) {
					clear(dx[i*D:][:D])
				}
			}
			copy(dy[b*D:][:D], dz[n*D:])
		})
		o.run = func() error {
			loop()
			return nil
		}
		first, err := o.apply(dz, out)
		if err != nil {
			return nil, err
		}
		d := make(G.Nodes, 2)
		if need[0] {
			d[0] = first
		}
		if need[1] {
			d[1], err = view("append/dy", in[1].Shape(), dy, first)
		}
		return d, err
	}
	return o.apply(x, y)
}
