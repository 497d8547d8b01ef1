package task_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/seq"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/task"
)

// TestNextItemModels runs the conformance suite over the models that predict next items, with every loss.
func TestNextItemModels(t *testing.T) {
	columns := seq.Columns{Item: "item", History: "history", EmbeddingDim: 6, InitStd: .1}
	sasrec := seq.SASRec{Columns: columns, Transformer: seq.Transformer{NumBlocks: 1, NumHeads: 2, Dropout: .1}, Output: seq.Output{Output: seq.Items}}
	esasrec := seq.ESASRec{Columns: columns, LiGR: seq.LiGR{NumBlocks: 2, NumHeads: 2, Dropout: .1}, Output: seq.Output{Output: seq.Items}}
	gru := seq.GRU4Rec{Columns: columns, HiddenSize: 5, Output: seq.Output{Output: seq.Items}}
	for _, loss := range []task.NextItem{
		{Objective: "full"},
		{Objective: "sampled_softmax", Negatives: 7, Shared: true},
		{Objective: "sampled_softmax", Negatives: 3},
		{Objective: "bce", Negatives: 1},
		{Objective: "gbce", Negatives: 4, Calibration: .75},
		{Objective: "bpr", Negatives: 2},
		{Objective: "sampled_softmax", Negatives: 7, Shared: true, NegativesBy: "popularity", Exponent: .75, LogQ: true},
		{Objective: "sampled_softmax", Negatives: 3, NegativesBy: "batch", LogQ: true},
	} {
		name := loss.Objective
		if loss.Shared {
			name += " shared"
		}
		if loss.NegativesBy != "" {
			name += " by " + loss.NegativesBy
		}
		t.Run("sasrec/"+name, func(t *testing.T) { modeltest.CheckNext(t, sasrec, loss.Loss, loss.WholeCatalogue()) })
		if name == "full" || name == "sampled_softmax shared" {
			for _, merge := range []string{"add", "concat"} {
				side := sasrec
				side.Side, side.SideMerge = []string{"category"}, merge
				t.Run("sasrec side "+merge+"/"+name, func(t *testing.T) { modeltest.CheckNextSide(t, side, loss.Loss, loss.WholeCatalogue()) })
			}
			dropped := sasrec
			dropped.ItemDropout, dropped.EmbeddingScale = .2, 1
			t.Run("sasrec of dropped items/"+name, func(t *testing.T) { modeltest.CheckNext(t, dropped, loss.Loss, loss.WholeCatalogue()) })
			t.Run("esasrec/"+name, func(t *testing.T) { modeltest.CheckNext(t, esasrec, loss.Loss, loss.WholeCatalogue()) })
			t.Run("gru4rec/"+name, func(t *testing.T) { modeltest.CheckNext(t, gru, loss.Loss, loss.WholeCatalogue()) })
		}
	}
}

// TestRank ranks all items by hand: ties, items that were had, items that are none, and a label that the model does not know.
func TestRank(t *testing.T) {
	z := func() []float32 { return []float32{9, 9, 1, 3, 3, 2} } // ids 0 and 1 are no items
	for _, c := range []struct {
		name  string
		seen  string
		had   []int32
		label float32
		want  metric.Place
		top   []float32
	}{
		{"best of two", "include", nil, 3, metric.Place{Above: 0, Level: 1}, []float32{3, 4}},
		{"last", "include", nil, 2, metric.Place{Above: 3, Level: 0}, []float32{3, 4}},
		{"had", "exclude", []int32{4, 4, 1}, 5, metric.Place{Above: 1, Level: 0}, []float32{3, 5}},
		{"had but included", "include", []int32{4}, 5, metric.Place{Above: 2, Level: 0}, []float32{3, 4}},
		{"the label was had", "exclude", []int32{5, 3, 4}, 5, metric.Place{Above: 0, Level: 0}, []float32{5, 2}},
		{"unknown", "include", nil, 1, metric.Place{Above: 6, Level: 0}, []float32{3, 4}},
	} {
		d := task.NextItem{Seen: c.seen, MetricNames: []string{"hr@1", "coverage@2", "item_cross_entropy"}}
		b := &data.Batch{N: 1, Size: 2, Label: []float32{c.label, 0}, Seen: [][]int32{c.had, nil}}
		got, labels := d.Ranker(0).Rank(z(), b)
		if got[0] != float32(c.want.Above) || got[1] != float32(c.want.Level) || labels[0] != c.label || !slices.Equal(got[3:], c.top) {
			t.Errorf("%s: %v, want %+v and the top %v", c.name, got, c.want, c.top)
		}
		if c.name == "last" {
			want := math.Log(math.Exp(1)+2*math.Exp(3)+math.Exp(2)) - 1
			if math.Abs(float64(got[2])-want) > 1e-6 {
				t.Errorf("cross-entropy %v, want %v", got[2], want)
			}
		}
	}
}

// TestPlaces compares the place of an item with what its definition says, over scores of any sign and size.
func TestPlaces(t *testing.T) {
	inf, tiny := float32(math.Inf(1)), float32(math.SmallestNonzeroFloat32)
	negative := float32(math.Copysign(0, -1))
	values := []float32{-inf, -math.MaxFloat32, -1, -tiny, negative, 0, tiny, 2 * tiny, 1, math.Nextafter32(1, 2), math.MaxFloat32}
	r := rand.New(rand.NewPCG(1, 2))
	d := task.NextItem{Seen: "include", MetricNames: []string{"hr@1"}}
	for range 300 {
		z := make([]float32, 2+1+r.IntN(40))
		for i := range z {
			z[i] = values[r.IntN(len(values))]
		}
		y := 2 + r.IntN(len(z)-2)
		if z[y] < -math.MaxFloat32 {
			z[y] = values[1+r.IntN(len(values)-1)]
		}
		want := metric.Place{Level: -1}
		for _, v := range z[2:] {
			if v > z[y] {
				want.Above++
			} else if v == z[y] {
				want.Level++
			}
		}
		scores := slices.Clone(z)
		got, _ := d.Ranker(0).Rank(z, &data.Batch{N: 1, Size: 1, Label: []float32{float32(y)}})
		if int(got[0]) != want.Above || int(got[1]) != want.Level {
			t.Fatalf("item %d of %v is at %v, want %+v", y, scores, got, want)
		}
	}
}

// TestCandidates ranks items among some that are drawn: never those that the user had, nor the label's, and the same in each evaluation
// whatever the size of the batches.
func TestCandidates(t *testing.T) {
	const items, rows, n = 40, 60, 5
	d := task.NextItem{Seen: "include", MetricNames: []string{"coverage@39"}}
	had := []int32{2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	ranked := func(size int) (out [][]float32) {
		r := d.Ranker(n)
		for lo := 0; lo < rows; lo += size {
			b := &data.Batch{N: min(size, rows-lo), Size: size, Label: make([]float32, size), Seen: make([][]int32, size)}
			z := make([]float32, b.N*(items+2))
			for i := range b.N {
				b.Label[i], b.Seen[i] = float32(10+(lo+i)%30), had
				for id := range items + 2 {
					z[i*(items+2)+id] = float32(id)
				}
			}
			got, _ := r.Rank(z, b)
			for i := range b.N {
				per := len(got) / b.N
				out = append(out, append(slices.Clone(got[i*per:(i+1)*per]), b.Label[i]))
			}
		}
		return out
	}
	want, drawn := ranked(rows), map[float32]bool{}
	for i, row := range want {
		label, top := row[len(row)-1], row[metric.RankWidth:len(row)-1]
		above := 0
		for k, id := range top[:n+1] {
			if id > label {
				above++
			}
			if id != label && (slices.Contains(had, int32(id)) || id < data.FirstID) || k > 0 && id >= top[k-1] {
				t.Fatalf("row %d, whose item is %v, is ranked among %v", i, label, top)
			}
			drawn[id] = true
		}
		if top[n+1] != 0 || int(row[0]) != above || row[1] != 0 || !slices.Contains(top[:n+1], label) {
			t.Errorf("row %d: %v", i, row)
		}
	}
	if len(drawn) < 28 {
		t.Errorf("%d items were drawn", len(drawn))
	}
	for _, size := range []int{7, 60} {
		for i, row := range ranked(size) {
			if !slices.Equal(row[metric.RankWidth:], want[i][metric.RankWidth:]) {
				t.Errorf("in batches of %d row %d is ranked among %v, want %v", size, i, row, want[i])
			}
		}
	}
}

func TestProtocol(t *testing.T) {
	for _, c := range []struct {
		seen              string
		items, candidates int
		want              string
	}{
		{"exclude", 54542, 0, "all 54,542 items, without those that the user had"},
		{"include", 999, 0, "all 999 items"},
		{"include", 1234567, 0, "all 1,234,567 items"},
		{"exclude", 54542, 99, "1 + 99 sampled candidates a user"},
	} {
		if got := (task.NextItem{Seen: c.seen}).Protocol(c.items, c.candidates); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// TestConstantScorer holds that a model which scores all items the same has the value of chance.
func TestConstantScorer(t *testing.T) {
	const items, rows = 102, 10
	d := task.NextItem{Seen: "include", MetricNames: []string{"hr@10", "recall@10", "mrr@100", "ndcg@1"}}
	b := &data.Batch{N: rows, Size: rows, Label: make([]float32, rows)}
	for i := range b.Label {
		b.Label[i] = float32(2 + 7*i)
	}
	z, labels := d.Ranker(0).Rank(make([]float32, rows*items), b)
	harmonic := 0.0
	for i := range 100 {
		harmonic += 1 / float64(i+1)
	}
	for name, want := range map[string]float64{"hr@10": .1, "hr@10_pessimistic": 0, "hr@100_pessimistic": 1, "ndcg@100_pessimistic": 1 / math.Log2(101), "recall@10": .1, "mrr@100": harmonic / 100, "ndcg@1": .01} {
		m, err := metric.New(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Add(z, labels, nil); err != nil {
			t.Fatal(err)
		}
		if v, err := m.Value(); err != nil || math.Abs(v-want) > 1e-9 {
			t.Errorf("%s: %v %v, want %v", name, v, err, want)
		}
	}
}

func TestTop(t *testing.T) {
	never := float32(math.Inf(-1))
	z := []float32{never, 2, 5, 2, never, 7, 5}
	for k, want := range [][]int32{{}, {5}, {5, 2}, {5, 2, 6}, {5, 2, 6, 1}, {5, 2, 6, 1, 3}, {5, 2, 6, 1, 3}} {
		if got := task.Top(nil, z, k); !slices.Equal(got, want) {
			t.Errorf("top %d of %v is %v, want %v", k, z, got, want)
		}
	}
}
