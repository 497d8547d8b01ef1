package ctr_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
)

// TestInteractionParity: logits, loss and the gradient of every parameter are those of an independent implementation in PyTorch, in
// testdata/interactions/parity.json, which torch_interactions.py beside it writes.
func TestInteractionParity(t *testing.T) {
	var want struct {
		IDs   map[string][]int32
		Dense []float32
		Label []float32
		Cases []struct {
			Model   string
			Options json.RawMessage
			Logits  []float32
			Loss    float64
			Params  map[string]struct{ Value, Gradient []float32 }
		}
	}
	text, err := os.ReadFile("testdata/interactions/parity.json")
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil || len(want.Cases) != 12 {
		t.Fatalf("%d cases, %v", len(want.Cases), err)
	}
	sc := &data.Schema{NumDense: 2, Features: []data.Feature{
		{Name: "n1", Kind: data.Numeric, Table: "n1"},
		{Name: "n2", Kind: data.Numeric, Table: "n2", Column: 1},
		{Name: "a", Kind: data.Categorical, Vocab: 5, Table: "a"},
		{Name: "b", Kind: data.Categorical, Vocab: 6, Table: "b"},
		{Name: "c", Kind: data.Categorical, Vocab: 4, Table: "c"},
	}}
	n := len(want.Label)
	b := data.NewBatch(sc, n)
	b.N = n
	copy(b.Dense, want.Dense)
	copy(b.Label, want.Label)
	for name, ids := range want.IDs {
		copy(b.IDs[name], ids)
	}
	for i, c := range want.Cases {
		t.Run(fmt.Sprintf("%d %s", i, c.Model), func(t *testing.T) {
			m := decoded(t, `{"type": "`+c.Model+`", "hidden_activations": "tanh", `+string(c.Options[1:]))
			p := nn.NewParams(1)
			prog, err := models.Compile(m, p, sc, models.CompileOptions{Batch: n, Train: true, Loss: modeltest.BCE})
			if err != nil {
				t.Fatal(err)
			}
			defer prog.Close()
			if got := len(p.All()); got != len(c.Params) {
				t.Errorf("%d parameters, want %d", got, len(c.Params))
			}
			for _, q := range p.All() {
				if len(c.Params[q.Name].Value) != len(q.Data) {
					t.Fatalf("parameter %s %v, want %d values", q.Name, q.Shape, len(c.Params[q.Name].Value))
				}
				copy(q.Data, c.Params[q.Name].Value)
			}
			loss, err := prog.Run(b, 0)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(loss-c.Loss) > 2e-6 {
				t.Errorf("loss %v, want %v", loss, c.Loss)
			}
			near5(t, "logits", prog.Logits(), c.Logits)
			seen := 0
			for _, g := range prog.Grads() {
				near5(t, g.Param.Name, g.Grad, c.Params[g.Param.Name].Gradient)
				seen++
			}
			for _, g := range prog.RowGrads() {
				d := g.Param.Dim()
				whole := make([]float32, len(g.Param.Data))
				for k, id := range g.IDs {
					copy(whole[int(id)*d:], g.Grad[k*d:(k+1)*d])
				}
				near5(t, g.Param.Name, whole, c.Params[g.Param.Name].Gradient)
				seen++
			}
			if seen != len(c.Params) {
				t.Errorf("%d gradients, want %d", seen, len(c.Params))
			}
		})
	}
}

// decoded returns the model of a config's section.
func decoded(t *testing.T, section string) models.Model {
	t.Helper()
	p := &registry.Problems{}
	m := models.Registry.Decode(registry.Parse([]byte(section), p), p, "model")
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return m
}

// near5 checks values to 1e-5 of the largest one.
func near5(t *testing.T, name string, got, want []float32) {
	t.Helper()
	scale := 0.0
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= 1e-5*scale) {
			t.Errorf("%s[%d] = %v, want %v", name, i, got[i], want[i])
			return
		}
	}
}
