package ctr_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
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
			expected
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
			c.check(t, m, sc, b, 0)
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
