package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/train"
)

// stopper cancels the context after a step.
type stopper struct {
	at     int64
	cancel func()
}

func (s *stopper) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.StepDone && e.Step == s.at {
		s.cancel()
	}
	return nil
}

// TestResume interrupts a run after every third step, twice in a row, and resumes it: model and metrics must be those
// of the run that was not interrupted.
func TestResume(t *testing.T) {
	t.Parallel() // most of the time files are synced
	for _, variant := range []string{"lazy", "dense", "eval_steps"} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			build := func(dir string) *train.Trainer {
				tr := trainer(t, dir)
				if variant == "eval_steps" {
					tr.EvalSteps, tr.CheckpointSteps = 4, 3
				} else {
					tr.Embeddings = variant
				}
				tr.EmbeddingRegularizer = 1e-3
				return tr
			}
			whole := t.TempDir()
			want, err := build(whole).Fit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for at := int64(1); at < want.Steps; at += 3 {
				dir := t.TempDir()
				for _, stop := range []int64{at, at + 5} {
					ctx, cancel := context.WithCancel(t.Context())
					tr := build(dir)
					tr.Resume = true
					tr.Callbacks = append(tr.Callbacks, &stopper{stop, cancel})
					if _, err := tr.Fit(ctx); err != nil && !errors.Is(err, train.ErrInterrupted) {
						t.Fatalf("stopped at %d: %v", stop, err)
					}
					cancel()
				}
				tr := build(dir)
				tr.Resume = true
				got, err := tr.Fit(t.Context())
				if err != nil {
					t.Fatalf("resumed after %d: %v", at, err)
				}
				if !bytes.Equal(model(t, dir), model(t, whole)) {
					t.Errorf("interrupted after steps %d and %d: the model differs", at, at+5)
				}
				if fmt.Sprint(got.Test, got.Valid, got.Steps) != fmt.Sprint(want.Test, want.Valid, want.Steps) {
					t.Errorf("interrupted after step %d: result %v, want %v", at, got, want)
				}
				if g, w := lines(t, dir), lines(t, whole); g != w {
					t.Errorf("interrupted after step %d: metrics.jsonl has %d lines, want %d", at, g, w)
				}
			}
		})
	}
}

func lines(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}

func TestResumeRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := trainer(t, dir).Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "last", "state.json")
	good, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := filepath.Glob(filepath.Join(dir, "last", "model-*"))
	if err != nil || len(saved) != 1 {
		t.Fatalf("models in last/: %v, %v", saved, err)
	}
	for _, tc := range []struct {
		name   string
		change func(tr *train.Trainer)
		want   string
	}{
		{"other config", func(tr *train.Trainer) { tr.Digest = "e" }, "another config"},
		{"other model", func(tr *train.Trainer) { tr.Model = ctr.FM{EmbeddingDim: 3} }, "mlp.0.weight"},
		{"bad state", func(*train.Trainer) { os.WriteFile(state, []byte("{"), 0o666) }, "state.json"},
		{"truncated", func(*train.Trainer) {
			os.WriteFile(state, good, 0o666)
			os.Truncate(saved[0], 1000)
		}, "truncated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := trainer(t, dir)
			tr.Resume = true
			tc.change(tr)
			if _, err := tr.Fit(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
			os.WriteFile(state, good, 0o666)
		})
	}
}
