package grad

import (
	"math"
	"testing"

	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// TestNorm compares the global norm with a sum over single values: with and without an L2 term, over the rows of the batch
// and over whole tables, and over more values than one piece has.
func TestNorm(t *testing.T) {
	r := rng.New(rng.Key(1, "norm"))
	draw := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	w := &nn.Param{Name: "w", Shape: []int{normSpan + 77, 1}, Data: draw(normSpan + 77)}
	e := &nn.Param{Name: "e", Shape: []int{50_000, 5}, Data: draw(250_000), Kind: nn.Table, Embedding: true}
	row := models.RowGrad{Param: e}
	for id := int32(1); id < 50_000; id += 3 {
		row.IDs = append(row.IDs, id)
	}
	row.Grad = draw(5 * len(row.IDs))
	dense := models.Grad{Param: w, Grad: draw(len(w.Data))}
	for _, l2 := range []float64{0, 0.7} {
		for _, whole := range []bool{false, true} {
			full := make([]float64, len(e.Data))
			touched := make([]bool, len(e.Data))
			for i, id := range row.IDs {
				for k := range 5 {
					full[int(id)*5+k], touched[int(id)*5+k] = float64(row.Grad[i*5+k]), true
				}
			}
			sum := 0.0
			for i, g := range full {
				if whole || touched[i] {
					sum += math.Pow(g+l2*float64(e.Data[i]), 2)
				}
			}
			for i, g := range dense.Grad {
				sum += math.Pow(float64(g)+0.3*float64(w.Data[i]), 2)
			}
			term := func(p *nn.Param) float64 {
				if p.Embedding {
					return l2
				}
				return 0.3
			}
			var n Norm
			got := n.Of([]models.Grad{dense}, []models.RowGrad{row}, term, whole)
			if want := math.Sqrt(sum); math.Abs(got-want) > 1e-5*want {
				t.Errorf("l2 %v, whole tables %v: norm %v, want %v", l2, whole, got, want)
			}
		}
	}
}

// TestNormRowL2: L2 by row counts by row.
func TestNormRowL2(t *testing.T) {
	r := rng.New(rng.Key(2, "norm"))
	const rows, dim, l2 = 40_000, 3, 0.7
	e := &nn.Param{Name: "e", Shape: []int{rows, dim}, Data: make([]float32, rows*dim), Kind: nn.Table, Embedding: true}
	factors := make([]float32, rows)
	for i := range e.Data {
		e.Data[i], factors[i/dim] = float32(r.NormFloat64()), r.Float32()
	}
	row := models.RowGrad{Param: e}
	full := make([]float64, len(e.Data))
	for id := int32(1); id < rows; id += 3 {
		row.IDs = append(row.IDs, id)
		for d := range dim {
			g := float32(r.NormFloat64())
			row.Grad, full[int(id)*dim+d] = append(row.Grad, g), float64(g)
		}
	}
	for _, whole := range []bool{false, true} {
		sum := 0.0
		for i, g := range full {
			if whole || i/dim%3 == 1 {
				sum += math.Pow(g+l2*float64(factors[i/dim])*float64(e.Data[i]), 2)
			}
		}
		n := Norm{Rows: func(string) []float32 { return factors }}
		got := n.Of(nil, []models.RowGrad{row}, func(*nn.Param) float64 { return l2 }, whole)
		if want := math.Sqrt(sum); math.Abs(got-want) > 1e-5*want {
			t.Errorf("whole tables %v: norm %v, want %v", whole, got, want)
		}
	}
}
