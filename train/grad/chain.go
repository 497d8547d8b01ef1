package grad

import (
	"fmt"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Chain adds up the gradients of a step's batches one after the other.
type Chain struct {
	Mean
	spare []models.RowGrad // of the tables, to merge into
}

// Add takes in a batch that prog just ran, of a step of so many batches. weight is the number of rows, or tokens, that the loss is the mean
// of. A step of one batch takes the program's gradients as they are.
func (a *Chain) Add(prog *models.Program, rows int, weight int64, loss float64, of int) error {
	if a.Batches == 0 {
		a.Rows, a.Weight, a.Loss = 0, 0, 0
	}
	a.Batches++
	a.Rows += int64(rows)
	a.Weight += weight
	a.Loss += loss * float64(weight)
	if of == 1 {
		a.Grads, a.Tables = prog.Grads(), prog.RowGrads()
		return nil
	}
	grads, tables := prog.Grads(), prog.RowGrads()
	if a.Grads == nil {
		a.Grads = make([]models.Grad, len(grads))
		for i, g := range grads {
			a.Grads[i] = models.Grad{Param: g.Param, Grad: make([]float32, len(g.Grad))}
		}
		a.Tables, a.spare = make([]models.RowGrad, len(tables)), make([]models.RowGrad, len(tables))
		for i, g := range tables {
			a.Tables[i].Param, a.spare[i].Param = g.Param, g.Param
		}
	}
	if len(grads) != len(a.Grads) || len(tables) != len(a.Tables) {
		return fmt.Errorf("a batch has gradients of %d weights and %d tables, one before of %d and %d",
			len(grads), len(tables), len(a.Grads), len(a.Tables))
	}
	w, first := float32(weight), a.Batches == 1
	for i, g := range grads {
		sum := a.Grads[i]
		if sum.Param != g.Param {
			return fmt.Errorf("a batch has a gradient of %s, one before of %s in its place", g.Param.Name, sum.Param.Name)
		}
		kernel.Parallel(parts, func(c int) {
			lo, hi := kernel.Span(len(g.Grad), parts, c)
			if first {
				kernel.Scale(sum.Grad[lo:hi], g.Grad[lo:hi], w)
			} else {
				kernel.Axpy(sum.Grad[lo:hi], w, g.Grad[lo:hi])
			}
		})
	}
	kernel.Parallel(len(tables), func(i int) {
		if first {
			a.Tables[i].IDs, a.Tables[i].Grad = a.Tables[i].IDs[:0], a.Tables[i].Grad[:0]
		}
		merge(&a.spare[i], &a.Tables[i], &tables[i], w)
		a.Tables[i], a.spare[i] = a.spare[i], a.Tables[i]
	})
	return nil
}

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

// Finish turns the sums into the mean.
func (a *Chain) Finish(of int) {
	if of > 1 {
		a.scale()
	}
}
