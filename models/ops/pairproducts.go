package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// PairProducts has the products of all pairs of vectors, entry by entry, u_i ⊙ v_j for i < j: v [B, F·D] holds F vectors side by side, and u
// [B, (F−1)·D] those before the last one, or [B, P·D] one for each of the P = F·(F−1)/2 pairs → [B, P·D]. Pairs are in the order of
// [InnerPairs].
//
// Its backward pass is du = dy ⊙ v_j, summed over the pairs that read a vector, and dv likewise.
func PairProducts(u, v *G.Node, dim int) (*G.Node, error) {
	c := checker{op: "pairproducts"}
	B, W := c.mat("v", v)
	if c.err == nil && (dim < 1 || W%dim != 0 || W < 2*dim) {
		c.fail("v is %v, want at least 2 vectors of %d", v.Shape(), dim)
	}
	if c.err != nil {
		return nil, c.err
	}
	F, D := W/dim, dim
	p := pairs{F: F, D: D, width: F * (F - 1) / 2 * D}
	rows, uw := c.mat("u", u)
	p.each = uw == p.width
	if c.err == nil && (rows != B || !p.each && uw != W-D) {
		c.fail("u is %v for v %v, want as many rows, of %d columns, or of %d for vectors of all pairs", u.Shape(), v.Shape(), W-D, p.width)
	}
	if c.err != nil {
		return nil, c.err
	}
	o := newOp(c.op, tensor.Shape{B, p.width}, u, v)
	o.form = dim
	loop := rowwise(B, p.width, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			p.forward(o.out[r*p.width:(r+1)*p.width], o.in[0][r*uw:(r+1)*uw], o.in[1][r*W:(r+1)*W])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		d := make(G.Nodes, 2)
		var err error
		if need[0] {
			if d[0], err = p.backward("pairproducts/du", in[0].Shape(), dy, in[1], p.left); err != nil {
				return nil, err
			}
		}
		if need[1] {
			d[1], err = p.backward("pairproducts/dv", in[1].Shape(), dy, in[0], p.right)
		}
		return d, err
	}
	return o.apply(u, v)
}

// pairs says how the vectors of a row are paired: those of u with all behind them in v, so that the pairs of one lie together.
type pairs struct {
	F, D  int
	width int  // of the products
	each  bool // u has a vector for each pair
}

// forward sets y to the products of a row.
func (p pairs) forward(y, u, v []float32) {
	for i, at := 0, 0; i < p.F-1; i++ {
		n, vs := (p.F-1-i)*p.D, v[(i+1)*p.D:]
		if p.each {
			kernel.Mul(y[at:at+n], u[at:], vs)
		}
		for j := 0; j < n && !p.each; j += p.D {
			kernel.Mul(y[at+j:][:p.D], u[i*p.D:], vs[j:])
		}
		at += n
	}
}

// left sets du to the gradient of a row.
func (p pairs) left(du, dy, v []float32) {
	clear(du)
	for i, at := 0, 0; i < p.F-1; i++ {
		n, vs := (p.F-1-i)*p.D, v[(i+1)*p.D:]
		if p.each {
			kernel.Mul(du[at:at+n], dy[at:], vs)
		}
		for j := 0; j < n && !p.each; j += p.D {
			kernel.MulAdd(du[i*p.D:][:p.D], dy[at+j:], vs[j:])
		}
		at += n
	}
}

// right sets dv to the gradient of a row.
func (p pairs) right(dv, dy, u []float32) {
	clear(dv)
	for i, at := 0, 0; i < p.F-1; i++ {
		n, to := (p.F-1-i)*p.D, dv[(i+1)*p.D:]
		if p.each {
			kernel.MulAdd(to[:n], dy[at:], u[at:])
		}
		for j := 0; j < n && !p.each; j += p.D {
			kernel.MulAdd(to[j:j+p.D], dy[at+j:], u[i*p.D:])
		}
		at += n
	}
}

// backward is a gradient of that shape, which grad computes from dy and the other input x, row by row.
func (p pairs) backward(name string, shape tensor.Shape, dy, x *G.Node, grad func(d, dy, x []float32)) (*G.Node, error) {
	B, w, xw := shape[0], shape[1], x.Shape()[1]
	o := newOp(name, shape, dy, x)
	loop := rowwise(B, p.width, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			grad(o.out[r*w:(r+1)*w], o.in[0][r*p.width:(r+1)*p.width], o.in[1][r*xw:(r+1)*xw])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	return o.apply(dy, x)
}
