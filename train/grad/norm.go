package grad

import (
	"math"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// normSpan is about the number of values that one piece of a gradient's norm covers: fixed, so that the sum's order is.
const normSpan = 1 << 16

// Norm computes the global norm of a step's gradients in a fixed order of summation.
type Norm struct {
	pieces []normPiece
	run    func(i int)
	Rows   func(name string) []float32 // factors of l2 by a table's row: see optim.Optimizer.SetRowL2; may be nil
}

// normPiece is a part of Σ (g + l2·w)², expanded: Σg² + 2·l2·Σg·w + l2²·Σw².
type normPiece struct {
	g, w  []float32
	ids   []int32 // the rows of w that g's rows belong to; nil if g and w are aligned
	l2    float64
	cross bool // leave out the last term
	sum   float64

	factors []float32 // of l2, by row of w; nil: 1
	dim     int       // of the rows, if there are factors
}

// Of returns sqrt(Σ (g + l2·w)²) over all gradients. l2 returns the L2 of a parameter, and whole says that an L2 term covers all rows of a table, not only those
// of the batch.
func (n *Norm) Of(grads []models.Grad, rows []models.RowGrad, l2 func(*nn.Param) float64, whole bool) float64 {
	n.pieces = n.pieces[:0]
	for i := range grads {
		g, w, k := grads[i].Grad, grads[i].Param.Data, l2(grads[i].Param)
		for lo := 0; lo < len(g); lo += normSpan {
			hi := min(lo+normSpan, len(g))
			n.pieces = append(n.pieces, normPiece{g: g[lo:hi], w: w[lo:hi], l2: k})
		}
	}
	for i := range rows {
		r, d, w, k := &rows[i], rows[i].Param.Dim(), rows[i].Param.Data, l2(rows[i].Param)
		span := max(1, normSpan/d)
		var factors []float32
		if n.Rows != nil {
			factors = n.Rows(rows[i].Param.Name)
		}
		for lo := 0; lo < len(r.IDs); lo += span {
			hi := min(lo+span, len(r.IDs))
			n.pieces = append(n.pieces, normPiece{g: r.Grad[lo*d : hi*d], w: w, ids: r.IDs[lo:hi], l2: k, cross: whole, factors: factors, dim: d})
		}
		if factors != nil {
			for lo := 0; whole && k != 0 && lo < len(factors); lo += span {
				hi := min(lo+span, len(factors))
				n.pieces = append(n.pieces, normPiece{w: w[lo*d : hi*d], l2: k, factors: factors[lo:hi], dim: d})
			}
			continue
		}
		for lo := 0; whole && k != 0 && lo < len(w); lo += normSpan {
			n.pieces = append(n.pieces, normPiece{w: w[lo:min(lo+normSpan, len(w))], l2: k})
		}
	}
	if n.run == nil {
		n.run = func(i int) { n.pieces[i].compute() }
	}
	kernel.Parallel(len(n.pieces), n.run)
	total := 0.0
	for i := range n.pieces {
		total += n.pieces[i].sum
	}
	return math.Sqrt(total)
}

func (p *normPiece) compute() {
	p.sum = kernel.SumSq(p.g)
	if p.l2 == 0 {
		return
	}
	if p.factors != nil {
		p.byRow()
		return
	}
	gw, ww := 0.0, 0.0
	switch {
	case p.ids != nil:
		d := len(p.g) / len(p.ids)
		for i, id := range p.ids {
			w := p.w[int(id)*d : int(id)*d+d]
			gw += float64(kernel.Dot(p.g[i*d:i*d+d], w))
			if !p.cross {
				ww += kernel.SumSq(w)
			}
		}
	default:
		if p.g != nil {
			gw = float64(kernel.Dot(p.g, p.w))
		}
		ww = kernel.SumSq(p.w)
	}
	p.sum += 2*p.l2*gw + p.l2*p.l2*ww
}

// byRow adds the terms with L2 of rows that have factors.
func (p *normPiece) byRow() {
	d := p.dim
	if p.ids == nil {
		for r, f := range p.factors {
			l2 := p.l2 * float64(f)
			p.sum += l2 * l2 * kernel.SumSq(p.w[r*d:(r+1)*d])
		}
		return
	}
	for i, id := range p.ids {
		w, l2 := p.w[int(id)*d:int(id)*d+d], p.l2*float64(p.factors[id])
		p.sum += 2 * l2 * float64(kernel.Dot(p.g[i*d:i*d+d], w))
		if !p.cross {
			p.sum += l2 * l2 * kernel.SumSq(w)
		}
	}
}
