package assess_test

import (
	"log/slog"
	"math"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/assess"
	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/task"
)

// vocab is the number of ids of the only feature of shards.
const vocab = 42

// shards is a lab whose labels follow one weight an id, and two parents of a logistic regression: the first knows the weights
// of even ids and has wrong ones of odd ids, the second the other way round.
func shards(t *testing.T) *cki.Input {
	t.Helper()
	sc := &data.Schema{Features: []data.Feature{{Name: "a", Kind: data.Categorical, Vocab: vocab, Table: "a"}}}
	r := rng.New(rng.Key(1, "truth"))
	truth := make([]float32, vocab)
	for i := range truth {
		truth[i] = float32(2 - 4*r.IntN(2))
	}
	rows := func(n int) data.Source {
		var out []data.Row
		for range n {
			id := int32(2 + r.IntN(vocab-2))
			row := data.Row{IDs: map[string][]int32{"a": {id}}}
			if r.Float64() < 1/(1+math.Exp(-float64(truth[id]))) {
				row.Label = 1
			}
			out = append(out, row)
		}
		src, err := data.FromRows(sc, out)
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	o := train.Defaults()
	o.BatchSize = 64
	lab := &cki.Lab{
		Model: ctr.LR{}, Task: task.Binary{MetricNames: []string{"logloss", "auc"}}, Options: o, Dir: t.TempDir(),
		Log:  slog.New(slog.DiscardHandler),
		Data: &data.Splits{Schema: sc, Train: rows(2000), Valid: rows(2000)},
	}
	var parents []*cki.Parent
	for k := range 2 {
		p, err := models.NewParams(lab.Model, sc, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range p.All() {
			if q.Kind == nn.Table {
				for i := range q.Data {
					if i > 0 {
						q.Data[i] = truth[i]
						if i%2 != k {
							q.Data[i] = -truth[i]
						}
					}
				}
			}
		}
		parents = append(parents, &cki.Parent{Name: "p", Reader: cki.Memory(p)})
	}
	return mergetest.Input(lab, parents)
}

// Gates of rows find out which parent knows a row, on training or validation rows, in every perspective that learns.
func TestRowGatesLearn(t *testing.T) {
	for name, change := range map[string]func(*assess.CKI){
		"local":            func(m *assess.CKI) {},
		"validation rows":  func(m *assess.CKI) { m.Train.Rows, m.Prior = "valid", 1 },
		"lazy":             func(m *assess.CKI) { m.Train.Embeddings = "lazy" },
		"recommendation":   func(m *assess.CKI) { m.Perspective, m.Temperature = "dual", 0.05 },
		"straight-through": func(m *assess.CKI) { m.Splice = "straight_through" },
	} {
		t.Run(name, func(t *testing.T) {
			in := shards(t)
			m := method(t, func(m *assess.CKI) {
				units(m)
				m.Train.Epochs, m.Train.LearningRate = 12, 0.1
				change(m)
			})
			got := mergetest.Merge(t, m, in)
			table := got["linear.a.weight"]
			if table == nil {
				t.Fatalf("no table among %v", got)
			}
			right := 0
			for id := 2; id < vocab; id++ {
				want := mergetest.Values(t, in.Parents[id%2])["linear.a.weight"][id]
				if table[id]*want > 0 {
					right++
				}
			}
			if right < vocab-4 {
				t.Errorf("%d of %d rows are nearer to the parent that knows them", right, vocab-2)
			}
		})
	}
}

// Assessors and gates of weights lower the loss of what they learn on.
func TestWeightGatesLearn(t *testing.T) {
	for name, change := range map[string]func(*assess.CKI){
		"published": func(m *assess.CKI) {},
		"language":  func(m *assess.CKI) { m.Form = "language" },
		"unit":      func(m *assess.CKI) { m.Granularity = "unit" },
		"layer":     func(m *assess.CKI) { m.Granularity, m.Perspective = "layer", "local" },
	} {
		t.Run(name, func(t *testing.T) {
			loss := map[int]float64{}
			for _, epochs := range []int{0, 10} {
				m := method(t, func(m *assess.CKI) { m.Tables, m.Train.Epochs, m.Train.LearningRate = "base", epochs, 0.03; change(m) })
				lab := mergetest.Lab(t, mergetest.Model())
				lab.Data.Valid = lab.Data.Train // what is best on the rows that gates learn on
				in := mergetest.Input(lab, mergetest.Parents(t, mergetest.Model(), 2))
				in.Select = func(name string) bool {
					return name == "mlp.0.weight" || name == "mlp.1.weight" || name == "mlp.2.weight"
				}
				merged, err := m.Merge(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				p, err := lab.NewParams(0)
				if err != nil {
					t.Fatal(err)
				}
				if err := in.Fill(merged, p); err != nil {
					t.Fatal(err)
				}
				if err := lab.RecomputeBatchNorm(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				v, err := lab.Evaluate(t.Context(), p, lab.Data.Train)
				if err != nil {
					t.Fatal(err)
				}
				loss[epochs] = v["logloss"]
			}
			if !(loss[10] < loss[0]) {
				t.Errorf("logloss is %v before learning, %v after", loss[0], loss[10])
			}
		})
	}
}
