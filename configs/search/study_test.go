package search

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/run"
)

const small = `extends: base.yaml
search: {trials: 9, startup: 3, wave: 3, asha: {min: 1, factor: 2}}
model: {type: deepfm, embedding_dim: {grid: [2, 4]}, hidden_units: [8]}
train:
  epochs: 3
  learning_rate: {log: [1e-3, 0.3]}
`

// watched notes which trials were made.
type watched struct {
	mu    sync.Mutex
	began map[string]int
	stop  func(trial string)
}

func (w *watched) Start(int, int) {}

func (w *watched) Begin(trial string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.began == nil {
		w.began = map[string]int{}
	}
	w.began[trial]++
	if w.stop != nil {
		w.stop(trial)
	}
}

func (w *watched) Done(string, int) {}

// study makes a study in a directory of its own; relative paths are within one workspace.
func study(t *testing.T, text, dir string, jobs int, w Watcher) (*Result, error) {
	t.Helper()
	return studyOf(t.Context(), load(t, text), dir, jobs, w)
}

func studyOf(ctx context.Context, s *Spec, dir string, jobs int, w Watcher) (*Result, error) {
	return (&Study{Spec: s, Dir: dir, Jobs: jobs, Watch: w, Command: "search"}).Run(ctx)
}

// table returns what the trials of a study came to.
func table(r *Result) string {
	var b strings.Builder
	for _, t := range r.Trials {
		fmt.Fprintln(&b, t.Number, t.Values, t.State, t.Valid, t.Metrics, t.Evaluations, t.Rung)
	}
	fmt.Fprintln(&b, "best", r.Best.Number, r.Test)
	return b.String()
}

func workspace(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	threads := kernel.Threads()
	t.Cleanup(func() { kernel.SetThreads(threads) })
}

// TestStudy: a study stops trials, leaves the test rows alone, is the same with several jobs, and is not made again.
func TestStudy(t *testing.T) {
	workspace(t)
	w := &watched{}
	one, err := study(t, small, "one", 1, w)
	if err != nil {
		t.Fatal(err)
	}
	states := map[State]int{}
	for _, trial := range one.Trials {
		states[trial.State]++
		if e := trial.Evaluations; trial.State == Stopped && e != 1 && e != 2 || trial.State == Complete && e != 3 {
			t.Errorf("%s, %s, has %d evaluations", trial.Label(), trial.State, e)
		}
	}
	if len(one.Trials) != 9 || states[Stopped] == 0 || states[Complete] < 3 || len(w.began) != 9 {
		t.Errorf("states %v, begun %v", states, w.began)
	}
	for _, trial := range one.Trials {
		dir := RunDir("one", trial.Number, 0)
		for _, name := range []string{run.ResultFile, run.MetricsFile} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(b), "test") {
				t.Errorf("%s of trial %d tells of test rows: %s", name, trial.Number, b)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, run.LastDir)); err == nil {
			t.Errorf("trial %d has kept what --resume needs", trial.Number)
		}
	}
	s, err := openStore(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	var tests int
	if err := s.db.QueryRow("SELECT count(*) FROM tests").Scan(&tests); err != nil || tests != 1 || len(one.Test) != 1 || !(one.Test[0]["auc"] > 0) {
		t.Errorf("test rows were measured for %d trials, %v: %v", tests, one.Test, err)
	}
	s.db.Close()

	kernel.SetThreads(1)
	several, err := study(t, small, "several", 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := table(one), table(several); a != b {
		t.Errorf("one after the other\n%s\nthree at once\n%s", a, b)
	}
	w = &watched{}
	again, err := study(t, small, "one", 1, w)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.began) > 0 || table(again) != table(one) {
		t.Errorf("a study that is done was made again: %v", w.began)
	}

	if s, err = openStore(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if err := s.test(t.Context(), one.Best.Number, []run.Metrics{{"auc": .125}}); err != nil {
		t.Fatal(err)
	}
	s.db.Close()
	if again, err = study(t, small, "one", 1, w); err != nil || len(again.Test) != 1 || again.Test[0]["auc"] != .125 {
		t.Errorf("the test rows were measured again: %v, %v", again.Test, err)
	}

	more, err := study(t, strings.Replace(small, "trials: 9", "trials: 11", 1), "one", 1, w)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.began) != 2 || !strings.HasPrefix(table(more), strings.Split(table(one), "best")[0]) {
		t.Errorf("with more trials: %v were made\n%s", w.began, table(more))
	}
	_, err = study(t, small+"  batch_size: 64\n", "one", 1, nil)
	if !errors.As(err, new(*run.InputError)) || !strings.Contains(err.Error(), "search: one holds a study of other settings") {
		t.Errorf("another search in the directory: %v", err)
	}
	if err := os.WriteFile(filepath.Join("one", "notes.txt"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Clear("one"); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir("one"); len(left) != 1 {
		t.Errorf("after Clear there are %v", left)
	}
}

// TestInterrupted: a study that is interrupted in the midst of trials goes on and ends as if it had not been.
func TestInterrupted(t *testing.T) {
	workspace(t)
	whole, err := study(t, small, "whole", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"trial 0", "trial 2", "trial 4", "trial 8"} {
		ctx, stop := context.WithCancel(t.Context())
		_, err := studyOf(ctx, load(t, small), "cut", 1, &watched{stop: func(trial string) {
			if trial == at {
				stop()
			}
		}})
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "of 9 trials; what is done is kept") {
			t.Fatalf("interrupted: %v", err)
		}
		if at != "trial 2" {
			continue
		}
		if err := Clear("cut"); err != nil { // from the beginning
			t.Fatal(err)
		}
	}
	cut, err := study(t, small, "cut", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := table(whole), table(cut); a != b {
		t.Errorf("not interrupted\n%s\ninterrupted\n%s", a, b)
	}
}

// TestDiverged: a trial that diverges is one of the results.
func TestDiverged(t *testing.T) {
	workspace(t)
	r, err := study(t, `extends: base.yaml
search: {method: grid, seeds: 2}
train: {optimizer: sgd, max_grad_norm: 0, learning_rate: {grid: [3e38, 0.1, 0.01]}}
`, "s", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := r.Trials[0], r.Trials[1]; a.State != Diverged || len(a.Valid) != 0 || b.State != Complete || len(b.Valid) != 2 || b.Value() != (b.Valid[0]+b.Valid[1])/2 || b.Valid[0] == b.Valid[1] {
		t.Errorf("trials\n%s", table(r))
	}
	if r.Best.Number == 0 || len(r.Test) != 2 {
		t.Errorf("best %d, test %v", r.Best.Number, r.Test)
	}
	_, err = study(t, "extends: base.yaml\nsearch: {method: grid}\ntrain: {optimizer: sgd, max_grad_norm: 0, learning_rate: {grid: [3e38]}}\n", "bad", 1, nil)
	if err == nil || err.Error() != "search: no trial was trained to its end: all diverged; try lower learning rates" {
		t.Errorf("all diverged: %v", err)
	}
}

// TestBest: the best config trains to the best trial's metrics.
func TestBest(t *testing.T) {
	workspace(t)
	r, err := study(t, small, "s", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := configs.Load(r.Config, nil)
	if err != nil {
		t.Fatal(err)
	}
	if e.Run != filepath.Join("s", "best") {
		t.Errorf("the run would be in %s", e.Run)
	}
	got, err := (&job.Job{Experiment: e, Dir: "r"}).Train(t.Context(), job.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Valid["auc"] != r.Best.Value() || got.Test["auc"] != r.Test[0]["auc"] {
		t.Errorf("valid %v, test %v; want %v, %v", got.Valid, got.Test, r.Best.Value(), r.Test)
	}
}

// TestBadData: what is wrong with the data is said before anything is written.
func TestBadData(t *testing.T) {
	workspace(t)
	for _, tc := range []struct{ data, want string }{
		{"{type: csv, path: none.csv, label: y}", "none.csv"},
		{"{type: tastes, users: 20, items: 10, rows: 800, split: {by: order, ratio: [1, 0, 0]}}", "search: the data has no validation rows, on which trials are compared; set data.split, or data.valid_path"},
	} {
		_, err := study(t, "data: "+tc.data+"\nmodel: lr\ntrain: {learning_rate: {grid: [0.1, 1]}}\n", "s", 1, nil)
		if !errors.As(err, new(*run.InputError)) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %s", err, tc.want)
		}
		if _, err := os.Stat("s"); err == nil {
			t.Error("a directory was made")
		}
	}
}

// TestBestOf: the best trial is one that was trained to its end, of equal ones the first.
func TestBestOf(t *testing.T) {
	s := &Study{Spec: load(t, small)}
	trials := []*Trial{
		{Number: 0, State: Diverged},
		{Number: 1, State: Complete, Valid: []float64{.7}},
		{Number: 2, State: Stopped, Valid: []float64{.9}},
		{Number: 3, State: Complete, Valid: []float64{.7, .9}},
		{Number: 4, State: Complete, Valid: []float64{.8}},
		{Number: 9, State: Complete, Valid: []float64{1}},
	}
	if got := s.best(trials); got != trials[3] {
		t.Errorf("the best is %+v", got)
	}
	if got := s.best(trials[:1]); got != nil {
		t.Errorf("the best of none is %+v", got)
	}
}
