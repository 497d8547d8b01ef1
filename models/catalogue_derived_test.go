package models_test

import (
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/seq"
)

// TestRankOfDerivedTable: a model whose table of items is computed row by row ranks all items by what the rows are now, those that no
// history of the batch has among them.
func TestRankOfDerivedTable(t *testing.T) {
	const vocab, dim = 7, 3
	sc := &data.Schema{Features: []data.Feature{{Name: "history", Kind: data.Sequence, Vocab: vocab, MaxLen: 4, Table: "item"}}}
	m := seq.GRU4Rec{Columns: seq.Columns{Item: "item", History: "history", EmbeddingDim: dim, InitStd: .1}, Output: seq.Output{Output: seq.Items}}
	var from *nn.Param
	derive := func(s *nn.Scope, p *nn.Param) *nn.Derived { // a row is twice that of from
		from = s.Root().Table("from", nn.Table, vocab, dim, nn.Normal(1))
		return &nn.Derived{From: from, Row: func(_ int, from, dst []float32) {
			for i, v := range from {
				dst[i] = 2 * v
			}
		}}
	}
	p := nn.NewParams(1)
	prog, err := models.Compile(m, p, sc, models.CompileOptions{Batch: 1, Derive: derive})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	b := data.NewBatch(sc, 1)
	b.N = 1
	copy(b.IDs["history"], []int32{3, 5})
	clear(from.Data[:dim])
	for range 2 {
		if _, err := prog.Run(b, 0); err != nil {
			t.Fatal(err)
		}
		plain := nn.NewParams(1)
		want, err := models.Compile(m, plain, sc, models.CompileOptions{Batch: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range plain.All() {
			copy(q.Data, p.Get(q.Name).Data)
		}
		for i, v := range from.Data {
			plain.Get("embedding.item.weight").Data[i] = 2 * v
		}
		if _, err := want.Run(b, 0); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(prog.Logits(), want.Logits()) {
			t.Errorf("logits %v, want %v", prog.Logits(), want.Logits())
		}
		if err := want.Close(); err != nil {
			t.Error(err)
		}
		for i := range from.Data[dim:] {
			from.Data[dim+i] += .25 * float32(i)
		}
	}
}
