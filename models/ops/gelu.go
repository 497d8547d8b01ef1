package ops

import (
	"fmt"

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
	o.form = form
	var slope []float32 // [B, C]: the derivative, kept for the backward pass if there is one
	p := min(B, parts(B*C*geluCost))
	spaces := make([]geluBlock, p)
	loop := rowParts(B, p, func(i, lo, hi int) {
		s := &spaces[i]
		s.blocks(o.in, lo, hi, C, func(at int) {
			y, d := o.out[at:at+s.n], s.d(slope, at)
			if form == GELUTanh {
				s.tanh(y, d)
				return
			}
			if d == nil {
				d = s.g[:s.n]
			}
			kernel.GELU(y, d, s.z[:s.n])
		})
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
		if slope == nil {
			slope = buffer(in, B, C)
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
	p := newPartial(in, B, C, C)
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
	g [512]float32 // σ(u), for the tanh form; scratch
}

// d returns the place of the derivatives, nil if there is none.
func (s *geluBlock) d(slope []float32, at int) []float32 {
	if slope == nil {
		return nil
	}
	return slope[at : at+s.n]
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

// tanh sets y to the tanh form of GELU at z, and d to its derivative, if d is not nil.
func (s *geluBlock) tanh(y, d []float32) {
	z, g := s.z[:s.n], s.g[:s.n]
	for i, v := range z {
		g[i] = tanhScale * v * (1 + tanhCubic*v*v)
	}
	kernel.Activate(g, g, kernel.Sigmoid)
	kernel.Mul(y, z, g)
	if d == nil {
		return
	}
	for i, v := range z {
		d[i] = g[i]
		if w := g[i] * (1 - g[i]); w != 0 { // far out, v² may be infinite
			d[i] += v * w * tanhScale * (1 + 3*tanhCubic*v*v)
		}
	}
}
