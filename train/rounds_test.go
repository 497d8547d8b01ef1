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

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/rounds"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/schedule"
)

// inRounds returns a training in rounds by workers whose rows are shards of the trainer's, 11 steps a pass.
func inRounds(t *testing.T, dir string, workers int) *train.Rounds {
	t.Helper()
	r := &train.Rounds{Trainer: *trainer(t, dir), Rounds: rounds.Defaults()}
	r.Rounds.Every = .25
	r.EmbeddingRegularizer, r.Patience = 1e-3, 0
	for k, src := range shards(t, r.Data.Train, "a", workers) {
		r.Workers = append(r.Workers, train.RoundsWorker{Train: src, Seed: uint64(5 + k)})
	}
	return r
}

func shards(t *testing.T, src data.Source, by string, n int) []data.Source {
	t.Helper()
	out, err := data.Shard(t.Context(), src, data.ShardOptions{By: by, Count: n, Seed: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func fitRounds(t *testing.T, r *train.Rounds) *train.Result {
	t.Helper()
	got, err := r.Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestOneWorker: rounds of one worker are an ordinary training, bit by bit, however often it is merged with itself.
func TestOneWorker(t *testing.T) {
	t.Parallel()
	for _, embeddings := range []string{"lazy", "dense"} {
		for _, of := range []int{1, 2} {
			whole, dir := t.TempDir(), t.TempDir()
			tr := trainer(t, whole)
			tr.Embeddings, tr.EmbeddingRegularizer, tr.Patience, tr.GradientAccumulation = embeddings, 1e-3, 0, of
			tr.LearningRate, tr.Epochs = .1, 5 // so high that the schedule lowers it
			want, err := tr.Fit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r := &train.Rounds{Trainer: *trainer(t, dir), Rounds: rounds.Defaults()}
			r.Embeddings, r.EmbeddingRegularizer, r.Patience, r.GradientAccumulation = embeddings, 1e-3, 0, of
			r.LearningRate, r.Epochs = .1, 5
			r.Rounds.Every, r.Rounds.States = .25, "all"
			r.Workers = []train.RoundsWorker{{Train: r.Data.Train, Seed: r.Seed}}
			got := fitRounds(t, r)
			if !bytes.Equal(model(t, dir), model(t, whole)) {
				t.Errorf("%s, %d batches a step: another model", embeddings, of)
			}
			if fmt.Sprint(got.Valid, got.Test, got.Steps, got.BestEpoch, got.Counts) != fmt.Sprint(want.Valid, want.Test, want.Steps, want.BestEpoch, want.Counts) {
				t.Errorf("%s, %d batches a step: %+v, want %+v", embeddings, of, got, want)
			}
			if d := cmp.Diff(logged(t, whole), logged(t, dir)); d != "" || !strings.Contains(strings.Join(logged(t, dir), ""), `"lr":0.01`) {
				t.Errorf("%s, %d batches a step: metrics.jsonl, or one rate: %s", embeddings, of, d)
			}
		}
	}
}

// TestEqualShards: two workers with the same rows in the same order are one that has half of the batch and, of each row, half of the L2
// where all rows are updated. The weights of numbers, which have all of it, are frozen.
func TestEqualShards(t *testing.T) {
	t.Parallel()
	for _, embeddings := range []string{"lazy", "dense"} {
		whole, dir := t.TempDir(), t.TempDir()
		tr := trainer(t, whole)
		half := shards(t, tr.Data.Train, "rows", 2)[0] // 350 rows
		tr.Data.Train = half
		tr.Embeddings, tr.EmbeddingRegularizer, tr.Patience, tr.BatchSize = embeddings, 1.0/512, 0, 32
		tr.Freeze = []string{"*.n.weight"}
		if embeddings == "lazy" { // see TestLazyFactors
			tr.EmbeddingRegularizer = 0
		}
		if _, err := tr.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := &train.Rounds{Trainer: *trainer(t, dir), Rounds: rounds.Defaults()}
		r.Embeddings, r.EmbeddingRegularizer, r.Freeze = embeddings, 2*tr.EmbeddingRegularizer, tr.Freeze
		r.Rounds.Every, r.Rounds.Growth, r.Rounds.Rate = .25, 0, 1
		r.Workers = []train.RoundsWorker{{Train: half, Seed: r.Seed}, {Train: half, Seed: r.Seed}}
		fitRounds(t, r)
		near(t, embeddings, dir, whole, 2e-4)
	}
}

// near compares the models of two runs, whose sums were rounded in other orders.
func near(t *testing.T, what, dir, want string, tolerance float64) {
	t.Helper()
	p, q := nn.NewParams(1), nn.NewParams(1)
	a, b := trainer(t, t.TempDir()), trainer(t, t.TempDir())
	a.Params, b.Params = p, q
	for _, x := range []struct {
		tr  *train.Trainer
		dir string
	}{{a, dir}, {b, want}} {
		x.tr.Epochs, x.tr.MaxSteps = 1, 1
		if _, err := x.tr.Fit(t.Context()); err != nil { // makes the parameters
			t.Fatal(err)
		}
		if err := train.LoadParams(filepath.Join(x.dir, run.ModelFile), x.tr.Params); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range p.All() {
		y := q.Get(x.Name)
		for i := range x.Data {
			if d := float64(x.Data[i] - y.Data[i]); d > tolerance || d < -tolerance {
				t.Fatalf("%s: %s[%d] is %v, want %v", what, x.Name, i, x.Data[i], y.Data[i])
			}
		}
	}
}

// TestRoundsLearn: workers that saw other values of a feature learn what neither of them could, and merging states helps no less than
// keeping them would. What a worker counts is added up.
func TestRoundsLearn(t *testing.T) {
	t.Parallel()
	for _, states := range []string{"rows", "all", "keep"} {
		dir := t.TempDir()
		r := inRounds(t, dir, 3)
		r.Rounds.States, r.Rounds.Outer = states, rounds.Nesterov{LearningRate: 1, Beta: .2}
		log := &steps{}
		r.Callbacks = append(r.Callbacks, log)
		got := fitRounds(t, r)
		if log.rows[0] != 22 || log.rows[3] != 21 || log.rows[6] != 21 { // 64 in all; the first merge is after 3 steps of each
			t.Errorf("batches of %v rows", log.rows[:9])
		}
		if got.Test["auc"] < .8 || got.Steps != 3*33 {
			t.Errorf("%s: %+v", states, got)
		}
		sum := int64(0)
		for _, n := range got.Counts["embedding.a.weight"] {
			sum += n
		}
		if got.BestEpoch == 3 && sum < 3*600 {
			t.Errorf("%s: %d values counted in 3 passes over 700 rows: %v", states, sum, got.Counts)
		}
	}
}

// TestRoundsDiffer: each option has a say in the model.
func TestRoundsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, set := range map[string]func(*train.Rounds){
		"as it is": func(*train.Rounds) {},
		"every":    func(r *train.Rounds) { r.Rounds.Every = .5 },
		"steps":    func(r *train.Rounds) { r.Rounds.Every, r.Rounds.Steps = 0, 4 },
		"growth":   func(r *train.Rounds) { r.Rounds.Growth = 1 },
		"all":      func(r *train.Rounds) { r.Rounds.States = "all" },
		"keep":     func(r *train.Rounds) { r.Rounds.States = "keep" },
		"rate":     func(r *train.Rounds) { r.Rounds.Rate = 1 },
		"outer":    func(r *train.Rounds) { r.Rounds.Outer = rounds.Nesterov{LearningRate: .7, Beta: .5} },
		"own":      func(r *train.Rounds) { r.Workers[1].Start = nn.NewParams(77) },
		"l2":       func(r *train.Rounds) { r.EmbeddingRegularizer = 0 },
	} {
		dir := t.TempDir()
		r := inRounds(t, dir, 2)
		set(r)
		if r.Workers[1].Start != nil { // filled, as a Lab's are
			tr := trainer(t, t.TempDir())
			tr.Params, tr.MaxSteps = nn.NewParams(77), 1
			if _, err := tr.Fit(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.Workers[1].Start = tr.Params
		}
		fitRounds(t, r)
		m := string(model(t, dir))
		if other, ok := seen[m]; ok {
			t.Errorf("%s has the model of %s", name, other)
		}
		seen[m] = name
	}
}

func TestRoundsThreads(t *testing.T) {
	old := kernel.Threads()
	defer kernel.SetThreads(old)
	var want []byte
	for _, n := range []int{1, 2, 5} {
		kernel.SetThreads(n)
		dir := t.TempDir()
		fitRounds(t, inRounds(t, dir, 3))
		if got := model(t, dir); want == nil {
			want = got
		} else if !bytes.Equal(got, want) {
			t.Errorf("%d threads give another model than 1", n)
		}
	}
}

// TestRoundsResume interrupts a training in rounds after every seventh step of all workers, twice in a row, and resumes it: model and metrics
// must be those of the training that was not interrupted.
func TestRoundsResume(t *testing.T) {
	t.Parallel()
	for _, variant := range []string{"lazy", "dense", "own", "steps"} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			build := func(dir string) *train.Rounds {
				r := inRounds(t, dir, 2)
				r.Epochs = 2
				switch variant {
				case "dense":
					r.Embeddings, r.Rounds.Outer = "dense", rounds.Nesterov{LearningRate: .7, Beta: .5}
					r.Schedule = schedule.Plateau{Factor: .5, MinLR: 1e-6, Patience: 0}
				case "own":
					r.Rounds.States = "all"
					tr := trainer(t, t.TempDir())
					tr.Params, tr.MaxSteps = nn.NewParams(77), 1
					if _, err := tr.Fit(t.Context()); err != nil {
						t.Fatal(err)
					}
					r.Workers[1].Start = tr.Params
				case "steps":
					r.Rounds.Every, r.Rounds.Steps, r.Rounds.States, r.EvalSteps, r.CheckpointSteps = 0, 4, "keep", 3, 5
				}
				return r
			}
			whole := t.TempDir()
			want := fitRounds(t, build(whole))
			for at := int64(1); at < want.Steps; at += 7 {
				dir := t.TempDir()
				for _, stop := range []int64{at, at + 5} {
					ctx, cancel := context.WithCancel(t.Context())
					r := build(dir)
					r.Resume = true
					r.Callbacks = append(r.Callbacks, &stopper{stop, cancel})
					if _, err := r.Fit(ctx); err != nil && !errors.Is(err, train.ErrInterrupted) {
						t.Fatalf("stopped at %d: %v", stop, err)
					}
					cancel()
				}
				r := build(dir)
				r.Resume = true
				got, err := r.Fit(t.Context())
				if err != nil {
					t.Fatalf("resumed after %d: %v", at, err)
				}
				if !bytes.Equal(model(t, dir), model(t, whole)) {
					t.Errorf("interrupted after steps %d and %d: the model differs", at, at+5)
				}
				if fmt.Sprint(got.Test, got.Valid, got.Steps, got.Counts) != fmt.Sprint(want.Test, want.Valid, want.Steps, want.Counts) {
					t.Errorf("interrupted after step %d: result %v, want %v", at, got, want)
				}
				if d := cmp.Diff(logged(t, whole), logged(t, dir)); d != "" {
					t.Errorf("interrupted after steps %d and %d: metrics.jsonl: %s", at, at+5, d)
				}
			}
		})
	}
}

// TestRoundsRefuse: what no rounds can be made of, and states that are of another training or not as they were written.
func TestRoundsRefuse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fitRounds(t, inRounds(t, dir, 2))
	last := filepath.Join(dir, run.LastDir)
	worker := filepath.Join(last, run.LastWorker(1, 66))
	for _, tc := range []struct {
		name string
		set  func(*train.Rounds)
		want string
	}{
		{"no workers", func(r *train.Rounds) { r.Workers = nil }, "no workers"},
		{"small batch", func(r *train.Rounds) { r.BatchSize = 1 }, "raise train.batch_size"},
		{"another config", func(r *train.Rounds) { r.Digest = "e" }, "another config"},
		{"another seed", func(r *train.Rounds) { r.Seed = 6 }, "seed"},
		{"fewer passes", func(r *train.Rounds) { r.Epochs = 1 }, "steps"},
		{"a worker less", func(r *train.Rounds) { r.Workers = r.Workers[:1] }, "1 workers"},
		{"a worker's file of another time", func(*train.Rounds) {
			b, err := os.ReadFile(filepath.Join(last, run.LastWorker(0, 66)))
			if err != nil {
				t.Fatal(err)
			}
			write(t, worker, string(b))
		}, "checksum"},
		{"no file of a worker", func(*train.Rounds) { os.Remove(worker) }, run.LastWorker(1, 66)},
		{"a changed state", func(*train.Rounds) { write(t, filepath.Join(last, run.StateFile), "{}") }, run.StateFile},
	} {
		r := inRounds(t, dir, 2)
		r.Resume, r.Callbacks = true, nil
		tc.set(r)
		if _, err := r.Fit(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}
