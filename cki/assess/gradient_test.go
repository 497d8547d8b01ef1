package assess

import (
	"fmt"
	"math"
	"testing"

	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
)

// The gradients of all gates and assessors are those of the loss: of tables that features share, of pooled and numeric features, of linear
// terms and their bias, of weights. So are they with padding behind the rows.
func TestGateGradients(t *testing.T) {
	model := ctr.DeepFM{EmbeddingDim: 3, Tower: ctr.Tower{HiddenUnits: []int{4}, HiddenActivations: "tanh"}}
	for _, n := range []int{2, 3} {
		for _, tc := range []struct{ perspective, form, granularity, tables string }{
			{"dual", "recommendation", "weight", "row"}, {"local", "language", "unit", "table"}, {"dual", "language", "layer", "row"},
		} {
			m := published(t)
			m.Perspective, m.Form, m.Granularity, m.Tables, m.Bias, m.Start = tc.perspective, tc.form, tc.granularity, tc.tables, true, "zero"
			if tc.tables == "row" {
				m.Start = "counts"
			}
			m.Scale, m.C = 3, 5
			in := mergetest.Input(mergetest.Lab(t, model), mergetest.Parents(t, model, n))
			a, err := m.prepare(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.read(); err != nil {
				t.Fatal(err)
			}
			prog, err := models.Compile(model, a.params, modeltest.Schema(), models.CompileOptions{
				Batch: 14, Train: true, Loss: modeltest.BCE, Reparam: a.reparam, Derive: a.derive, Freeze: a.frozen,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer prog.Close()
			for _, q := range prog.Trained() {
				if !isGate(q.Name) {
					t.Errorf("%s is trained", q.Name)
				}
				r := rng.New(rng.Key(9, q.Name))
				for i := range q.Data {
					if q.Kind != nn.Table || i >= q.Dim() {
						q.Data[i] = float32(r.NormFloat64()) * 0.3
					}
				}
			}
			b := modeltest.Batch(modeltest.Schema(), 11, 14, 8)
			loss := func() float64 {
				v, err := prog.Run(b, 1)
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			loss()
			grads := map[*nn.Param][]float32{}
			for _, g := range prog.Grads() {
				grads[g.Param] = append([]float32(nil), g.Grad...)
			}
			for _, g := range prog.RowGrads() {
				all := make([]float32, len(g.Param.Data))
				for i, id := range g.IDs {
					copy(all[int(id)*g.Param.Dim():], g.Grad[i*g.Param.Dim():(i+1)*g.Param.Dim()])
				}
				grads[g.Param] = all
			}
			if len(grads) != len(prog.Trained()) {
				t.Errorf("gradients of %d parameters, %d are trained", len(grads), len(prog.Trained()))
			}
			for _, q := range prog.Trained() {
				what := fmt.Sprintf("%d parents, %+v, %s", n, tc, q.Name)
				checkGradient(t, what, q, grads[q], loss)
			}
		}
	}
}

func checkGradient(t *testing.T, what string, q *nn.Param, got []float32, loss func() float64) {
	t.Helper()
	const h = 1e-2
	scale := 1e-3
	for _, g := range got {
		scale = max(scale, math.Abs(float64(g)))
	}
	r := rng.New(rng.Key(10, q.Name))
	for range 6 {
		i := r.IntN(len(q.Data))
		if q.Kind == nn.Table && i < q.Dim() {
			continue
		}
		x := q.Data[i]
		at := func(d float32) float64 { q.Data[i] = x + d; return loss() }
		want := (8*(at(h)-at(-h)) - (at(2*h) - at(-2*h))) / (12 * h)
		q.Data[i] = x
		if math.Abs(float64(got[i])-want) > 1e-2*scale+3e-5 {
			t.Errorf("%s: gradient %d is %v, want %v", what, i, got[i], want)
			return
		}
	}
}
