package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// averaging returns a run that keeps all averages.
func averaging(t *testing.T, dir string) *train.Trainer {
	t.Helper()
	tr := trainer(t, dir)
	tr.EMA, tr.SWAStart, tr.KeepEpochs, tr.Patience = 0.9, 2, true, 0
	tr.LearningRate = 0.05
	return tr
}

// TestAverages compares the averaged models with plain averages in float64, and their statistics of batch norm with those of
// RecomputeBatchNorm.
func TestAverages(t *testing.T) {
	for _, embeddings := range []string{"lazy", "dense"} {
		dir := t.TempDir()
		tr := averaging(t, dir)
		tr.Embeddings = embeddings
		ema, swa, epochs := map[string][]float64{}, map[string][]float64{}, []map[string][]float32{}
		splits := []string{}
		tr.Callbacks = append(tr.Callbacks, hear(func(e *train.Event) {
			now := map[string][]float32{}
			for _, q := range tr.Params.All() {
				now[q.Name] = slices.Clone(q.Data)
			}
			switch {
			case e.Kind == train.StepDone:
				for name, w := range now {
					for i, v := range w {
						if e.Step == 1 {
							ema[name] = append(ema[name], float64(v))
						} else {
							ema[name][i] = 0.9*ema[name][i] + 0.1*float64(v)
						}
					}
				}
			case e.Kind == train.EpochDone:
				epochs = append(epochs, now)
				if e.Epoch == 0 {
					return
				}
				for name, w := range now {
					if swa[name] == nil {
						swa[name] = make([]float64, len(w))
					}
					for i, v := range w {
						swa[name][i] += float64(v) / 2 // epochs 2 and 3
					}
				}
			case e.Kind == train.EvalDone:
				splits = append(splits, e.Split)
			}
		}))
		r, err := tr.Fit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]map[string][]float64{"ema": ema, "swa": swa} {
			p := fresh(t, tr.Model, tr.Data.Schema, 1)
			if err := train.LoadParams(filepath.Join(dir, name+".safetensors"), p); err != nil {
				t.Fatal(err)
			}
			again := fresh(t, tr.Model, tr.Data.Schema, 1)
			for _, q := range p.All() {
				copy(again.Get(q.Name).Data, q.Data)
				if q.Kind == nn.Buffer {
					continue
				}
				for i, v := range q.Data {
					if w := want[q.Name][i]; math.Abs(float64(v)-w) > 1e-5*(0.1+math.Abs(w)) {
						t.Fatalf("%s %s: %s[%d] is %v, want %v", embeddings, name, q.Name, i, v, w)
					}
				}
			}
			o := train.RecomputeOptions{Batch: tr.BatchSize, Seed: tr.Seed}
			if err := train.RecomputeBatchNorm(t.Context(), tr.Model, again, tr.Data.Train, o); err != nil {
				t.Fatal(err)
			}
			for _, q := range p.All() {
				if !slices.Equal(q.Data, again.Get(q.Name).Data) {
					t.Errorf("%s %s: %s is not what batch norm has on the training rows", embeddings, name, q.Name)
				}
			}
			if auc := r.Averages[name]["auc"]; auc < 0.8 {
				t.Errorf("%s %s: auc %v", embeddings, name, auc)
			}
		}
		if want := "valid valid valid valid/ema valid/swa test"; strings.Join(splits, " ") != want {
			t.Errorf("evaluations %v, want %s", splits, want)
		}
		for i, want := range epochs {
			c, err := ckpt.Load(filepath.Join(dir, run.EpochFile(i+1)))
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range c.Tensors {
				if !slices.Equal(x.Data, want[x.Name]) {
					t.Errorf("epoch %d: %s is not what it was", i+1, x.Name)
				}
			}
		}
	}
}

// TestAveragesChangeNothing: the run's model and its result are those of a run without averages.
func TestAveragesChangeNothing(t *testing.T) {
	for _, valid := range []bool{true, false} {
		a, b := averaging(t, t.TempDir()), averaging(t, t.TempDir())
		b.EMA, b.SWAStart, b.KeepEpochs = 0, 0, false
		if !valid {
			a.Data.Valid, b.Data.Valid = nil, nil
		}
		with, err := a.Fit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		without, err := b.Fit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(model(t, a.Dir), model(t, b.Dir)) || fmt.Sprint(with.Test, with.Valid) != fmt.Sprint(without.Test, without.Valid) {
			t.Errorf("validation rows %v: averages change the model or its result", valid)
		}
	}
}

// TestAveragesResume: interrupted runs write the same averages. An epoch has 11 steps, so some checkpoints and interrupts
// fall on its end.
func TestAveragesResume(t *testing.T) {
	t.Parallel() // most of the time files are synced
	files := []string{run.ModelFile, run.EMAFile, run.SWAFile, run.EpochFile(1), run.EpochFile(2), run.EpochFile(3)}
	for _, tc := range []struct {
		eval, checkpoint int64
		stops            []int64
	}{{0, 0, []int64{1, 33}}, {11, 0, []int64{11}}, {0, 11, []int64{22}}, {4, 3, []int64{25}}} {
		build := func(dir string) *train.Trainer {
			tr := averaging(t, dir)
			tr.EvalSteps, tr.CheckpointSteps, tr.Resume, tr.Callbacks = tc.eval, tc.checkpoint, true, nil
			return tr
		}
		whole := t.TempDir()
		if _, err := build(whole).Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		killed := t.TempDir()
		tr := build(killed)
		tr.Callbacks = []train.Callback{breakAt(24)} // no checkpoint is written
		if _, err := tr.Fit(t.Context()); !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		if _, err := build(killed).Fit(t.Context()); err != nil {
			t.Fatalf("%+v, killed: %v", tc, err)
		}
		for _, f := range files {
			if !bytes.Equal(read(t, killed, f), read(t, whole, f)) {
				t.Errorf("%+v, killed: %s differs", tc, f)
			}
		}
		for _, at := range tc.stops {
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			tr := build(dir)
			tr.Callbacks = []train.Callback{&stopper{at, cancel}}
			if _, err := tr.Fit(ctx); err != nil && !errors.Is(err, train.ErrInterrupted) {
				t.Fatal(err)
			}
			cancel()
			if _, err := build(dir).Fit(t.Context()); err != nil {
				t.Fatalf("%+v, resumed after %d: %v", tc, at, err)
			}
			for _, f := range files {
				if !bytes.Equal(read(t, dir, f), read(t, whole, f)) {
					t.Errorf("%+v, interrupted after step %d: %s differs", tc, at, f)
				}
			}
		}
	}
}

var errBroken = errors.New("broken")

// breakAt ends a run by an error after a step.
type breakAt int64

func (b breakAt) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.StepDone && e.Step == int64(b) {
		return errBroken
	}
	return nil
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestResumeNeedsAverages: a checkpoint without averages cannot become a run with them.
func TestResumeNeedsAverages(t *testing.T) {
	dir := t.TempDir()
	if _, err := trainer(t, dir).Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	tr := averaging(t, dir)
	tr.Resume = true
	if _, err := tr.Fit(t.Context()); !errors.Is(err, train.ErrResume) || !strings.Contains(err.Error(), "no averages") {
		t.Errorf("error %v", err)
	}
}

func TestEMAAllocates(t *testing.T) {
	tr := averaging(t, t.TempDir())
	tr.Epochs, tr.SWAStart = 1, 0
	c := &counter{}
	tr.Callbacks = []train.Callback{c}
	if _, err := tr.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.bytes > 64<<10 {
		t.Errorf("a step allocates %d bytes, want at most the tape's 64 KB", c.bytes)
	}
}

// TestKeepLast: the run's model is the last one, evaluated once, whatever evaluations say before.
func TestKeepLast(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(tr *train.Trainer)
		steps  int64
		epoch  int
		evals  int
	}{
		{"epochs", func(*train.Trainer) {}, 33, 3, 3},
		{"eval_steps", func(tr *train.Trainer) { tr.EvalSteps = 10 }, 33, 3, 4},
		{"eval_steps on the last step", func(tr *train.Trainer) { tr.EvalSteps = 11 }, 33, 3, 3},
		{"max_steps", func(tr *train.Trainer) { tr.MaxSteps = 14 }, 14, 2, 2},
		{"patience", func(tr *train.Trainer) { tr.Patience = 1 }, 22, 2, 2},
		{"stopped by a callback", func(tr *train.Trainer) { tr.Callbacks = append(tr.Callbacks, stopAt(25)) }, 25, 3, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			tr := trainer(t, dir)
			tr.Keep, tr.MinDelta, tr.Patience = "last", 10, 0 // only the first evaluation is an improvement
			tc.change(tr)
			var last map[string][]float32
			evals := 0
			tr.Callbacks = append(tr.Callbacks, hear(func(e *train.Event) {
				switch {
				case e.Kind == train.StepDone:
					last = map[string][]float32{}
					for _, q := range tr.Params.All() {
						last[q.Name] = slices.Clone(q.Data)
					}
				case e.Kind == train.EvalDone && e.Split == "valid":
					evals++
				}
			}))
			r, err := tr.Fit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if r.BestStep != tc.steps || r.Steps != tc.steps || r.BestEpoch != tc.epoch || evals != tc.evals {
				t.Errorf("model of step %d of %d, epoch %d, after %d evaluations; want %d, %d, %d",
					r.BestStep, r.Steps, r.BestEpoch, evals, tc.steps, tc.epoch, tc.evals)
			}
			c, err := ckpt.Load(filepath.Join(dir, run.ModelFile))
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range c.Tensors {
				if !slices.Equal(x.Data, last[x.Name]) || !slices.Equal(tr.Params.Get(x.Name).Data, x.Data) {
					t.Errorf("%s is not that of the last step", x.Name)
				}
			}
		})
	}
}

// stopAt ends training after a step, as a callback may.
type stopAt int64

func (s stopAt) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.StepDone && e.Step == int64(s) {
		return train.ErrStop
	}
	return nil
}
