package models_test

import (
	"fmt"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// items is a model whose states are the items' vectors.
type items struct{}

func (items) Validate() error { return nil }

func (items) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	in.EmbeddingStd, in.ItemDropout = 1, .5
	x, h := in.Sequence(s, "embedding", 8, "history")
	return in.Rank(s, "embedding", h, x)
}

// TestItemDropout holds that an item lacks the same elements wherever it stands: in a history, as the next item, among those that it is
// compared with, and in a table within the graph. It lacks others at the next step, and none in evaluation.
func TestItemDropout(t *testing.T) {
	const vocab, dim, batch = 9, 8, 6
	sc := &data.Schema{Features: []data.Feature{{Name: "history", Kind: data.Sequence, Vocab: vocab, MaxLen: 4, Table: "item"}}}
	b := data.NewBatch(sc, batch)
	b.N = batch
	for i := range b.IDs["history"] {
		b.IDs["history"][i] = int32(data.FirstID + i%(vocab-data.FirstID))
	}
	for i := range b.Label {
		b.Label[i] = float32(data.FirstID + i%3)
	}
	var before map[string]bool // of the step before, by item and element
	for _, c := range []struct {
		name  string
		step  int64
		whole bool
		own   bool
	}{{"outside", 1, false, true}, {"shared", 1, false, false}, {"inside", 1, true, false}, {"another step", 2, true, false}} {
		var states, next, drawn, table *G.Node
		var ids, after *[]int32
		loss := func(s *nn.Scope, x *G.Node, in *models.Inputs) *G.Node {
			cat := in.Catalogue()
			states, after, table = x, cat.Next(), cat.Items
			if c.whole {
				return s.Check(ops.CatalogueCE(x, table, after, ops.CatalogueOptions{From: data.FirstID}))
			}
			next = cat.Positives(s, in)
			n := cat.Negatives(s, in, models.Negatives{N: 5, By: models.Uniform, Shared: !c.own})
			drawn, ids = n.Embeddings, n.IDs
			return s.Check(ops.SampledSoftmax(x, next, drawn, ops.SampledOptions{
				Target: after, From: data.FirstID, Own: c.own, Packed: c.own, Negative: ids,
			}, ops.LogQ{}))
		}
		prog, err := models.Compile(items{}, nn.NewParams(1), sc, models.CompileOptions{
			Batch: batch, Train: true, Seed: 3, Loss: loss, WholeCatalogue: c.whole,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := prog.Run(b, c.step); err != nil {
			t.Fatal(err)
		}
		gone := map[string]bool{}
		seen := 0
		see := func(where string, x *G.Node, ids []int32) {
			v := opstest.Values(x)
			for i, id := range ids {
				if id < data.FirstID {
					continue
				}
				for j := range dim {
					at := fmt.Sprint(id, j)
					zero := v[i*dim+j] == 0
					if old, ok := gone[at]; ok && old != zero {
						t.Errorf("%s: %s: element %d of item %d: dropped %v, and elsewhere %v", c.name, where, j, id, zero, old)
					}
					gone[at] = zero
					seen++
				}
			}
		}
		see("history", states, b.IDs["history"])
		if c.whole {
			all := make([]int32, vocab)
			for i := range all {
				all[i] = int32(i)
			}
			see("table", table, all)
		} else {
			see("next", next, *after)
			n := 5
			if c.own {
				n *= batch * 4
			}
			see("drawn", drawn, (*ids)[:n])
		}
		dropped := 0
		for _, zero := range gone {
			if zero {
				dropped++
			}
		}
		if len(gone) != (vocab-data.FirstID)*dim || dropped < len(gone)/4 || dropped > 3*len(gone)/4 {
			t.Errorf("%s: %d of %d elements are dropped, want about half of %d", c.name, dropped, len(gone), (vocab-data.FirstID)*dim)
		}
		same := 0
		for at, zero := range gone {
			if before[at] == zero {
				same++
			}
		}
		if all := same == len(gone); before != nil && all != (c.step == 1) {
			t.Errorf("%s: %d of %d elements are as in the run before", c.name, same, len(gone))
		}
		before = gone
		if err := prog.Close(); err != nil {
			t.Error(err)
		}
	}
	p := nn.NewParams(1)
	prog, err := models.Compile(items{}, p, sc, models.CompileOptions{Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if _, err := prog.Run(b, 0); err != nil {
		t.Fatal(err)
	}
	w := p.Get("embedding.item.weight").Data
	row := func(id int32) []float32 { return w[int(id)*dim : int(id+1)*dim] }
	for i := range batch {
		last := b.IDs["history"][4*i+3]
		for id := range int32(vocab) {
			want := 0.0
			for j, v := range row(last) {
				want += float64(v) * float64(row(id)[j])
			}
			if got := float64(prog.Logits()[i*vocab+int(id)]); got-want > 1e-5 || want-got > 1e-5 {
				t.Fatalf("evaluation: item %d after %d has logit %v, want %v", id, last, got, want)
			}
		}
	}
}
