package train_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/optim"
	"github.com/splice-ml/splice/train/schedule"
	"github.com/splice-ml/splice/train/task"
)

// firstToken is a teacher that goes by the first token.
type firstToken struct{}

func (firstToken) Teach(_ context.Context, b *data.Batch) ([]float32, error) {
	z := make([]float32, 2*b.Size)
	for i := range b.N {
		z[2*i+int(b.Tokens.IDs[i*b.Tokens.L])%2] = 3
	}
	return z, nil
}

// steps records the events of steps.
type steps struct{ lr, loss, rows []float64 }

func (s *steps) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.StepDone {
		s.lr, s.loss, s.rows = append(s.lr, e.LR), append(s.loss, e.Loss), append(s.rows, float64(e.Rows))
	}
	return nil
}

// TestAccumulationIsABiggerBatch compares steps of several batches with steps of one of as many rows: 700 rows are 11 batches of
// 64, the last one of 60.
func TestAccumulationIsABiggerBatch(t *testing.T) {
	t.Parallel()
	for _, embeddings := range []string{"lazy", "dense"} {
		run := func(size, of int) (*train.Trainer, *steps, *train.Result) {
			tr := trainer(t, t.TempDir())
			tr.Model = ctr.DeepFM{EmbeddingDim: 4, Tower: ctr.Tower{HiddenUnits: []int{8}, HiddenActivations: "relu"}}
			tr.Optimizer, tr.LearningRate, tr.Schedule = optim.SGD{Momentum: 0.9}, 0.05, schedule.Linear{Warmup: schedule.Warmup{WarmupSteps: 2}}
			tr.BatchSize, tr.GradientAccumulation, tr.Embeddings, tr.Keep, tr.Patience, tr.MaxGradNorm = size, of, embeddings, "last", 0, 0.2
			log := &steps{}
			tr.Callbacks = []train.Callback{log}
			r, err := tr.Fit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return tr, log, r
		}
		big, want, wr := run(256, 1)
		small, got, gr := run(64, 4)
		if gr.Steps != 9 || wr.Steps != 9 || !slices.Equal(got.lr, want.lr) || !slices.Equal(got.rows, want.rows) || want.rows[2] != 188 {
			t.Fatalf("%d steps of rows %v at rates %v, want %d of %v at %v", gr.Steps, got.rows, got.lr, wr.Steps, want.rows, want.lr)
		}
		for i := range got.loss {
			if math.Abs(got.loss[i]-want.loss[i]) > 1e-5 {
				t.Errorf("%s: loss of step %d is %v, want %v", embeddings, i+1, got.loss[i], want.loss[i])
			}
		}
		for _, q := range big.Params.All() {
			for i, v := range small.Params.Get(q.Name).Data {
				if math.Abs(float64(v-q.Data[i])) > 1e-5 {
					t.Fatalf("%s: value %d of %s is %v, want %v", embeddings, i, q.Name, v, q.Data[i])
				}
			}
		}
		for name, n := range wr.Counts {
			if !slices.Equal(gr.Counts[name], n) {
				t.Errorf("counts of %s are %v, want %v", name, gr.Counts[name], n)
			}
		}
	}
}

// Tokens to predict count, not rows: batches have different numbers of them.
func TestAccumulationOfTokens(t *testing.T) {
	t.Parallel()
	run := func(size, of int) *train.Trainer {
		tr := reader(t, t.TempDir())
		tr.Model, tr.Data = bag{Dim: 6, Masked: true}, texts(0.3)
		tr.Data.Train.(*textSource).shuffle = false
		for i := range tr.Data.Train.(*textSource).rows { // the first half is short
			if q := &tr.Data.Train.(*textSource).rows[i]; i%16 < 8 && len(q.tokens) > 4 {
				q.tokens = q.tokens[:4]
			}
		}
		tr.Task, _ = task.Registry.Default("masked_lm")
		tr.Optimizer, tr.BatchSize, tr.GradientAccumulation, tr.MaxSteps, tr.Keep, tr.MaxGradNorm = optim.SGD{}, size, of, 3, "last", 0
		tr.LearningRate = 0.5
		if _, err := tr.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	big, small := run(16, 1), run(8, 2)
	for _, q := range big.Params.All() {
		for i, v := range small.Params.Get(q.Name).Data {
			if math.Abs(float64(v-q.Data[i])) > 1e-5 {
				t.Fatalf("value %d of %s is %v, want %v", i, q.Name, v, q.Data[i])
			}
		}
	}
}

// canceller ends the context when the n-th batch of the run is read.
type canceller struct {
	data.Skipper
	n      int
	cancel func()
}

func (c *canceller) BatchesFrom(epoch, size, skip int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		for b, err := range c.Skipper.BatchesFrom(epoch, size, skip) {
			if c.n--; c.n == 0 {
				c.cancel()
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// TestAccumulationResume interrupts runs at each batch: a step is made whole, and the run goes on from it.
func TestAccumulationResume(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]func(*testing.T, string) *train.Trainer{"text": reader, "tables": trainer} {
		build := func(dir string) *train.Trainer {
			tr := one(t, dir)
			// 11 or 12 batches: steps of 5, 5 and the rest
			tr.Epochs, tr.GradientAccumulation, tr.CheckpointSteps, tr.Resume = 2, 5, 1, true
			return tr
		}
		whole := t.TempDir()
		want, err := build(whole).Fit(t.Context())
		if err != nil || want.Steps != 6 {
			t.Fatalf("%s: %d steps, %v; want 6", name, want.Steps, err)
		}
		for at := 1; at <= 22; at += 3 {
			dir := t.TempDir()
			tr := build(dir)
			ctx, cancel := context.WithCancel(t.Context())
			tr.Data.Train = &canceller{tr.Data.Train.(data.Skipper), at, cancel}
			_, err := tr.Fit(ctx)
			cancel()
			if !errors.Is(err, train.ErrInterrupted) {
				t.Fatalf("%s: not interrupted at batch %d: %v", name, at, err)
			}
			got, err := build(dir).Fit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.Steps != 6 || !bytes.Equal(model(t, dir), model(t, whole)) || !maps.EqualFunc(got.Counts, want.Counts, slices.Equal) {
				t.Errorf("%s: interrupted at batch %d: another model or other counts after %d steps", name, at, got.Steps)
			}
		}
	}
}
