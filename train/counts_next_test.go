package train_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/seq"
	"github.com/splice-ml/splice/train/task"
)

// TestCountsOfNextItems: an item counts as part of a history, and as what follows a position, whether the table is inside of the graph or
// outside. The unknown item is no next item.
func TestCountsOfNextItems(t *testing.T) {
	const vocab, most, rows = 9, 4, 50
	sc := &data.Schema{Features: []data.Feature{{Name: "history", Kind: data.Sequence, Vocab: vocab, MaxLen: most, Table: "item"}}}
	want := make([]int64, vocab)
	r := rng.New(3)
	var list []data.Row
	for range rows {
		ids := make([]int32, most)
		n := r.IntN(most + 1)
		for i := range ids[:n] {
			ids[i] = int32(data.OOVID + r.IntN(vocab-data.OOVID))
		}
		y := int32(data.FirstID + r.IntN(vocab-data.FirstID))
		for _, id := range ids[:n] {
			want[id]++
		}
		for _, id := range append(slices.Clone(ids[min(n, 1):n]), y) {
			if id >= data.FirstID {
				want[id]++
			}
		}
		list = append(list, data.Row{IDs: map[string][]int32{"history": ids}, Label: float32(y)})
	}
	src, err := data.FromRows(sc, list)
	if err != nil {
		t.Fatal(err)
	}
	d, _ := task.Registry.Default("next_item")
	for _, loss := range []string{"full", "sampled_softmax", "bce"} {
		next := d.(task.NextItem)
		next.Objective, next.Negatives = loss, 3
		tr := trainer(t, t.TempDir())
		tr.Data, tr.Task, tr.Params, tr.Epochs = &data.Splits{Schema: sc, Train: src}, next, nn.NewParams(1), 1
		tr.Model = seq.GRU4Rec{Columns: seq.Columns{Item: "item", History: "history", EmbeddingDim: 4, InitStd: .1}, Output: seq.Output{Output: seq.Items}}
		got, err := tr.Fit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Counts, map[string][]int64{"embedding.item.weight": want}) {
			t.Errorf("%s: counts %v, want %v", loss, got.Counts, want)
		}
	}
}
