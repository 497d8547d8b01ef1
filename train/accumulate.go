package train

import (
	"fmt"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
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
