package app_test

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

// printed checks what a function prints, and that it reports a writer that fails.
func printed(t *testing.T, name, want string, print func(io.Writer) error) {
	t.Helper()
	var b strings.Builder
	if err := print(&b); err != nil || b.String() != want {
		t.Errorf("%s: error %v, printed\n%s\nwant\n%s", name, err, b.String(), want)
	}
	for _, n := range []int{0, len(want) / 2, len(want) - 1} {
		broken := errors.New("broken pipe")
		if err := print(&failing{n, broken}); !errors.Is(err, broken) {
			t.Errorf("%s: error %v of a writer that fails after %d bytes", name, err, n)
		}
	}
}

// failing is a writer that fails after some bytes.
type failing struct {
	left int
	err  error
}

// Write counts down.
func (f *failing) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, f.err
	}
	return len(b), nil
}

func TestPrintResult(t *testing.T) {
	whole := func() *job.Result {
		return &job.Result{
			Model: "fm", Data: "criteo", Seed: 7, Steps: 120, BestEpoch: 3, Dir: "runs/x", Train: job.Time{SamplesPerSec: 1234.6, Seconds: 5.04},
			Valid: run.Metrics{"logloss": .45, "auc": .75}, Test: run.Metrics{"auc": .74, "logloss": .46},
			Metrics: []string{"auc", "logloss"}, Monitor: "auc",
		}
	}
	const first = "fm on criteo, seed 7: 120 steps, 5.0 s of training, 1235 samples/s, best at epoch 3; run in runs/x\n"
	for _, tc := range []struct {
		name   string
		change func(r *job.Result)
		want   string
	}{
		{"a training", func(*job.Result) {}, first + "valid: auc 0.750000 logloss 0.450000\ntest: auc 0.740000 logloss 0.460000\n"},
		{"no test rows", func(r *job.Result) { r.Test = nil }, first + "valid: auc 0.750000 logloss 0.450000\n"},
		{"training rows only", func(r *job.Result) { r.Valid, r.Test = nil, nil }, first},
		{
			"a value that is not defined",
			func(r *job.Result) { r.Test["auc"] = math.NaN() },
			first + "valid: auc 0.750000 logloss 0.450000\ntest: auc n/a logloss 0.460000\n",
		},
		{
			"a metric that is missing",
			func(r *job.Result) { delete(r.Test, "auc") },
			first + "valid: auc 0.750000 logloss 0.450000\ntest: logloss 0.460000\n",
		},
		{
			"synthetic",
			func(r *job.Result) { r.Synthetic, r.Reachable = true, run.Metrics{"auc": .8, "logloss": .4} },
			"fm on criteo (synthetic), seed 7: 120 steps, 5.0 s of training, 1235 samples/s, best at epoch 3; run in runs/x\n" +
				"valid (synthetic): auc 0.750000 logloss 0.450000\ntest (synthetic): auc 0.740000 logloss 0.460000\n" +
				"best reachable on these test rows, by their true probabilities: auc 0.800000 logloss 0.400000\n" +
				"the model's auc is 80.0 % of the way from 0.5 to it\n",
		},
		{
			"synthetic, with an auc that is undefined",
			func(r *job.Result) { r.Reachable, r.Test["auc"] = run.Metrics{"auc": .8, "logloss": .4}, math.NaN() },
			first + "valid: auc 0.750000 logloss 0.450000\ntest: auc n/a logloss 0.460000\n" +
				"best reachable on these test rows, by their true probabilities: auc 0.800000 logloss 0.400000\n",
		},
		{
			"synthetic, without auc",
			func(r *job.Result) {
				r.Reachable, r.Metrics, r.Monitor = run.Metrics{"auc": .8, "logloss": .4}, []string{"logloss"}, "logloss"
				delete(r.Test, "auc")
			},
			first + "valid: logloss 0.450000\ntest: logloss 0.460000\n" +
				"best reachable on these test rows, by their true probabilities: auc 0.800000 logloss 0.400000\n",
		},
		{
			"better than the start",
			func(r *job.Result) { r.Start, r.From = run.Metrics{"auc": .7, "logloss": .5}, "runs/a" },
			first + "valid before, the starting weights: auc 0.700000 logloss 0.500000\n" +
				"valid: auc 0.750000 logloss 0.450000\ntest: auc 0.740000 logloss 0.460000\n",
		},
		{
			"a ranking",
			func(r *job.Result) { r.Protocol, r.Test = "all 30 items", nil },
			first + "ranked are all 30 items\nvalid: auc 0.750000 logloss 0.450000\n",
		},
		{
			"worse than the start",
			func(r *job.Result) { r.Start, r.From = run.Metrics{"auc": .76, "logloss": .5}, "runs/a" },
			first + "valid before, the starting weights: auc 0.760000 logloss 0.500000\nvalid: auc 0.750000 logloss 0.450000\n" +
				"training made auc on the validation rows worse: the starting weights, runs/a, are the better model\n" +
				"test: auc 0.740000 logloss 0.460000\n",
		},
	} {
		r := whole()
		tc.change(r)
		printed(t, tc.name, tc.want, func(w io.Writer) error { return app.PrintResult(w, r) })
	}
}

func TestPrintScores(t *testing.T) {
	s := job.Scores{Part: "test", Rows: 12, Metrics: map[string]float64{"logloss": .5, "auc": .625}, Names: []string{"auc", "logloss"}}
	for _, tc := range []struct{ name, model, mode, want string }{
		{"a run alone", "", "", "test (12 rows): auc 0.625000 logloss 0.500000\n"},
		{"a run of several", "runs/a", "logits", "test (12 rows), runs/a: auc 0.625000 logloss 0.500000\n"},
		{"an ensemble", "", "logits", "test (12 rows), ensemble (mean of logits): auc 0.625000 logloss 0.500000\n"},
	} {
		s.Model = tc.model
		printed(t, tc.name, tc.want, func(w io.Writer) error { return app.PrintScores(w, s, tc.mode) })
	}
	s.Tables = job.Int8Tables
	printed(t, "int8 tables", "test (12 rows), ensemble (mean of logits), int8 tables: auc 0.625000 logloss 0.500000\n",
		func(w io.Writer) error { return app.PrintScores(w, s, "logits") })
	change := job.Scores{
		Part: "test", Rows: 12, Model: "runs/a", Metrics: map[string]float64{"logloss": 2.5e-6, "auc": -.5, "gauc": math.NaN()},
		Names: []string{"auc", "gauc", "logloss"}, Tables: job.Difference,
	}
	printed(t, "a difference", "test, runs/a, int8 less float32: auc -0.500000 gauc n/a logloss +0.000003\n",
		func(w io.Writer) error { return app.PrintScores(w, change, "logits") })
	tables := &job.Ensemble{Runs: []*job.Run{{Job: job.Job{Dir: "runs/a"}}, {Job: job.Job{Dir: "runs/b"}}}, Tables: []*models.Tables{
		{Float32: 64e6, Held: 20e6, All: 3, Int8: []string{"e.a", "e.b"}, Narrow: []string{"l.a"}}, {Float32: 5, Held: 5, All: 1},
	}}
	printed(t, "tables", "tables of runs/a: 64.0 MB as float32, 20.0 MB with 2 of 3 as int8; a row of l.a is one value, which a scale would make larger\n",
		func(w io.Writer) error { return app.PrintTables(w, tables) })
	s.Tables = ""
	s.Protocol = "all 30 items"
	printed(t, "a ranking", "test (12 rows; all 30 items): auc 0.625000 logloss 0.500000\n",
		func(w io.Writer) error { return app.PrintScores(w, s, "") })
	s.Protocol = ""
	s.Metrics["auc"], s.Undefined = math.NaN(), []*metric.Undefined{{Metric: "auc", Reason: "no negatives"}}
	printed(t, "an undefined metric", "test (12 rows): auc n/a logloss 0.500000\nauc is undefined on test: no negatives\n",
		func(w io.Writer) error { return app.PrintScores(w, s, "") })
}

func TestPrintParents(t *testing.T) {
	p := &cki.Parent{Name: "runs/a", Reader: none{}}
	printed(t, "none", "no parents are given: the regime makes them, so they fit\n",
		func(w io.Writer) error { return app.PrintParents(w, nil) })
	printed(t, "one", "runs/a: 2 tensors\nthe parents fit together\n",
		func(w io.Writer) error { return app.PrintParents(w, []*cki.Parent{p}) })
}

// none is a checkpoint of two tensors that is not read.
type none struct{ cki.Reader }

// Tensors lists the tensors.
func (none) Tensors() []ckpt.Info { return make([]ckpt.Info, 2) }

func TestPrintMerged(t *testing.T) {
	files := &job.Merged{Dir: "m", Model: "m/model.safetensors", Counts: job.MergedCounts{Parents: 3, Tensors: 12}}
	printed(t, "files",
		"merged 3 checkpoints, 12 tensors, into m/model.safetensors; it was not evaluated: the config has no data and model\n",
		func(w io.Writer) error { return app.PrintMerged(w, files) })

	row := func(name compare.RowName, valid, test float64) compare.Row {
		return compare.Row{Name: name, Valid: report.Metrics{"auc": valid}, Test: report.Metrics{"auc": test}, Seconds: 1.25}
	}
	merged := func() *job.Merged {
		return &job.Merged{Dir: "m", Metrics: []string{"auc"}, Rows: "m/table.json", Table: &compare.Table{
			Seed: 7, Model: "fm", Data: "criteo", Metric: "auc", Passed: compare.RowMerge,
			Rows: compare.Rows{row("base", .75, .74), row("other", .76, .73), row("best parent", .76, .73), row("merge", .77, .75)},
		}}
	}
	const table = `row          valid auc  test auc  seconds  note
base           0.75000   0.74000      1.2
other          0.76000   0.73000      1.2
best parent    0.76000   0.73000      1.2
merge          0.77000   0.75000      1.2
`
	words := func(m *job.Merged) string { return "\n" + strings.Join(m.Table.Words("m"), "\n") + "\n" }
	m := merged()
	if len(m.Table.Words("m")) == 0 {
		t.Fatal("the comparison has no words")
	}
	printed(t, "a merge", "fm on criteo, seed 7\n"+table+words(m), func(w io.Writer) error { return app.PrintMerged(w, m) })

	m.Table.Synthetic, m.Table.Reachable = true, report.Metrics{"auc": .8, "logloss": .4}
	printed(t, "synthetic", "fm on criteo (synthetic), seed 7\n"+table+
		"best reachable on these test rows, by their true probabilities: auc 0.80000 logloss 0.40000\n"+words(m),
		func(w io.Writer) error { return app.PrintMerged(w, m) })

	m = merged()
	for range 9 { // more than fit on a screen
		m.Table.Rows = append(m.Table.Rows, row("gates", .7, .7))
	}
	const short = `row          valid auc  test auc  seconds  note
best parent    0.76000   0.73000      1.2
merge          0.77000   0.75000      1.2
`
	printed(t, "many rows", "fm on criteo, seed 7; all 13 rows are in m/table.json\n"+short+words(m),
		func(w io.Writer) error { return app.PrintMerged(w, m) })

	m = merged()
	m.Table.Rows = m.Table.Rows[:1]
	const base = "row   valid auc  test auc  seconds  note\nbase    0.75000   0.74000      1.2\n"
	printed(t, "nothing to say", "fm on criteo, seed 7\n"+base, func(w io.Writer) error { return app.PrintMerged(w, m) })
}
