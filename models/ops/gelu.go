package ops

import (
	"fmt"
	"math"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// GELUForm is a way to compute the Gaussian error linear unit.
type GELUForm uint8

// The forms. Φ is the distribution function of the normal distribution.
const (
	GELUExact GELUForm = iota // x·Φ(x), Hugging Face's "gelu"
	GELUTanh                  // x·½·(1 + tanh(√(2/π)·(x + 0.044715·x³))), Hugging Face's "gelu_new" and "gelu_pytorch_tanh"
)

// String returns the name used in configs: exact, tanh.
func (f GELUForm) String() string {
	switch f {
	case GELUExact:
		return "exact"
	case GELUTanh:
		return "tanh"
	}
	return fmt.Sprintf("ops.GELUForm(%d)", uint8(f))
}

// GELU is the Gaussian error linear unit (Hendrycks & Gimpel 2016) of x + b, element by element: x [B, C], b [C] or nil →
// [B, C]. With b it is the end of a [Linear] layer that has no bias itself. The absolute error is at most
// 1e-7·(1 + |x + b|).
//
// Its backward pass is, with z = x + b and φ the density of the normal distribution, dx = dy·(Φ(z) + z·φ(z)), or for the
// tanh form, z·σ(u) with u = 2·√(2/π)·(z + 0.044715·z³), dx = dy·(σ(u) + z·σ(u)·(1 − σ(u))·u′); and db = Σ_rows dx.
func GELU(x, b *G.Node, form GELUForm) (*G.Node, error) {
	c := checker{op: "gelu"}
	B, C := c.mat("x", x)
	in := G.Nodes{x}
	if b != nil {
		c.row("b", b, C)
		in = append(in, b)
	}
	if form > GELUTanh {
		c.fail("unknown form %v", form)
	}
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("gelu", x.Shape(), in...)
	var slope []float32 // [B, C]: the derivative, kept for the backward pass if there is one
	p := min(B, parts(B*C*geluCost))
	spaces := make([]geluBlock, p)
	loop := rowParts(B, p, func(i, lo, hi int) {
		s := &spaces[i]
		s.blocks(o.in, lo, hi, C, func(at int) {
			s.gate(form)
			kernel.Mul(o.out[at:at+s.n], s.z[:s.n], s.g[:s.n])
			if slope != nil {
				s.slope(slope[at:at+s.n], form)
			}
		})
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
		if slope == nil {
			slope = buffer(B*C, in)
		}
		return geluGrad(in, out, dy, need, slope)
	}
	return o.apply(in...)
}

// geluCost is about how many additions an element takes.
const geluCost = 8

func geluGrad(in G.Nodes, out, dy *G.Node, need []bool, slope []float32) (G.Nodes, error) {
	B, C := dy.Shape()[0], dy.Shape()[1]
	o := newOp("gelu/dx", dy.Shape(), dy, out) // out: only to run after it
	p := newPartial(B, C, C)
	bias := len(in) == 2 && need[1]
	loop := p.loop(func(sum []float32, lo, hi int) {
		dx := o.out[lo*C : hi*C]
		kernel.Mul(dx, o.in[0][lo*C:hi*C], slope[lo*C:hi*C])
		if bias {
			addRows(sum, dx)
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	dx, err := o.apply(dy, out)
	if err != nil {
		return nil, err
	}
	d := make(G.Nodes, len(in))
	if need[0] {
		d[0] = dx
	}
	if bias {
		d[1], err = totals("gelu/db", p, 0, []int{C}, dx)
	}
	return d, err
}

// geluBlock is the workspace of up to 512 elements: they stay in the first-level cache.
type geluBlock struct {
	n int
	z [512]float32 // x + b
	g [512]float32 // the gate: Φ(z) or σ(u)
	e [512]float32 // exp(−z²/2), for the exact form
	t [512]float32 // scratch
	h [512]float32
}

// blocks calls f for blocks of rows lo..hi with the place of the block; blocks lie within a row if there is a bias. in is
// x and perhaps b.
func (s *geluBlock) blocks(in [][]float32, lo, hi, cols int, f func(at int)) {
	if len(in) == 1 {
		for at := lo * cols; at < hi*cols; at += s.n {
			s.n = min(len(s.z), hi*cols-at)
			copy(s.z[:s.n], in[0][at:])
			f(at)
		}
		return
	}
	for r := lo; r < hi; r++ {
		for col := 0; col < cols; col += s.n {
			s.n = min(len(s.z), cols-col)
			at := r*cols + col
			kernel.AddTo(s.z[:s.n], in[0][at:], in[1][col:])
			f(at)
		}
	}
}

const (
	tanhScale = 1.5957691216057308 // 2·√(2/π)
	tanhCubic = 0.044715
)

// erfcx holds the coefficients c_0 … c_7 of
//
//	½·erfc(a)·exp(a²) ≈ c_0·t + … + c_7·t⁸, t = 1/(1 + 0.42·a)
//
// the polynomial through the eight Chebyshev points of t for a in [0, 6.5]. Its relative error is at most 9e-8 there;
// beyond, Φ(−√2·a) is less than 1e-19.
var erfcx = [8]float32{
	0.1183534367, 0.1206131651, 0.09263607027, 0.1489422173, -0.09125107928, 0.2472109161, -0.1750830927, 0.03857838821,
}

// gate sets g, and e for the exact form: there it is Φ(z) = ½·erfc(−z/√2), by erfcx.
func (s *geluBlock) gate(form GELUForm) {
	z := s.z[:s.n]
	n := len(z)
	g, e, t, h := s.g[:n], s.e[:n], s.t[:n], s.h[:n]
	if form == GELUTanh {
		for i, v := range z {
			g[i] = tanhScale * v * (1 + tanhCubic*v*v)
		}
		kernel.Activate(g, g, kernel.Sigmoid)
		return
	}
	kernel.Mul(e, z, z)
	kernel.Scale(e, e, -0.5)
	kernel.Exp(e, e)
	for i, v := range z {
		a := math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
		t[i] = 1 / (1 + 0.42/math.Sqrt2*a)
	}
	kernel.Fill(h, erfcx[7])
	for k := 6; k >= 0; k-- {
		kernel.Fill(g, erfcx[k])
		kernel.MulAdd(g, h, t)
		g, h = h, g
	}
	kernel.Mul(h, h, t)
	kernel.Mul(h, h, e)
	gate := s.g[:n] // h is one of g and s.h
	for i, v := range z {
		neg := uint32(int32(math.Float32bits(v)) >> 31) // no branch: signs are random
		gate[i] = math.Float32frombits(math.Float32bits(h[i])&neg | math.Float32bits(1-h[i])&^neg)
	}
}

// slope sets d to the derivative of GELU at z.
func (s *geluBlock) slope(d []float32, form GELUForm) {
	z := s.z[:s.n]
	n := len(z)
	g, e := s.g[:n], s.e[:n]
	d = d[:n]
	if form == GELUTanh {
		for i, v := range z {
			d[i] = g[i]
			if w := g[i] * (1 - g[i]); w != 0 { // far out, v² may be infinite
				d[i] += v * w * tanhScale * (1 + 3*tanhCubic*v*v)
			}
		}
		return
	}
	kernel.Scale(d, z, 0.3989422804014327) // 1/√(2π)
	kernel.Mul(d, d, e)
	kernel.Add(d, g)
}
