package train

import (
	"fmt"
	"math"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/task"
)

// accumulator is the gradient of an optimizer step. It is that of one batch, or the mean over the rows of several,
//
//	Σ_b n_b·g_b / Σ_b n_b
//
// with the batches' own means g_b and their n_b rows.
type accumulator struct {
	batches int
	rows    int64   // of data
	weight  int64   // rows that the loss counts
	loss    float64 // sum over them
	grads   []models.Grad
	tables  []models.RowGrad
	spare   []models.RowGrad // of the tables, to merge into
}

// weight returns the number of rows, or tokens to predict, that the loss of a batch is the mean of.
func (f *fit) weight(b *data.Batch) int64 {
	if _, ok := f.Task.(task.Classifier); !ok {
		return int64(b.N)
	}
	n := int64(0)
	for _, y := range b.Targets() {
		if y != ops.Ignored {
			n++
		}
	}
	return n
}

// add takes in a batch that prog just ran. A step of one batch takes the program's gradients as they are.
func (a *accumulator) add(prog *models.Program, rows int, weight int64, loss float64, of int) error {
	if a.batches == 0 {
		a.rows, a.weight, a.loss = 0, 0, 0
	}
	a.batches++
	a.rows += int64(rows)
	a.weight += weight
	a.loss += loss * float64(weight)
	if of == 1 {
		a.grads, a.tables = prog.Grads(), prog.RowGrads()
		return nil
	}
	grads, tables := prog.Grads(), prog.RowGrads()
	if a.grads == nil {
		a.grads = make([]models.Grad, len(grads))
		for i, g := range grads {
			a.grads[i] = models.Grad{Param: g.Param, Grad: make([]float32, len(g.Grad))}
		}
		a.tables, a.spare = make([]models.RowGrad, len(tables)), make([]models.RowGrad, len(tables))
		for i, g := range tables {
			a.tables[i].Param, a.spare[i].Param = g.Param, g.Param
		}
	}
	if len(grads) != len(a.grads) || len(tables) != len(a.tables) {
		return fmt.Errorf("a batch has gradients of %d weights and %d tables, one before of %d and %d",
			len(grads), len(tables), len(a.grads), len(a.tables))
	}
	w, first := float32(weight), a.batches == 1
	for i, g := range grads {
		sum := a.grads[i]
		if sum.Param != g.Param {
			return fmt.Errorf("a batch has a gradient of %s, one before of %s in its place", g.Param.Name, sum.Param.Name)
		}
		kernel.Parallel(accumulateParts, func(c int) {
			lo, hi := kernel.Span(len(g.Grad), accumulateParts, c)
			if first {
				kernel.Scale(sum.Grad[lo:hi], g.Grad[lo:hi], w)
			} else {
				kernel.Axpy(sum.Grad[lo:hi], w, g.Grad[lo:hi])
			}
		})
	}
	kernel.Parallel(len(tables), func(i int) {
		if first {
			a.tables[i].IDs, a.tables[i].Grad = a.tables[i].IDs[:0], a.tables[i].Grad[:0]
		}
		merge(&a.spare[i], &a.tables[i], &tables[i], w)
		a.tables[i], a.spare[i] = a.spare[i], a.tables[i]
	})
	return nil
}

// accumulateParts is the number of pieces that a gradient is added in: fixed, though no element depends on it.
const accumulateParts = 16

// merge sets dst to a + w·b, row by row: ids rise in all three.
func merge(dst, a, b *models.RowGrad, w float32) {
	d := b.Param.Dim()
	dst.IDs, dst.Grad = dst.IDs[:0], dst.Grad[:0]
	for i, j := 0, 0; i < len(a.IDs) || j < len(b.IDs); {
		inA := i < len(a.IDs) && (j == len(b.IDs) || a.IDs[i] <= b.IDs[j])
		inB := j < len(b.IDs) && (i == len(a.IDs) || b.IDs[j] <= a.IDs[i])
		at := len(dst.Grad)
		if inA {
			dst.IDs = append(dst.IDs, a.IDs[i])
			dst.Grad = append(dst.Grad, a.Grad[i*d:(i+1)*d]...)
			i++
		}
		if !inB {
			continue
		}
		g := b.Grad[j*d : (j+1)*d]
		if inA {
			kernel.Axpy(dst.Grad[at:], w, g)
		} else {
			dst.IDs = append(dst.IDs, b.IDs[j])
			dst.Grad = append(dst.Grad, g...)
			kernel.Scale(dst.Grad[at:], dst.Grad[at:], w)
		}
		j++
	}
}

// finish turns the sums into the mean.
func (a *accumulator) finish(of int) {
	if of == 1 {
		return
	}
	scale := float32(1 / float64(max(1, a.weight)))
	for _, g := range a.grads {
		kernel.Parallel(accumulateParts, func(c int) {
			lo, hi := kernel.Span(len(g.Grad), accumulateParts, c)
			kernel.Scale(g.Grad[lo:hi], g.Grad[lo:hi], scale)
		})
	}
	for _, t := range a.tables {
		kernel.Scale(t.Grad, t.Grad, scale)
	}
}

// addL1 adds the gradient of l·|w|, l·sign(w), to those of weights, and of the rows of tables that the step has. 0 has none, as in PyTorch.
func (a *accumulator) addL1(embedding, net float64) {
	of := func(p *nn.Param) float32 {
		switch {
		case p.L2 != nil: // it has a prior of its own
			return 0
		case p.Embedding:
			return float32(embedding)
		}
		return float32(net)
	}
	for _, g := range a.grads {
		addSign(g.Grad, g.Param.Data, of(g.Param))
	}
	for _, t := range a.tables {
		d := t.Param.Dim()
		for i, id := range t.IDs {
			addSign(t.Grad[i*d:(i+1)*d], t.Param.Data[int(id)*d:], of(t.Param))
		}
	}
}

// addSign adds l·sign(w) to g.
func addSign(g, w []float32, l float32) {
	if l == 0 {
		return
	}
	for i, v := range w[:len(g)] {
		switch {
		case v > 0:
			g[i] += l
		case v < 0:
			g[i] -= l
		}
	}
}

// normSpan is about the number of values that one piece of a gradient's norm covers: fixed, so that the sum's order is.
const normSpan = 1 << 16

// norm computes the global norm of a step's gradients in a fixed order of summation.
type norm struct {
	pieces []normPiece
	run    func(i int)
	rows   func(name string) []float32 // factors of l2 by a table's row: see optim.Optimizer.SetRowL2; may be nil
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

// of returns sqrt(Σ (g + l2·w)²) over all gradients. whole says that an L2 term covers all rows of a table, not only those
// of the batch.
func (n *norm) of(grads []models.Grad, rows []models.RowGrad, l2 func(*nn.Param) float64, whole bool) float64 {
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
		if n.rows != nil {
			factors = n.rows(rows[i].Param.Name)
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
