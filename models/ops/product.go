package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// product computes c = op(a)·op(b) [m, n] over the inner size k, and then epi(r0, r1) on finished blocks of rows. Where
// one of the sizes is 1 the product is a row of dots, an outer product or a weighted sum of rows: GEMM would spend its
// time packing.
type product struct {
	ta, tb  bool
	m, n, k int
	a, b, c []float32
	epi     func(r0, r1 int)
	special func() // takes the place of GEMM; may be nil

	precision kernel.Precision

	layer     bool               // of a layer: a row has the same bits whatever the number of rows
	constants *Constants         // keeps b in another form if it does not change; may be nil
	columns   *kernel.Transposed // b, from the first run on
}

func newProduct(in []*G.Node, ta, tb bool, m, n, k int, epi func(r0, r1 int)) *product {
	p := &product{ta: ta, tb: tb, m: m, n: n, k: k, epi: epi, precision: precisionOf(in...)}
	finish := func(lo, hi int) {
		if epi != nil {
			epi(lo, hi)
		}
	}
	switch {
	case n == 1 && (!ta || k == 1): // dots of the rows of a with b; also an outer product by one number
		p.special = rowwise(m, k, func(lo, hi int) {
			for r := lo; r < hi; r++ {
				p.c[r] = kernel.Dot(p.a[r*k:(r+1)*k], p.b)
			}
			finish(lo, hi)
		})
	case k == 1: // outer product: both a and b are contiguous whether transposed or not
		p.special = rowwise(m, n, func(lo, hi int) {
			for r := lo; r < hi; r++ {
				kernel.Scale(p.c[r*n:(r+1)*n], p.b, p.a[r])
			}
			finish(lo, hi)
		})
	case ta && !tb && m == 1: // sum of the rows of b weighted by a
		s := newPartial(in, k, n, n)
		loop := s.loop(func(sum []float32, lo, hi int) {
			for r := lo; r < hi; r++ {
				kernel.Axpy(sum, p.a[r], p.b[r*n:(r+1)*n])
			}
		})
		p.special = func() { loop(); s.total(p.c, 0); finish(0, m) }
	case ta && n == 1: // sum of the rows of a weighted by b
		s := newPartial(in, k, m, m)
		loop := s.loop(func(sum []float32, lo, hi int) {
			for r := lo; r < hi; r++ {
				kernel.Axpy(sum, p.b[r], p.a[r*m:(r+1)*m])
			}
		})
		p.special = func() { loop(); s.total(p.c, 0); finish(0, m) }
	}
	return p
}

func (p *product) run(c, a, b []float32) {
	p.a, p.b, p.c = a, b, c
	if p.special != nil {
		p.special()
		return
	}
	if p.constants != nil {
		if p.columns == nil {
			p.columns = p.constants.transposed(p.precision, p.n, p.k, b)
		}
		if p.m > 1 {
			p.columns.TimesRows(p.m, c, a, p.epi)
			return
		}
		p.columns.Times(c, a)
		if p.epi != nil {
			p.epi(0, 1)
		}
		return
	}
	lda, ldb := p.k, p.n
	if p.ta {
		lda = p.m
	}
	if p.tb {
		ldb = p.k
	}
	if p.layer {
		p.precision.GemmRows(p.tb, p.m, p.n, p.k, a, lda, b, ldb, c, p.n, p.epi)
		return
	}
	p.precision.Gemm(p.ta, p.tb, p.m, p.n, p.k, a, lda, b, ldb, c, p.n, false, p.epi)
}

// newLayer returns the product x·wᵀ, [rows, out] of [rows, in] and [out, in]. Weights of a leaf may be kept in another form.
func newLayer(rows, out, in int, w *G.Node, epi func(r0, r1 int)) *product {
	p := newProduct([]*G.Node{w}, false, true, rows, out, in, epi)
	p.layer = true
	if a := arenaOf([]*G.Node{w}); a != nil && w.Op() == nil && (rows == 1 || out <= kernel.WidestKept) && p.special == nil {
		p.constants = a.Constants
	}
	return p
}

// newMap returns the product x·wᵀ, [rows, out] of [rows, in] and [out, in], as Gemm computes it.
func newMap(rows, out, in int, w *G.Node, epi func(r0, r1 int)) *product {
	return newProduct([]*G.Node{w}, false, true, rows, out, in, epi)
}

// matmul returns op(a)·op(b), plus the node plus of the same shape when that is not nil. It is a part of backward
// passes and has no gradient itself.
func matmul(name string, ta, tb bool, a, b, plus *G.Node) (*G.Node, error) {
	m, k, n := a.Shape()[0], a.Shape()[1], b.Shape()[1]
	if ta {
		m, k = k, m
	}
	if tb {
		n = b.Shape()[0]
	}
	in := G.Nodes{a, b}
	var epi func(r0, r1 int)
	if plus != nil {
		in = append(in, plus)
	}
	o := newOp(name, tensor.Shape{m, n}, in...)
	if plus != nil {
		epi = func(r0, r1 int) { kernel.Add(o.out[r0*n:r1*n], o.in[2][r0*n:r1*n]) }
	}
	p := newProduct([]*G.Node{a}, ta, tb, m, n, k, epi)
	o.run = func() error {
		p.run(o.out, o.in[0], o.in[1])
		return nil
	}
	return o.apply(in...)
}

// colSum returns the sums of the columns of x [B, C] as [C]; a part of backward passes.
func colSum(name string, x *G.Node) (*G.Node, error) {
	B, C := x.Shape()[0], x.Shape()[1]
	o := newOp(name, tensor.Shape{C}, x)
	p := newPartial([]*G.Node{x}, B, C, C)
	loop := p.loop(func(sum []float32, lo, hi int) { addRows(sum, o.in[0][lo*C:hi*C]) })
	o.run = func() error {
		loop()
		p.total(o.out, 0)
		return nil
	}
	return o.apply(x)
}

// addRows adds the rows of x, each as long as sum, to sum.
func addRows(sum, x []float32) {
	if len(sum) == 1 {
		sum[0] += kernel.Sum(x)
		return
	}
	kernel.ColSum(sum, x, len(x)/len(sum), len(sum))
}
