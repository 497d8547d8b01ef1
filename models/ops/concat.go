package ops

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Concat puts matrices with equally many rows side by side: [B, K₁], [B, K₂] and so on → [B, K₁+K₂+…]. One matrix is
// returned as it is.
//
// Its backward pass cuts dy into the columns of each input.
func Concat(xs ...*G.Node) (*G.Node, error) {
	c := checker{op: "concat"}
	if len(xs) == 0 {
		c.fail("no inputs")
	}
	B, W := 0, 0
	offsets := make([]int, len(xs))
	for i, x := range xs {
		b, k := c.mat("input", x)
		if i == 0 {
			B = b
		}
		if c.err == nil && b != B {
			c.fail("inputs are %v and %v, want equally many rows", xs[0].Shape(), x.Shape())
		}
		offsets[i] = W
		W += k
	}
	if c.err != nil {
		return nil, c.err
	}
	if len(xs) == 1 {
		return xs[0], nil
	}
	o := newOp("concat", tensor.Shape{B, W}, xs...)
	loop := rowwise(B, W, func(lo, hi int) {
		for i, x := range o.in {
			k := o.size[i] / B
			for r := lo; r < hi; r++ {
				copy(o.out[r*W+offsets[i]:], x[r*k:(r+1)*k])
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		var err error
		d := make(G.Nodes, len(in))
		for i, x := range in {
			if need[i] {
				if d[i], err = copyColumns("concat/dx", dy, offsets[i], x.Shape()[1]); err != nil {
					return nil, err
				}
			}
		}
		return d, nil
	}
	return o.apply(xs...)
}

// Columns returns the columns off..off+k of x, [B, W] → [B, k]. All columns are returned as x itself.
//
// Its backward pass puts dy between columns of zeros.
func Columns(x *G.Node, off, k int) (*G.Node, error) {
	c := checker{op: "columns"}
	B, W := c.mat("x", x)
	if c.err == nil && (off < 0 || k < 1 || off+k > W) {
		c.fail("columns %d to %d of %v", off, off+k, x.Shape())
	}
	if c.err != nil {
		return nil, c.err
	}
	if k == W {
		return x, nil
	}
	return copyColumns("columns", x, off, k, func(_ G.Nodes, _, dy *G.Node, _ []bool) (G.Nodes, error) {
		o := newOp("columns/dx", tensor.Shape{B, W}, dy)
		loop := rowwise(B, W, func(lo, hi int) {
			clear(o.out[lo*W : hi*W])
			for r := lo; r < hi; r++ {
				copy(o.out[r*W+off:], o.in[0][r*k:(r+1)*k])
			}
		})
		o.run = func() error {
			loop()
			return nil
		}
		d, err := o.apply(dy)
		return G.Nodes{d}, err
	})
}

// copyColumns returns a copy of columns off..off+k of x [B, W]: [B, k].
func copyColumns(name string, x *G.Node, off, k int, grad ...backward) (*G.Node, error) {
	B, W := x.Shape()[0], x.Shape()[1]
	o := newOp(name, tensor.Shape{B, k}, x)
	o.form = off
	if len(grad) > 0 {
		o.grad = grad[0]
	}
	loop := rowwise(B, k, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			copy(o.out[r*k:(r+1)*k], o.in[0][r*W+off:])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	return o.apply(x)
}
