package compare_test

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/method"
	"github.com/splice-ml/splice/cki/regime"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/schedule"
	"github.com/splice-ml/splice/train/task"
)

// source returns rows whose label depends on their user and item.
func source(t *testing.T, sc *data.Schema, rows int, seed uint64, shuffle bool) data.Source {
	t.Helper()
	r := rng.New(rng.Key(seed, "rows"))
	list := make([]data.Row, rows)
	for i := range list {
		u, v := r.IntN(20), r.IntN(30)
		y := float32(0)
		if (u*7+v*3)%10 < 4 != (r.Float64() < .1) {
			y = 1
		}
		list[i] = data.Row{IDs: map[string][]int32{"user": {int32(u + 2)}, "item": {int32(v + 2)}}, Label: y}
	}
	m, err := data.FromRows(sc, list)
	if err != nil {
		t.Fatal(err)
	}
	m.Shuffle, m.Seed = shuffle, seed
	return m
}

// lab is a small Lab: a tower with batch norm over two features.
func lab(t *testing.T) *cki.Lab {
	t.Helper()
	sc := &data.Schema{Features: []data.Feature{
		{Name: "user", Kind: data.Categorical, Vocab: 22, Table: "user"},
		{Name: "item", Kind: data.Categorical, Vocab: 32, Table: "item"},
	}}
	bin, _ := task.Registry.Default("binary_classification")
	o := train.Defaults()
	o.BatchSize, o.Epochs, o.LearningRate, o.Embeddings, o.Patience = 100, 4, 0.01, "dense", 0
	o.Schedule, _ = schedule.Types.Default("cosine")
	return &cki.Lab{
		Model: ctr.MLP{EmbeddingDim: 4, Tower: ctr.Tower{HiddenUnits: []int{12, 8}, HiddenActivations: "relu", BatchNorm: true}},
		Task:  bin, Options: o, Seed: 5, Dir: t.TempDir(), Digest: "d", Log: slog.New(slog.DiscardHandler), KeepBaseEpochs: true,
		Data: &data.Splits{
			Schema: sc, Train: source(t, sc, 2000, 1, true), Valid: source(t, sc, 800, 2, false),
			Test: source(t, sc, 800, 3, false),
		},
	}
}

func options(t *testing.T) cki.Options {
	t.Helper()
	o := cki.DefaultOptions()
	o.Controls, o.Report = true, false
	o.Finetune.LearningRate, o.Finetune.Teacher = 1e-3, "parents"
	return o
}

func run(t *testing.T, l *cki.Lab, o cki.Options, r cki.Regime) *compare.Outcome {
	t.Helper()
	f, err := r.Make(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	in := *l
	in.Dir = filepath.Join(l.Dir, "rows")
	out, err := compare.Run(context.Background(), &in, o, f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func row(out *compare.Outcome, name compare.RowName) *compare.Row { return out.Rows.Get(name) }

func TestEveryRegime(t *testing.T) {
	always := []compare.RowName{
		"base", "other", "best parent", "ensemble", "average", "average of heads", "greedy soup of the parents", "filter grafting",
		"pruning, signed", "pruning, magnitude", "CKI untrained", "CKI", "CKI + training", "average, aligned", "merge", "merge + training",
		"base + training", "average + training", "merge + training, hard labels", "merge + training, self-teacher", "head x 0.5 + training",
		"permuted average + training", "longer training", "equal compute", "soup of own epochs", "moving average",
	}
	for _, tc := range []struct {
		name   string
		regime cki.Regime
		more   []compare.RowName
	}{
		{"independent", regime.Independent{Count: 2}, nil},
		{"shared_init", regime.SharedInit{Count: 2}, nil},
		{"branch", regime.Branch{Count: 3, Epochs: 2}, []compare.RowName{"ensemble of two", "other 1", "other 2"}},
		{"data", regime.Shards{By: "user", Count: 2, Trunk: 10, TrunkShare: .3}, []compare.RowName{"all data", "counts", "merge, round 2"}},
		{"hyper", regime.Hyper{Count: 2, LearningRates: []float64{.01, .02}, Dropouts: []float64{0, .1}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, o := lab(t), options(t)
			o.Align.Match = "weights"
			if tc.name == "data" {
				o.Rounds.Count = 2
			}
			out := run(t, l, o, tc.regime)
			for _, name := range append(slices.Clone(always), tc.more...) {
				if name == "other" && tc.name == "branch" {
					continue
				}
				r := row(out, name)
				if r == nil {
					t.Errorf("there is no row %q", name)
					continue
				}
				if a := r.Test["auc"]; !(a > .3 && a <= 1) {
					t.Errorf("%s: test AUC %v", name, a)
				}
			}
			if b := row(out, "base"); b.Valid["auc"] < .6 {
				t.Errorf("the base did not learn: %v", b.Valid)
			}
			if a, b := row(out, "merge + training"), row(out, "merge + training, hard labels"); a.Valid["logloss"] == b.Valid["logloss"] {
				t.Errorf("trainings with and without a teacher are the same: %v", a.Valid)
			}
			if out.Params == nil || out.Passed == "" {
				t.Errorf("nothing is passed on: %+v", out.Passed)
			}
		})
	}
}

// TestGuard: a merge that is worse than the best parent is not passed on.
func TestGuard(t *testing.T) {
	for _, guard := range []bool{true, false} {
		l, o := lab(t), options(t)
		o.Controls, o.Guard, o.Finetune.Epochs, o.Select = false, guard, 0, []string{"mlp.2.weight"}
		o.Method = method.Scale{Factor: 0}
		out := run(t, l, o, regime.Independent{Count: 2})
		want := compare.RowMerge
		if guard {
			want = compare.RowBestParent
		}
		if out.Passed != want || out.Guarded != guard {
			t.Errorf("guard %v: passed on %s, guarded %v", guard, out.Passed, out.Guarded)
		}
		got, err := l.Evaluate(context.Background(), out.Params, l.Data.Valid)
		if err != nil || got["auc"] != row(out, want).Valid["auc"] {
			t.Errorf("what is passed on has %v, %v, its row %v", got, err, row(out, want).Valid)
		}
	}
}

// TestStatsAreTheRecipes: what the report says of the method is of the configured merge, not of a row of the comparison.
func TestStatsAreTheRecipes(t *testing.T) {
	var stats []string
	for _, controls := range []bool{false, true} {
		l, o := lab(t), options(t)
		o.Controls = controls
		o.Method, _ = cki.Registry.Default("graft")
		b, err := json.Marshal(run(t, l, o, regime.Independent{Count: 2}).Stats)
		if err != nil {
			t.Fatal(err)
		}
		stats = append(stats, string(b))
	}
	if stats[0] != stats[1] || len(stats[0]) < 20 {
		t.Errorf("without controls %s, with them %s", stats[0], stats[1])
	}
}

// TestInterruptedMerge: a merge that is interrupted, and started again, ends as one that was not.
func TestInterruptedMerge(t *testing.T) {
	want := run(t, lab(t), options(t), regime.Branch{Count: 2, Epochs: 1})
	l, o := lab(t), options(t)
	for range 200 {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Millisecond)
		f, err := regime.Branch{Count: 2, Epochs: 1}.Make(ctx, l)
		cancel()
		if err == nil {
			if len(f.Members) != 2 {
				t.Fatalf("%d members", len(f.Members))
			}
			break
		}
	}
	got := run(t, l, o, regime.Branch{Count: 2, Epochs: 1})
	for i, r := range want.Rows {
		if g := got.Rows[i]; g.Name != r.Name || g.Test["auc"] != r.Test["auc"] || g.Valid["logloss"] != r.Valid["logloss"] {
			t.Errorf("row %s: %v, uninterrupted %v", g.Name, g, r)
		}
	}
	equal(t, got.Params, want.Params)
}

func equal(t *testing.T, a, b *nn.Params) {
	t.Helper()
	for _, q := range a.All() {
		if !slices.Equal(q.Data, b.Get(q.Name).Data) {
			t.Errorf("tensor %s differs", q.Name)
		}
	}
}

// TestEqualTrainings: a row whose training would be that of another row, from the same values, takes its model.
func TestEqualTrainings(t *testing.T) {
	for _, c := range []struct {
		method string
		again  bool // average + training is trained, though merge + training was
	}{{"average", false}, {"slerp", true}} {
		l, o := lab(t), options(t)
		o.Method, _ = cki.Registry.Default(c.method)
		o.Align.Match, o.Finetune.Teacher = "none", "none"
		out := run(t, l, o, regime.SharedInit{Count: 2})
		_, err := os.Stat(filepath.Join(l.Dir, "rows", "average___training"))
		if again := err == nil; again != c.again {
			t.Errorf("%s: the average was trained on: %v (%v)", c.method, again, err)
		}
		m, a := row(out, "merge + training"), row(out, "average + training")
		if same := m.Valid["logloss"] == a.Valid["logloss"]; same == c.again {
			t.Errorf("%s: merge + training %v, average + training %v", c.method, m.Valid, a.Valid)
		}
		if a.Steps != m.Steps || a.Seconds <= 0 {
			t.Errorf("%s: average + training took %d steps and %v s, merge + training %d", c.method, a.Steps, a.Seconds, m.Steps)
		}
	}
}

// counted counts the passes over a source.
type counted struct {
	data.Source
	passes int
}

func (c *counted) Batches(epoch, size int) iter.Seq2[*data.Batch, error] {
	c.passes++
	return c.Source.Batches(epoch, size)
}

// TestEqualModels: rows of one model are evaluated once.
func TestEqualModels(t *testing.T) {
	l, o := lab(t), options(t)
	o.Method, _ = cki.Registry.Default("average")
	o.Align.Match, o.Finetune.Epochs = "none", 0
	test := &counted{Source: l.Data.Test}
	l.Data.Test = test
	out := run(t, l, o, regime.SharedInit{Count: 2})
	models := map[float64]bool{}
	for _, r := range out.Rows {
		models[r.Test["logloss"]] = true
	}
	if m, a := row(out, "merge"), row(out, "average"); m.Test["logloss"] != a.Test["logloss"] || len(models) > len(out.Rows)-4 {
		t.Errorf("%d models in %d rows; merge %v, average %v", len(models), len(out.Rows), m, a)
	}
	if test.passes != len(models) {
		t.Errorf("%d passes over the test rows for %d models", test.passes, len(models))
	}
}

// Rows that are not asked for are not made, unless one that is asked for starts from them. Those that are made are as among all.
func TestRows(t *testing.T) {
	made := func(rows ...string) (names []compare.RowName, out *compare.Outcome) {
		l, o := lab(t), options(t)
		o.Rows = rows
		out = run(t, l, o, regime.SharedInit{Count: 2})
		for _, r := range out.Rows {
			names = append(names, r.Name)
		}
		return names, out
	}
	_, all := made()
	names, few := made("CKI + *", "filter grafting")
	want := []compare.RowName{"base", "other", "best parent", "filter grafting", "CKI", "CKI + training", "merge"}
	if !slices.Equal(names, want) {
		t.Errorf("rows %v, want %v", names, want)
	}
	for _, name := range want {
		if a, b := row(few, name), row(all, name); a.Test["auc"] != b.Test["auc"] || a.Valid["logloss"] != b.Valid["logloss"] {
			t.Errorf("%s: %v alone, %v among all", name, a.Test, b.Test)
		}
	}
	o := options(t)
	o.Rows = []string{"[a"}
	if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "is no pattern") {
		t.Errorf("a bad pattern: %v", err)
	}
}

// The names that tables ask for are those that comparisons have.
func TestKnownRow(t *testing.T) {
	for name, want := range map[compare.RowName]bool{
		"CKI + training": true, "other": true, "other 3": true, "merge, round 2": true, "all data": true,
		"other 0": false, "merge, round 1": false, "CKI+training": false, "": false, "other x": false,
	} {
		if compare.KnownRow(name) != want {
			t.Errorf("KnownRow(%q) is %v", name, !want)
		}
	}
	_, all := lab(t), options(t)
	l := lab(t)
	for _, r := range run(t, l, all, regime.Independent{Count: 2}).Rows {
		if !compare.KnownRow(r.Name) {
			t.Errorf("KnownRow does not know %q", r.Name)
		}
	}
}
