package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// MaskedCross is what a layer of a cross network with a self-mask computes from its linear map (Li et al., "FCN: Fusing Exponential and
// Linear Cross Network for Click-Through Rate Prediction", arXiv:2407.13349, in the form of the authors' code),
//
//	y = x0 ⊙ ([h, h ⊙ max(n, 0)] + b) + x
//
// with h [B, D/2] the linear map and n [B, D/2] its normalised form, or h itself: x0, x [B, D], b [D] → [B, D]. So a linear map to
// half of the width is enough.
//
// Its backward pass is, with m = max(n, 0) and dz = dy ⊙ x0 = [dz₁, dz₂]:
//
//	dx0 = dy ⊙ ([h, h ⊙ m] + b), dx = dy, dh = dz₁ + dz₂ ⊙ m, dn = dz₂ ⊙ h ⊙ [n > 0], db = Σ_rows dz
//
// One pass over the rows computes them all.
func MaskedCross(x0, x, h, n, b *G.Node) (*G.Node, error) {
	c := checker{op: "maskedcross"}
	B, D := c.mat("x", x)
	c.shape("x0", x0, "x0 and x have one shape", B, D)
	if c.err == nil && D%2 != 0 {
		c.fail("x is %v, want an even width", x.Shape())
	}
	c.shape("h", h, "h is half as wide as x", B, D/2)
	c.shape("n", n, "n is half as wide as x", B, D/2)
	c.row("b", b, D)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp(c.op, x.Shape(), x0, x, h, n, b)
	H := D / 2
	loop := rowwise(B, 2*D, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			y := o.out[r*D : (r+1)*D]
			maskedFactor(y, o.in[2][r*H:(r+1)*H], o.in[3][r*H:(r+1)*H], o.in[4])
			kernel.Mul(y, y, o.in[0][r*D:(r+1)*D])
			kernel.Add(y, o.in[1][r*D:(r+1)*D])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = maskedCrossGrad
	return o.apply(x0, x, h, n, b)
}

// maskedFactor sets y to [h, h ⊙ max(n, 0)] + b.
func maskedFactor(y, h, n, b []float32) {
	masked := y[len(h):]
	copy(y, h)
	kernel.Activate(masked, n, kernel.ReLU)
	kernel.Mul(masked, masked, h)
	kernel.Add(y, b)
}

func maskedCrossGrad(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
	B, D := dy.Shape()[0], dy.Shape()[1]
	H := D / 2
	o := newOp("maskedcross/dh", in[2].Shape(), in[0], in[2], in[3], in[4], dy)
	var dx0 []float32
	if need[0] {
		dx0 = room[float32](in, B, D)
	}
	dn := room[float32](in, B, H)
	p := newPartial(in, B, D, 2*D) // db, and a row of scratch
	loop := p.loop(func(sum []float32, lo, hi int) {
		db, dz := sum[:D], sum[D:]
		for r := lo; r < hi; r++ {
			x0, dy := o.in[0][r*D:(r+1)*D], o.in[4][r*D:(r+1)*D]
			h, n := o.in[1][r*H:(r+1)*H], o.in[2][r*H:(r+1)*H]
			dh, dn := o.out[r*H:(r+1)*H], dn[r*H:(r+1)*H]
			if need[0] {
				d := dx0[r*D : (r+1)*D]
				maskedFactor(d, h, n, o.in[3])
				kernel.Mul(d, d, dy)
			}
			kernel.Mul(dz, dy, x0)
			kernel.Add(db, dz)
			kernel.Activate(dn, n, kernel.ReLU)
			kernel.Mul(dh, dn, dz[H:])
			kernel.Add(dh, dz[:H])
			kernel.Mul(dz[H:], dz[H:], h)
			kernel.ActGrad(dn, dn, dz[H:], kernel.ReLU)
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	dh, err := o.apply(in[0], in[2], in[3], in[4], dy)
	if err != nil {
		return nil, err
	}
	d := make(G.Nodes, 5)
	if need[0] {
		if d[0], err = view("maskedcross/dx0", dy.Shape(), dx0, dh); err != nil {
			return nil, err
		}
	}
	if need[1] {
		d[1] = dy
	}
	if need[2] {
		d[2] = dh
	}
	if need[3] {
		if d[3], err = view("maskedcross/dn", in[3].Shape(), dn, dh); err != nil {
			return nil, err
		}
	}
	if need[4] {
		d[4], err = totals("maskedcross/db", p, 0, in[4].Shape(), dh)
	}
	return d, err
}
