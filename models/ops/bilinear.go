package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// bilinearBlock is how many numbers of products exist at a time.
const bilinearBlock = 1 << 20

// Bilinear has weighted sums of the products of all entries of a row of a with all of b, a_r·W_h·b_r + bias_h: a [R, M], b [R, N], w
// [H, M, N], bias [H] → [R, H],
//
//	y_h = Σ_i Σ_j w_hij·a_i·b_j + bias_h
//
// The products [R, M·N] never exist as a whole: they are made for a block of rows at a time, and once more for the gradients.
//
// Its backward pass is, with the products z = a⊗b and dz = dy·w [M, N] of a row: da = dz·b, db = dzᵀ·a, dw = Σ_rows dy⊗z and
// dbias = Σ_rows dy. a and b may be the same node. A row has the same bits in y whatever the number of rows.
func Bilinear(a, b, w, bias *G.Node) (*G.Node, error) {
	c := checker{op: "bilinear"}
	R, M := c.mat("a", a)
	rows, N := c.mat("b", b)
	if c.err == nil && rows != R {
		c.fail("a is %v and b %v, want equally many rows", a.Shape(), b.Shape())
	}
	s := c.any("w", w)
	if c.err == nil && (len(s) != 3 || s[1] != M || s[2] != N) {
		c.fail("w is %v, want [out, %d, %d]", s, M, N)
	}
	if c.err != nil {
		return nil, c.err
	}
	H := s[0]
	c.shape("bias", bias, "each output has a bias", H)
	if c.err != nil {
		return nil, c.err
	}
	in := []*G.Node{a, b, w, bias}
	p := &bilinear{R: R, M: M, N: N, H: H, block: min(R, max(32, bilinearBlock/(M*N))), precision: precisionOf(in...)}
	p.z = room[float32](in, p.block, M*N)
	o := newOp(c.op, tensor.Shape{R, H}, in...)
	fill := p.fill(o)
	finish := rowwise(R, H, func(lo, hi int) { kernel.BiasAct(o.out[lo*H:hi*H], o.in[3], kernel.None) })
	o.run = func() error {
		p.blocks(func(at, n int) {
			fill()
			p.precision.GemmRows(true, n, H, M*N, p.z, M*N, o.in[2], M*N, o.out[at*H:], H, nil)
		})
		finish()
		return nil
	}
	o.grad = p.grad
	return o.apply(in...)
}

// bilinear is what the passes of an op share.
type bilinear struct {
	R, M, N, H int
	block      int // rows at a time
	at, n      int // the first row of the block that is computed, and how many there are
	z          []float32
	precision  kernel.Precision
}

// blocks runs f on each block of rows in turn.
func (p *bilinear) blocks(f func(at, n int)) {
	for p.at = 0; p.at < p.R; p.at += p.block {
		p.n = min(p.block, p.R-p.at)
		f(p.at, p.n)
	}
}

// rows returns a function that runs f on all rows of the current block, with their numbers in it.
func (p *bilinear) rows(f func(k int)) func() {
	return rowwise(p.block, p.M*p.N, func(lo, hi int) {
		for k := lo; k < min(hi, p.n); k++ {
			f(k)
		}
	})
}

// fill returns a function that sets z to the products of the current block, from inputs 0 and 1 of o.
func (p *bilinear) fill(o *op) func() {
	M, N := p.M, p.N
	return p.rows(func(k int) {
		r := p.at + k
		b, z := o.in[1][r*N:(r+1)*N], p.z[k*M*N:(k+1)*M*N]
		for i, v := range o.in[0][r*M : (r+1)*M] {
			kernel.Scale(z[i*N:(i+1)*N], b, v)
		}
	})
}

// grad makes the gradients: one pass over the blocks computes those of a, b and w.
func (p *bilinear) grad(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
	M, N, H := p.M, p.N, p.H
	d := make(G.Nodes, 4)
	var err error
	if need[0] || need[1] || need[2] {
		o := newOp("bilinear/da", in[0].Shape(), in[0], in[1], in[2], dy)
		g := make([][]float32, 4)
		for i := 1; i < 3; i++ {
			if need[i] {
				g[i] = buffer(in, in[i].Shape()...)
			}
		}
		fill := p.fill(o)
		back := p.rows(func(k int) { p.back(o, g[1], k) })
		o.run = func() error {
			p.blocks(func(at, n int) {
				dy := o.in[3][at*H:]
				if g[2] != nil {
					fill()
					p.precision.Gemm(true, false, H, M*N, n, dy, H, p.z, M*N, g[2], M*N, at > 0, nil)
				}
				if need[0] || need[1] {
					p.precision.Gemm(false, false, n, M*N, H, dy, H, o.in[2], M*N, p.z, M*N, false, nil)
					back()
				}
			})
			return nil
		}
		if d, err = withViews(o, in, need, g[:3], in[0], in[1], in[2], dy); err != nil {
			return nil, err
		}
	}
	if need[3] {
		d[3], err = colSum("bilinear/dbias", dy)
	}
	return d, err
}

// back sets the gradients of row k of the block in o.out and in db, if there is one, from z, which holds those of the products.
func (p *bilinear) back(o *op, db []float32, k int) {
	M, N, r := p.M, p.N, p.at+k
	dz := p.z[k*M*N : (k+1)*M*N]
	kernel.DotRows(o.out[r*M:(r+1)*M], o.in[1][r*N:(r+1)*N], dz)
	if db != nil {
		kernel.WeightedRows(db[r*N:(r+1)*N], o.in[0][r*M:(r+1)*M], dz)
	}
}
