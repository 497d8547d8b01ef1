package train_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/dist"
	"github.com/splice-ml/splice/train/optim"
)

// stopAfter cancels a context after so many steps of this rank.
type stopAfter struct {
	steps  int
	cancel func()
}

func (s *stopAfter) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.StepDone {
		if s.steps--; s.steps == 0 {
			s.cancel()
		}
	}
	return nil
}

// TestRanksResume stops a training by any of its ranks, or has a rank die in the middle of an exchange, and goes on with another number of
// ranks, until it is done: the bytes are those of one process that was not stopped.
func TestRanksResume(t *testing.T) {
	for _, c := range groupCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			whole := t.TempDir()
			build := func(dir string) *train.Trainer {
				tr := c.build(t, dir)
				tr.CheckpointSteps, tr.Resume = 3, true
				return tr
			}
			want, err := build(whole).Fit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			dir, r := t.TempDir(), rng.New(rng.Key(8, c.name))
			stops, deaths := 0, 0
			for try := 0; ; try++ {
				if try > 200 {
					t.Fatal("it does not come to an end")
				}
				size := 1 + r.IntN(4)
				victim, after, dies := r.IntN(size), 2+r.IntN(6), size > 1 && r.IntN(2) == 0
				world := dist.NewInproc(size, time.Minute)
				if dies {
					call := 30 + r.IntN(60)
					world.Fault = func(rank, n int) error {
						if rank == victim && n == call {
							return errors.New("killed")
						}
						return nil
					}
				}
				trainers := make([]*train.Trainer, size)
				for k := range trainers {
					trainers[k] = build(dir)
				}
				got, errs := fitWorld(world, size, func(rank int, g dist.Group) (*train.Result, error) {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					tr := inGroup(trainers[rank], g)
					if rank == victim && !dies {
						tr.Callbacks = append(slices.Clone(tr.Callbacks), &stopAfter{after, cancel})
					}
					return tr.Fit(ctx)
				})
				switch err := errs[0]; {
				case err == nil:
					if e := errors.Join(errs...); e != nil {
						t.Fatalf("rank 0 is done, another one is not: %v", e)
					}
					if stops == 0 || deaths == 0 {
						t.Logf("stopped %d times, died %d times", stops, deaths)
					}
					if !bytes.Equal(model(t, dir), model(t, whole)) {
						t.Error("the weights are others than those of one process that was not stopped")
					}
					if diff := cmp.Diff([]any{want.Valid, want.Test, want.Averages, want.Counts}, []any{got[0].Valid, got[0].Test, got[0].Averages, got[0].Counts}); diff != "" {
						t.Errorf("the result differs: %s", diff)
					}
					return
				case dies:
					deaths++
					for k, e := range errs {
						if k == victim && !strings.Contains(e.Error(), "killed") || k != victim && !errors.Is(e, dist.ErrLost) {
							t.Fatalf("rank %d: %v after rank %d died", k, e, victim)
						}
					}
				default:
					stops++
					for k, e := range errs {
						if !errors.Is(e, train.ErrInterrupted) || size > 1 && !errors.As(e, new(*dist.Common)) || e.Error() != err.Error() {
							t.Fatalf("rank %d of %d: %v, rank 0: %v", k, size, e, err)
						}
					}
				}
			}
		})
	}
}

// TestRanksDiverge holds that all ranks end alike if the loss of a shard of one of them is no number.
func TestRanksDiverge(t *testing.T) {
	t.Parallel()
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	trainers := make([]*train.Trainer, 3)
	for r := range trainers {
		trainers[r] = groupCases()[1].build(t, dirs[r])
		trainers[r].LearningRate = 1e30
	}
	_, errs := fitGroup(t, 3, func(r int, g dist.Group) (*train.Result, error) { return inGroup(trainers[r], g).Fit(t.Context()) })
	for r, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "the training diverged") || !errors.As(err, new(*dist.Common)) || err.Error() != errs[0].Error() {
			t.Errorf("rank %d: %v", r, err)
		}
	}
}

// TestRanksRefuse holds what several ranks cannot train.
func TestRanksRefuse(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		shards int
		want   string
	}{
		{0, "3 ranks are dealt the shards of each batch, of which there are 1: set train.shards to a power of two of 3 or more, or start fewer ranks"},
		{2, "of which there are 2"},
	} {
		trainers := make([]*train.Trainer, 3)
		for r := range trainers {
			trainers[r] = trainer(t, t.TempDir())
			trainers[r].Shards = tc.shards
		}
		_, errs := fitGroup(t, 3, func(r int, g dist.Group) (*train.Result, error) { return inGroup(trainers[r], g).Fit(t.Context()) })
		for r, err := range errs {
			if err == nil || !strings.Contains(err.Error(), tc.want) || !errors.As(err, new(*dist.Common)) {
				t.Errorf("%d shards, rank %d: %v, want %s", tc.shards, r, err, tc.want)
			}
		}
	}
	for _, tc := range []struct {
		change func(o *train.Options)
		want   string
	}{
		{func(o *train.Options) { o.Shards = 3 }, "shards: must be 0 or a power of two, at most 4096"},
		{func(o *train.Options) { o.Shards = -2 }, "must be 0 or a power of two"},
		{func(o *train.Options) { o.Shards, o.BatchSize = 8, 100 }, "must divide batch_size, and 8 does not divide 100"},
		{func(o *train.Options) { o.Shards, o.GradientAccumulation = 4, 2 }, "set gradient_accumulation: 1, batch_size: 8192 and shards: 4 or more"},
	} {
		o := train.Defaults()
		tc.change(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %s", err, tc.want)
		}
	}
}

// TestShardsAreABatch compares steps of shards with steps of whole batches, which they are but for the order of sums, without batch norm.
func TestShardsAreABatch(t *testing.T) {
	t.Parallel()
	fit := func(shards int) *train.Trainer {
		tr := groupCases()[0].build(t, t.TempDir())
		tr.Shards, tr.EMA, tr.EmbeddingL1, tr.Keep, tr.Patience = shards, 0, 0, "last", 0
		tr.Model = plainDeepFM()
		if _, err := tr.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	whole, shards := fit(0), fit(4)
	for _, q := range whole.Params.All() {
		for i, v := range shards.Params.Get(q.Name).Data {
			if math.Abs(float64(v-q.Data[i])) > 2e-3 {
				t.Fatalf("value %d of %s is %v, want %v", i, q.Name, v, q.Data[i])
			}
		}
	}
	one := fit(1)
	for _, q := range whole.Params.All() {
		if !slices.Equal(one.Params.Get(q.Name).Data, q.Data) {
			t.Errorf("with one shard, %s has other bits than without", q.Name)
		}
	}
}

// TestShardsAreAccumulation compares steps of shards with steps of as many batches, which have the same random numbers and, one after the
// other, move the running statistics alike.
func TestShardsAreAccumulation(t *testing.T) {
	t.Parallel()
	fit := func(change func(o *train.Options)) *train.Trainer {
		tr := trainer(t, t.TempDir())
		tr.Optimizer, tr.LearningRate, tr.Epochs, tr.Keep, tr.Patience = optim.SGD{}, .01, 1, "last", 0
		change(&tr.Options)
		if _, err := tr.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	want := fit(func(o *train.Options) { o.BatchSize, o.GradientAccumulation = 16, 4 })
	got := fit(func(o *train.Options) { o.BatchSize, o.Shards = 64, 4 })
	for _, q := range want.Params.All() {
		for i, v := range got.Params.Get(q.Name).Data {
			if math.Abs(float64(v-q.Data[i])) > 2e-5 {
				t.Fatalf("value %d of %s is %v, want %v", i, q.Name, v, q.Data[i])
			}
		}
	}
	// 700 rows are 233 shards of 3 rows and one of a single row, which has no variance and moves nothing.
	want = fit(func(o *train.Options) { o.BatchSize, o.GradientAccumulation, o.LearningRate = 3, 4, 1e-6 })
	got = fit(func(o *train.Options) { o.BatchSize, o.Shards, o.LearningRate = 12, 4, 1e-6 })
	for _, q := range want.Params.All() {
		for i, v := range got.Params.Get(q.Name).Data {
			if q.Kind == nn.Buffer && math.Abs(float64(v-q.Data[i])) > 2e-5 {
				t.Fatalf("with a shard of a single row, value %d of %s is %v, want %v", i, q.Name, v, q.Data[i])
			}
		}
	}
}

// TestShardsAllocateNothing counts the allocations of steady steps of shards, in one process.
func TestShardsAllocateNothing(t *testing.T) {
	old := kernel.Threads()
	defer kernel.SetThreads(old)
	kernel.SetThreads(1)
	for _, c := range groupCases()[:2] {
		tr := c.build(t, t.TempDir())
		tr.Callbacks = nil
		whole := *tr
		whole.Shards = 0
		if got, want := train.StepAllocs(t, tr), train.StepAllocs(t, &whole); got > want {
			t.Errorf("%s: %v allocations a step, one of a whole batch has %v", c.name, got, want)
		}
	}
}
