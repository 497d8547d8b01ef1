package ctr_test

import (
	"math"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
)

// expected is what another implementation gets of a batch from given values of a model's parameters.
type expected struct {
	Logits []float32
	Loss   float64
	Params map[string]struct{ Value, Gradient []float32 }
}

// check compares logits, loss and the gradient of every parameter, to 1e-5 of each tensor's largest value and slack, and the loss to 1e-6.
func (e expected) check(t *testing.T, m models.Model, sc *data.Schema, b *data.Batch, slack float64) {
	t.Helper()
	p := nn.NewParams(1)
	prog, err := models.Compile(m, p, sc, models.CompileOptions{Batch: b.N, Train: true, Loss: modeltest.BCE})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	set := 0
	for _, q := range p.All() {
		if q.Kind == nn.Buffer {
			continue
		}
		if len(e.Params[q.Name].Value) != len(q.Data) {
			t.Fatalf("parameter %s %v, want %d values", q.Name, q.Shape, len(e.Params[q.Name].Value))
		}
		copy(q.Data, e.Params[q.Name].Value)
		set++
	}
	if set != len(e.Params) {
		t.Errorf("%d parameters, want %d", set, len(e.Params))
	}
	loss, err := prog.Run(b, 0)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(loss-e.Loss) > 1e-6*e.Loss {
		t.Errorf("loss %v, want %v", loss, e.Loss)
	}
	closeTo(t, "logits", prog.Logits(), e.Logits, slack)
	seen := 0
	for _, g := range prog.Grads() {
		closeTo(t, g.Param.Name, g.Grad, e.Params[g.Param.Name].Gradient, slack)
		seen++
	}
	for _, g := range prog.RowGrads() {
		d := g.Param.Dim()
		whole := make([]float32, len(g.Param.Data))
		for k, id := range g.IDs {
			copy(whole[int(id)*d:], g.Grad[k*d:(k+1)*d])
		}
		closeTo(t, g.Param.Name, whole, e.Params[g.Param.Name].Gradient, slack)
		seen++
	}
	if seen != len(e.Params) {
		t.Errorf("%d gradients, want %d", seen, len(e.Params))
	}
}

// closeTo compares values with those of double precision, to 1e-5 of the largest and slack.
func closeTo(t *testing.T, name string, got, want []float32, slack float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	scale := 0.0
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= 1e-5*scale+slack) {
			t.Errorf("%s[%d] = %v, want %v", name, i, got[i], want[i])
			return
		}
	}
}
