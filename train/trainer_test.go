package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/logs"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/schedule"
	"github.com/splice-ml/splice/train/task"
)

func splits(t *testing.T) *data.Splits {
	t.Helper()
	sc := &data.Schema{NumDense: 1, Features: []data.Feature{
		{Name: "n", Kind: data.Numeric, Table: "n"},
		{Name: "a", Kind: data.Categorical, Vocab: 9, Table: "a"},
		{Name: "b", Kind: data.Categorical, Vocab: 40, Table: "b"},
	}}
	part := func(name string, n int) data.Source {
		r := rng.New(rng.Key(1, name))
		var rows []data.Row
		for range n {
			a, b, x := int32(1+r.IntN(8)), int32(1+r.IntN(39)), float32(r.NormFloat64())
			z := float64(x) + math.Sin(float64(a)) + math.Cos(float64(a*b))
			y := float32(0)
			if r.Float64() < 1/(1+math.Exp(-2*z)) {
				y = 1
			}
			rows = append(rows, data.Row{IDs: map[string][]int32{"a": {a}, "b": {b}}, Dense: []float32{x}, Label: y})
		}
		src, err := data.FromRows(sc, rows)
		if err != nil {
			t.Fatal(err)
		}
		src.Shuffle, src.Seed = name == "train", 1
		return src
	}
	return &data.Splits{Schema: sc, Train: part("train", 700), Valid: part("valid", 300), Test: part("test", 300)}
}

func trainer(t *testing.T, dir string) *train.Trainer {
	t.Helper()
	o := train.Defaults()
	o.BatchSize, o.Epochs, o.LearningRate, o.LogSteps = 64, 3, 1e-2, 5
	o.Schedule = schedule.Plateau{Factor: 0.1, MinLR: 1e-6}
	tk, _ := task.Registry.Default("binary_classification")
	return &train.Trainer{
		Options: o, Task: tk, Data: splits(t), Seed: 5, Dir: dir, Digest: "d", Params: nn.NewParams(5),
		Model: ctr.DeepFM{EmbeddingDim: 4, Tower: ctr.Tower{
			HiddenUnits: []int{16, 8}, HiddenActivations: "relu",
			NetDropout: 0.2, BatchNorm: true,
		}},
		Callbacks: []train.Callback{&logs.JSONL{Path: filepath.Join(dir, "metrics.jsonl"), LogSteps: 5}},
	}
}

func model(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, run.ModelFile))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFitLearns(t *testing.T) {
	dir := t.TempDir()
	r, err := trainer(t, dir).Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Test["auc"] < 0.8 || r.Valid["auc"] < 0.8 {
		t.Errorf("auc: valid %v, test %v; want at least 0.8", r.Valid["auc"], r.Test["auc"])
	}
	if r.Steps != 33 {
		t.Errorf("%d steps, want 3 epochs of 11", r.Steps)
	}
}

func TestThreadsGiveTheSameBits(t *testing.T) {
	old := kernel.Threads()
	defer kernel.SetThreads(old)
	var want []byte
	for _, n := range []int{1, 2, 3} {
		kernel.SetThreads(n)
		dir := t.TempDir()
		if _, err := trainer(t, dir).Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := model(t, dir)
		if want == nil {
			want = got
		} else if !bytes.Equal(got, want) {
			t.Errorf("%d threads give another model than 1", n)
		}
	}
}

func TestSeedsDiffer(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for i, dir := range []string{a, b} {
		tr := trainer(t, dir)
		tr.Seed, tr.Params = uint64(i), nn.NewParams(uint64(i))
		if _, err := tr.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if bytes.Equal(model(t, a), model(t, b)) {
		t.Error("two seeds give the same model")
	}
}

// poison is a source whose batch number `at` has a value that is not finite.
type poison struct {
	data.Source
	at int
}

func (p poison) Batches(epoch, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		i := 0
		for b, err := range p.Source.Batches(epoch, size) {
			if i++; i == p.at && err == nil {
				b.Dense[3] = float32(math.Inf(1))
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

func TestDivergenceIsNamed(t *testing.T) {
	dir := t.TempDir()
	tr := trainer(t, dir)
	tr.CheckpointSteps = 2
	tr.Data.Train = poison{tr.Data.Train, 8}
	_, err := tr.Fit(t.Context())
	if err == nil {
		t.Fatal("a run with an infinite input goes through")
	}
	for _, want := range []string{"diverged in epoch 1, step 8", "last good checkpoint is step 6"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

// failing is a source that ends with an error.
type failing struct{ data.Source }

var errRow = errors.New("train.tsv:17: bad row")

func (f failing) Batches(int, int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) { yield(nil, errRow) }
}

func TestDataErrorEndsTheRun(t *testing.T) {
	tr := trainer(t, t.TempDir())
	tr.Data.Train = failing{tr.Data.Train}
	if _, err := tr.Fit(t.Context()); !errors.Is(err, errRow) {
		t.Errorf("error %v, want %v", err, errRow)
	}
}

func TestEarlyStop(t *testing.T) {
	tr := trainer(t, t.TempDir())
	tr.Epochs, tr.Patience, tr.MinDelta = 50, 2, 10 // no change is large enough
	r, err := tr.Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.BestEpoch != 1 || r.Steps != 33 {
		t.Errorf("best epoch %d after %d steps, want 1 after 3 epochs", r.BestEpoch, r.Steps)
	}
}

// TestBestModelIsTested: the test rows are scored by the best model, which is the one on disk, not by the last one.
func TestBestModelIsTested(t *testing.T) {
	dir := t.TempDir()
	tr := trainer(t, dir)
	tr.Epochs, tr.Patience, tr.MinDelta = 50, 2, 10
	r, err := tr.Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := nn.NewParams(99)
	prog, err := models.Compile(tr.Model, p, tr.Data.Schema, models.CompileOptions{Batch: tr.BatchSize})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if err := train.LoadParams(filepath.Join(dir, run.ModelFile), p); err != nil {
		t.Fatal(err)
	}
	m, err := train.Evaluate(t.Context(), prog, tr.Data.Test, tr.Task, train.EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(m.Metrics) != fmt.Sprint(r.Test) {
		t.Errorf("the model on disk (epoch %d) scores %v on the test rows, the result says %v", r.BestEpoch, m.Metrics, r.Test)
	}
}

func TestMaxSteps(t *testing.T) {
	tr := trainer(t, t.TempDir())
	tr.MaxSteps = 7
	r, err := tr.Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Steps != 7 || r.Valid == nil || r.Test == nil {
		t.Errorf("result %+v, want 7 steps, validated and tested", r)
	}
}

// TestStepAllocates bounds what a whole training step allocates, optimizer and norm included.
func TestStepAllocates(t *testing.T) {
	tr := trainer(t, t.TempDir())
	tr.Epochs = 1
	c := &counter{}
	tr.Callbacks = []train.Callback{c}
	if _, err := tr.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.bytes > 64<<10 {
		t.Errorf("a step allocates %d bytes, want at most the tape's 64 KB", c.bytes)
	}
}

// counter measures the bytes that a step allocates, once buffers have grown.
type counter struct {
	last  uint64
	bytes uint64
}

func (c *counter) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.StepDone {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if e.Step > 5 {
			c.bytes = max(c.bytes, m.TotalAlloc-c.last)
		}
		c.last = m.TotalAlloc
	}
	return nil
}

// TestShorterThanEvalSteps: a training of fewer steps than eval_steps is evaluated once, at its end.
func TestShorterThanEvalSteps(t *testing.T) {
	tr := trainer(t, t.TempDir())
	tr.EvalSteps = 1000
	evaluated := 0
	tr.Callbacks = append(tr.Callbacks, hear(func(e *train.Event) {
		if e.Kind == train.EvalDone && e.Split == "valid" {
			evaluated++
		}
	}))
	r, err := tr.Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if evaluated != 1 || r.BestStep != r.Steps || len(r.Valid) == 0 {
		t.Errorf("%d evaluations, best at step %d of %d, metrics %v", evaluated, r.BestStep, r.Steps, r.Valid)
	}
}
