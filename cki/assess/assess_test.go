package assess_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/assess"
	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
)

// method is the registered method with its defaults, one epoch of it, and a change.
func method(t testing.TB, change func(*assess.CKI)) assess.CKI {
	t.Helper()
	d, ok := cki.Registry.Default("cki")
	if !ok {
		t.Fatal("no method cki")
	}
	m := d.(assess.CKI)
	m.Train.Epochs, m.Train.LearningRate = 1, 1e-2
	if change != nil {
		change(&m)
	}
	return m
}

// variants are methods that between them take every way through the code.
var variants = map[string]func(*assess.CKI){
	"published":            nil,
	"untrained":            func(m *assess.CKI) { m.Train.Epochs = 0 },
	"language":             func(m *assess.CKI) { m.Form, m.Bias, m.Scale = "language", true, 5 },
	"local straight":       func(m *assess.CKI) { m.Perspective, m.Splice = "local", "straight_through" },
	"hard":                 func(m *assess.CKI) { m.Splice = "hard" },
	"global":               func(m *assess.CKI) { m.Perspective = "global" },
	"units, counts, valid": func(m *assess.CKI) { units(m); m.Start, m.Prior, m.Train.Rows = "counts", 1, "valid" },
	"layers, table gates":  func(m *assess.CKI) { m.Granularity, m.Tables, m.Temperature = "layer", "table", 0.5 },
	"lazy rows":            func(m *assess.CKI) { units(m); m.Train.Embeddings = "lazy" },
	"base tables":          func(m *assess.CKI) { m.Tables, m.Assessor = "base", "zero" },
}

func units(m *assess.CKI) { m.Perspective, m.Granularity = "local", "unit" }

// TestHistories runs the published method and gates of every kind over every model of histories.
func TestHistories(t *testing.T) {
	for _, name := range []string{"published", "units, counts, valid", "layers, table gates"} {
		t.Run(name, func(t *testing.T) {
			mergetest.CheckHistories(t, method(t, variants[name]), mergetest.Traits{Min: 2, Lab: true})
		})
	}
}

func TestConformance(t *testing.T) {
	for name, change := range variants {
		t.Run(name, func(t *testing.T) {
			m := method(t, change)
			mergetest.Check(t, m, mergetest.Traits{Min: 2, Lab: true, Self: m.Train.Epochs == 0})
		})
	}
}

// merge merges two or more parents of a model and returns the result, the lab and the statistics.
func merge(t *testing.T, m assess.CKI, model models.Model, n int, change func(*cki.Input)) (*nn.Params, *cki.Lab, assess.Stats) {
	t.Helper()
	return mergeIn(t, m, mergetest.RowsOf(model), n, change)
}

func mergeIn(t *testing.T, m assess.CKI, s mergetest.Setting, n int, change func(*cki.Input)) (*nn.Params, *cki.Lab, assess.Stats) {
	t.Helper()
	lab := s.Lab(t)
	in := mergetest.Input(lab, s.Parents(t, n))
	if change != nil {
		change(in)
	}
	merged, err := m.Merge(t.Context(), in)
	if err != nil {
		t.Fatalf("Merge: %v", err)
	}
	p, err := lab.NewParams(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Fill(merged, p); err != nil {
		t.Fatalf("Fill: %v", err)
	}
	return p, lab, merged.Stats().(assess.Stats)
}

func testModels() map[string]models.Model {
	tower := ctr.Tower{HiddenUnits: []int{6, 5}, HiddenActivations: "relu"}
	return map[string]models.Model{
		"mlp":    mergetest.Model(),
		"deepfm": with(models.Registry, "deepfm", func(m *ctr.DeepFM) { m.EmbeddingDim, m.Tower = 3, tower }),
		"dcnv2":  with(models.Registry, "dcnv2", func(m *ctr.DCNv2) { m.EmbeddingDim, m.Tower, m.LowRank = 3, tower, 2 }),
		"dcn":    with(models.Registry, "dcn", func(m *ctr.DCN) { m.EmbeddingDim, m.Tower = 3, tower }),
		"lr":     with(models.Registry, "lr", func(*ctr.LR) {}),
	}
}

func with[M any](r interface {
	Default(string) (models.Model, bool)
}, name string, change func(*M),
) models.Model {
	d, ok := r.Default(name)
	if !ok {
		panic("no model " + name)
	}
	m := d.(M)
	change(&m)
	return any(m).(models.Model)
}

// The result scores on the validation rows exactly what the graph scored that learned: one function trains, is evaluated and is baked.
func TestBakedIsTrained(t *testing.T) {
	settings := mergetest.Histories()
	maps.Copy(settings, mergetest.Tasks())
	for name, s := range mergetest.Interactions() {
		if !strings.Contains(name, "/") {
			settings[name] = s
		}
	}
	for name, model := range testModels() {
		settings[name] = mergetest.RowsOf(model)
	}
	for name, over := range settings {
		for variant, change := range variants {
			for _, n := range []int{2, 3} {
				m := method(t, change)
				if m.Train.Epochs == 0 || m.Splice == "hard" || m.Perspective == "global" || n == 3 && name != "mlp" && name != "sasrec/next/full" {
					continue
				}
				m.Train.Rows = "train"
				for _, encoder := range []bool{false, true} {
					if encoder && variant != "published" && variant != "lazy rows" {
						continue
					}
					m.Encoder = encoder
					p, lab, stats := mergeIn(t, m, over, n, nil)
					got, err := lab.Evaluate(t.Context(), p, lab.Data.Valid)
					if err != nil {
						t.Fatal(err)
					}
					if name == "lr" && m.Tables == "base" && !encoder {
						continue // it has nothing but tables
					}
					if stats.Learned == nil || stats.Learned.Steps == 0 || stats.Learned.Values == 0 {
						t.Fatalf("%s, %s: nothing was learned: %+v", name, variant, stats.Learned)
					}
					for k, want := range stats.Learned.Valid {
						if got[k] != want {
							t.Errorf("%s, %s, %d parents, encoder %v: %s of the result is %v, of the graph that learned %v",
								name, variant, n, encoder, k, got[k], want)
						}
					}
				}
			}
		}
	}
}

// Assessors alone move unless the encoder is trained: then what is not selected is not the base's any more.
func TestEncoder(t *testing.T) {
	for _, encoder := range []bool{false, true} {
		m := method(t, func(m *assess.CKI) { m.Encoder = encoder })
		model := mergetest.Model()
		base := mergetest.Params(t, model, 0)
		p, _, stats := merge(t, m, model, 2, func(in *cki.Input) {
			in.Select = func(name string) bool { return name == "mlp.0.weight" }
		})
		if len(stats.Tensors) != 1 || stats.Learned.Encoder != encoder {
			t.Errorf("statistics %+v", stats)
		}
		for _, q := range p.All() {
			same := slices.Equal(q.Data, base.Get(q.Name).Data)
			if want := !encoder && q.Name != "mlp.0.weight"; same != want && q.Name != "mlp.2.bias" {
				t.Errorf("encoder %v: %s equals the base's: %v, want %v", encoder, q.Name, same, want)
			}
		}
	}
}

// stopAfter ends the context after some steps.
type stopAfter struct {
	steps  int
	cancel context.CancelFunc
}

func (s *stopAfter) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.StepDone {
		if s.steps--; s.steps == 0 {
			s.cancel()
		}
	}
	return nil
}

// A merge that is interrupted while gates learn goes on and ends with the same bits.
func TestResume(t *testing.T) {
	m := method(t, func(m *assess.CKI) { units(m); m.Train.Epochs = 3 })
	want, _, _ := merge(t, m, mergetest.Model(), 2, nil)
	lab := mergetest.Lab(t, mergetest.Model())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lab.Begin = func(string, string, train.Options) ([]train.Callback, error) {
		return []train.Callback{&stopAfter{6, cancel}}, nil
	}
	in := mergetest.Input(lab, mergetest.Parents(t, mergetest.Model(), 2))
	if _, err := m.Merge(ctx, in); !errors.Is(err, train.ErrInterrupted) {
		t.Fatalf("error %v, want an interruption", err)
	}
	var resumed int64
	lab.Begin = func(string, string, train.Options) ([]train.Callback, error) {
		return []train.Callback{callback(func(e *train.Event) {
			if e.Kind == train.RunStart {
				resumed = e.Step
			}
		})}, nil
	}
	got := mergetest.Merge(t, m, in)
	if resumed != 6 {
		t.Errorf("the training goes on from step %d, want 6", resumed)
	}
	for _, q := range want.All() {
		if !slices.Equal(got[q.Name], q.Data) {
			t.Errorf("%s differs after an interruption", q.Name)
		}
	}
}

type callback func(*train.Event)

func (c callback) On(_ context.Context, e *train.Event) error { c(e); return nil }

// Other options are another training, in the same lab.
func TestOtherOptionsAreAnotherTraining(t *testing.T) {
	lab := mergetest.Lab(t, mergetest.Model())
	in := mergetest.Input(lab, mergetest.Parents(t, mergetest.Model(), 2))
	var dirs []string
	lab.Begin = func(_, dir string, _ train.Options) ([]train.Callback, error) {
		dirs = append(dirs, dir)
		return nil, nil
	}
	a := mergetest.Merge(t, method(t, units), in)
	b := mergetest.Merge(t, method(t, func(m *assess.CKI) { units(m); m.Train.LearningRate = 0.1 }), in)
	in.Parents[0], in.Parents[1] = in.Parents[1], in.Parents[0]
	mergetest.Merge(t, method(t, units), in)
	if slices.Equal(a["mlp.0.weight"], b["mlp.0.weight"]) || len(dirs) != 3 || dirs[0] == dirs[1] || dirs[0] == dirs[2] {
		t.Errorf("trainings in %v are taken for one another", dirs)
	}
}

// Early stopping ends the learning and keeps the best gates.
func TestEarlyStopping(t *testing.T) {
	m := method(t, func(m *assess.CKI) { m.Train.Epochs, m.Train.Patience, m.Train.LearningRate = 50, 2, 0.3 })
	_, _, stats := merge(t, m, mergetest.Model(), 2, nil)
	if l := stats.Learned; l.Steps >= 50*4 || l.Epoch < 1 || l.Steps != int64(l.Epoch+2)*4 {
		t.Errorf("%d steps of 4 an epoch, best epoch %d, want two epochs after the best", l.Steps, l.Epoch)
	}
}

// Rows from which gates learn and rows that select them are parts of the validation rows, and the training rows are not read.
func TestRowsOfValidation(t *testing.T) {
	m := method(t, func(m *assess.CKI) { units(m); m.Train.Rows, m.Train.Share = "valid", 0.75 })
	model := mergetest.Model()
	lab := mergetest.Lab(t, model)
	lab.Data.Train = nil
	in := mergetest.Input(lab, mergetest.Parents(t, model, 2))
	merged, err := m.Merge(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	l := merged.Stats().(assess.Stats).Learned
	if l.Rows != "valid" || l.RowCount != 36 || l.Steps != 3 {
		t.Errorf("learned %+v, want 36 of 48 validation rows in 3 steps", l)
	}
}

// Two parents' gates that start from counts weigh rows as counts do, before anything is learned; so do those of three.
func TestCountsStart(t *testing.T) {
	for _, n := range []int{2, 3} {
		for _, scale := range []float64{1, 4} {
			m := method(t, func(m *assess.CKI) { units(m); m.Start, m.Smoothing, m.Scale, m.Train.Epochs = "counts", 0.5, scale, 0 })
			model := mergetest.Model()
			parents := mergetest.Parents(t, model, n)
			got, _, _ := merge(t, m, model, n, nil)
			for name := range parents[0].Counts {
				var values [][]float32
				for _, p := range parents {
					values = append(values, mergetest.Values(t, p)[name])
				}
				rows := len(parents[0].Counts[name])
				dim := len(values[0]) / rows
				for i := range values[0] {
					sum, weights := 0.0, 0.0
					for k := range values {
						w := float64(parents[k].Counts[name][i/dim]) + 0.5
						sum, weights = sum+w*float64(values[k][i]), weights+w
					}
					if d := math.Abs(float64(got.Get(name).Data[i]) - sum/weights); d > 1e-6 {
						t.Fatalf("%d parents: %s: value %d is %v, want %v", n, name, i, got.Get(name).Data[i], sum/weights)
					}
				}
			}
		}
	}
}

// A strong prior keeps gates at their start.
func TestPrior(t *testing.T) {
	start := func(m *assess.CKI) { units(m); m.Start, m.Train.LearningRate, m.Train.Epochs = "counts", 0.05, 4 }
	want, _, _ := merge(t, method(t, func(m *assess.CKI) { start(m); m.Train.Epochs = 0 }), mergetest.Model(), 2, nil)
	moved := map[float64]float64{}
	for _, prior := range []float64{0, 1e6} {
		got, _, _ := merge(t, method(t, func(m *assess.CKI) { start(m); m.Prior = prior }), mergetest.Model(), 2, nil)
		for _, q := range want.All() {
			if q.Kind == nn.Buffer {
				continue
			}
			for i, v := range q.Data {
				moved[prior] += math.Abs(float64(got.Get(q.Name).Data[i] - v))
			}
		}
	}
	if !(moved[1e6] < 0.2*moved[0]) {
		t.Errorf("weights moved by %v with a strong prior, %v without", moved[1e6], moved[0])
	}
}
