package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

// shared are rows of two features that share a table, one of them multi-valued, and of one with its own.
func shared(t *testing.T) *data.Splits {
	t.Helper()
	sc := &data.Schema{Features: []data.Feature{
		{Name: "item", Kind: data.Categorical, Vocab: 12, Table: "item"},
		{Name: "clicks", Kind: data.Multi, Vocab: 12, MaxLen: 3, Table: "item"},
		{Name: "user", Kind: data.Categorical, Vocab: 30, Table: "user"},
	}}
	part := func(name string, n int) data.Source {
		r := rng.New(rng.Key(2, name))
		var rows []data.Row
		for range n {
			clicks := make([]int32, 3)
			for i := range clicks[:r.IntN(4)] {
				clicks[i] = int32(1 + r.IntN(11))
			}
			rows = append(rows, data.Row{
				IDs:   map[string][]int32{"item": {int32(r.IntN(12))}, "clicks": clicks, "user": {int32(1 + r.IntN(29))}},
				Label: float32(r.IntN(2)),
			})
		}
		src, err := data.FromRows(sc, rows)
		if err != nil {
			t.Fatal(err)
		}
		src.Shuffle, src.Seed = name == "train", 1
		return src
	}
	return &data.Splits{Schema: sc, Train: part("train", 300), Valid: part("valid", 100)}
}

// count is the plain count: of the ids in the rows of the first steps batches, padding left out.
func count(t *testing.T, d *data.Splits, size int, steps int64) map[string][]int64 {
	t.Helper()
	item, user := make([]int64, 12), make([]int64, 30)
	for epoch := 0; steps > 0; epoch++ {
		for b, err := range d.Train.Batches(epoch, size) {
			if err != nil {
				t.Fatal(err)
			}
			if steps == 0 {
				break
			}
			steps--
			for r := range b.N {
				for _, id := range append([]int32{b.IDs["item"][r]}, b.IDs["clicks"][3*r:3*r+3]...) {
					if id != 0 {
						item[id]++
					}
				}
				user[b.IDs["user"][r]]++
			}
		}
	}
	return map[string][]int64{
		"embedding.item.weight": item, "embedding.user.weight": user, "linear.item.weight": item, "linear.user.weight": user,
	}
}

func TestCounts(t *testing.T) {
	old := kernel.Threads()
	defer kernel.SetThreads(old)
	keep := "best"
	build := func(dir string) *train.Trainer {
		tr := trainer(t, dir)
		tr.Data, tr.Model, tr.Params = shared(t), ctr.FM{EmbeddingDim: 4}, nn.NewParams(1)
		tr.EvalSteps, tr.Patience, tr.Epochs, tr.Keep = 3, 0, 4, keep
		return tr
	}
	var files [][]byte
	for _, threads := range []int{1, 3} {
		kernel.SetThreads(threads)
		dir := t.TempDir()
		r, err := build(dir).Fit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := count(t, shared(t), 64, r.BestStep); !reflect.DeepEqual(r.Counts, want) {
			t.Errorf("%d threads: counts %v, want those of %d steps, %v", threads, r.Counts, r.BestStep, want)
		}
		read, err := train.LoadCounts(dir)
		if err != nil || !reflect.DeepEqual(read, r.Counts) {
			t.Errorf("on disk %v, %v; the result says %v", read, err, r.Counts)
		}
		files = append(files, counted(t, dir))
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the number of threads changes the file")
	}
	keep = "last"
	whole := t.TempDir()
	if _, err := build(whole).Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for at := int64(1); at < 20; at += 6 {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		tr := build(dir)
		tr.Callbacks = append(tr.Callbacks, &stopper{at, cancel})
		if _, err := tr.Fit(ctx); !errors.Is(err, train.ErrInterrupted) {
			t.Fatal(err)
		}
		cancel()
		tr = build(dir)
		tr.Resume = true
		if _, err := tr.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(counted(t, dir), counted(t, whole)) {
			t.Errorf("interrupted after step %d: other counts", at)
		}
	}
}

func counted(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, run.CountsFile))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCountsWithoutValidation: the model is the last one, and so are its counts.
func TestCountsWithoutValidation(t *testing.T) {
	tr := trainer(t, t.TempDir())
	tr.Data, tr.Model, tr.MaxSteps = shared(t), ctr.FM{EmbeddingDim: 4}, 7
	tr.Data.Valid = nil
	r, err := tr.Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := count(t, shared(t), 64, 7); !reflect.DeepEqual(r.Counts, want) {
		t.Errorf("counts %v, want %v", r.Counts, want)
	}
}

func TestFrozenTablesAreNotCounted(t *testing.T) {
	tr := trainer(t, t.TempDir())
	tr.Data, tr.Model, tr.Epochs = shared(t), ctr.FM{EmbeddingDim: 4}, 1
	tr.Compile.Freeze = func(name string) bool { return strings.HasPrefix(name, "embedding.") || name == "linear.user.weight" }
	r, err := tr.Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := count(t, shared(t), 64, r.BestStep)
	if len(r.Counts) != 1 || !reflect.DeepEqual(r.Counts["linear.item.weight"], want["linear.item.weight"]) {
		t.Errorf("counts %v, want those of linear.item.weight alone", r.Counts)
	}
}

func TestLoadCountsOfAnotherRun(t *testing.T) {
	dir := t.TempDir()
	if c, err := train.LoadCounts(dir); c != nil || err != nil {
		t.Errorf("no file: %v, %v; want nil, nil", c, err)
	}
	want := map[string][]int64{"a": {0, 1, 1 << 40}, "b": make([]int64, 9000)}
	want["b"][8999] = 7
	if err := train.SaveCounts(dir, want); err != nil {
		t.Fatal(err)
	}
	if got, err := train.LoadCounts(dir); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want what was saved", err)
	}
	if err := train.SaveCounts(dir, map[string][]int64{"a": {-1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := train.LoadCounts(dir); err == nil || !strings.Contains(fmt.Sprint(err), "tensor a") {
		t.Errorf("a count below 0: %v", err)
	}
	if err := os.Truncate(filepath.Join(dir, run.CountsFile), 40); err != nil {
		t.Fatal(err)
	}
	if _, err := train.LoadCounts(dir); err == nil || !strings.Contains(fmt.Sprint(err), run.CountsFile) {
		t.Errorf("a truncated file: %v", err)
	}
}
