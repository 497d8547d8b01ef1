package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/seq"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/logs"
	"github.com/splice-ml/splice/train/task"
)

// historyCase is a way to train on histories.
type historyCase struct {
	name       string
	embeddings string
	model      models.Model
	task       task.Task
	rows       string
}

// historyCases are candidates, and next items with each loss and each way to draw negatives.
func historyCases() []historyCase {
	columns := seq.Columns{Item: "item", History: "history", EmbeddingDim: 6, InitStd: .1}
	blocks := seq.Transformer{NumBlocks: 1, NumHeads: 2, Dropout: .2}
	head := seq.Head{HiddenUnits: []int{8}, HiddenActivations: "relu", NetDropout: .1}
	ranked := []string{"ndcg@5", "hr@10"}
	wide := columns
	wide.EmbeddingDim = 64 // gradients of so wide a table are merged in parts
	items := seq.SASRec{Columns: wide, Transformer: blocks, Output: seq.Output{Output: seq.Items}}
	out := []historyCase{
		{"candidates", "lazy", seq.SASRec{Columns: columns, Transformer: blocks, Head: head}, task.Binary{MetricNames: []string{"auc", "hr@5"}}, "candidates"},
		{
			"candidates of popularity", "dense",
			seq.GRU4Rec{Columns: columns, HiddenSize: 5, Head: head},
			task.Binary{MetricNames: []string{"auc", "gauc"}},
			"candidates\nnegatives_by: popularity",
		},
		{"full", "lazy", items, task.NextItem{Objective: "full", Seen: "exclude", MetricNames: ranked}, "sequences"},
	}
	for _, t := range []task.NextItem{
		{Objective: "sampled_softmax", NegativesBy: models.Uniform},
		{Objective: "sampled_softmax", NegativesBy: models.Popularity, Exponent: .5, LogQ: true},
		{Objective: "sampled_softmax", NegativesBy: models.InBatch, LogQ: true},
		{Objective: "gbce", NegativesBy: models.Uniform, Calibration: .75},
		{Objective: "bce", NegativesBy: models.Popularity, Exponent: 1},
		{Objective: "bpr", NegativesBy: models.InBatch},
	} {
		t.Negatives, t.Seen, t.MetricNames = 5, "exclude", ranked
		for _, t.Shared = range []bool{true, false} {
			embeddings := "lazy"
			if t.Shared {
				embeddings = "dense"
			}
			out = append(out, historyCase{fmt.Sprintf("%s by %s, shared %v", t.Objective, t.NegativesBy, t.Shared), embeddings, items, t, "sequences"})
		}
	}
	for i, t := range []task.NextItem{{Objective: "full"}, {Objective: "sampled_softmax", NegativesBy: models.Uniform, Negatives: 5}} {
		t.Seen, t.MetricNames = "exclude", ranked
		dropped := items
		dropped.ItemDropout, dropped.EmbeddingScale = .2, 1
		out = append(out, historyCase{t.Objective + " of dropped items", []string{"lazy", "dense"}[i], dropped, t, "sequences"})
	}
	return out
}

// trainer returns a training of c over data that is made anew.
func (c historyCase) trainer(t *testing.T, dir string) *train.Trainer {
	t.Helper()
	d := datatest.Section(t, "type: synthetic_interactions\nusers: 70\nitems: 40\nactions: 7\nmax_len: 6\nnegatives: 1\neval_negatives: 9\nrows: "+c.rows)
	opened, _ := datatest.Options(t)
	opened.Seed = 5
	o := train.Defaults()
	o.BatchSize, o.Epochs, o.LearningRate, o.LogSteps, o.Embeddings = 16, 3, 1e-2, 1, c.embeddings
	if c.rows != "sequences" {
		o.BatchSize = 150
	}
	return &train.Trainer{
		Options: o, Task: c.task, Data: datatest.Open(t, d, opened), Seed: 5, Dir: dir, Digest: "d", Params: nn.NewParams(5), Model: c.model,
		Callbacks: []train.Callback{&logs.JSONL{Path: filepath.Join(dir, "metrics.jsonl"), LogSteps: 1}},
	}
}

// TestHistoryBits holds that a training on histories has the same bytes of weights and the same metrics for 1, 2 and 3 threads, and
// after it was interrupted twice.
func TestHistoryBits(t *testing.T) {
	old := kernel.Threads()
	defer kernel.SetThreads(old)
	var weights [][]byte
	for _, c := range historyCases() {
		t.Run(c.name, func(t *testing.T) {
			var whole string
			var want *train.Result
			for _, threads := range []int{1, 2, 3} {
				kernel.SetThreads(threads)
				dir := t.TempDir()
				got, err := c.trainer(t, dir).Fit(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if whole == "" {
					whole, want = dir, got
					weights = append(weights, model(t, dir))
				}
				if !bytes.Equal(model(t, dir), model(t, whole)) {
					t.Errorf("with %d threads the weights are others than with 1", threads)
				}
				if d := cmp.Diff(logged(t, whole), logged(t, dir)); d != "" {
					t.Errorf("with %d threads: metrics.jsonl: %s", threads, d)
				}
			}
			if want.Steps < 12 {
				t.Fatalf("%d steps are too few", want.Steps)
			}
			dir := t.TempDir()
			for _, stop := range []int64{2, want.Steps/2 + 1, 0} {
				ctx, cancel := context.WithCancel(t.Context())
				tr := c.trainer(t, dir)
				tr.Resume = true
				tr.Callbacks = append(tr.Callbacks, &stopper{stop, cancel})
				got, err := tr.Fit(ctx)
				cancel()
				switch {
				case stop > 0 && !errors.Is(err, train.ErrInterrupted), stop == 0 && err != nil:
					t.Fatalf("stopped at %d: %v", stop, err)
				case stop == 0 && fmt.Sprint(got.Test, got.Valid, got.Steps) != fmt.Sprint(want.Test, want.Valid, want.Steps):
					t.Errorf("resumed: %v, want %v", got, want)
				}
			}
			if !bytes.Equal(model(t, dir), model(t, whole)) {
				t.Error("resumed: the weights are others than those of the training that was not interrupted")
			}
			if d := cmp.Diff(logged(t, whole), logged(t, dir)); d != "" {
				t.Errorf("resumed: metrics.jsonl: %s", d)
			}
		})
	}
	for i := range weights {
		if slices.ContainsFunc(weights[:i], func(w []byte) bool { return bytes.Equal(w, weights[i]) }) {
			t.Errorf("%s has the weights of another case", historyCases()[i].name)
		}
	}
}

// TestEpochDraws holds that the rows of an epoch depend on the seed and the epoch alone: on another reading, from the middle on, and after
// other epochs. Epochs have other orders, and other negatives.
func TestEpochDraws(t *testing.T) {
	for _, rows := range []string{"candidates", "candidates\nnegatives_by: popularity", "sequences"} {
		open := func(seed uint64) data.Source {
			d := datatest.Section(t, "type: synthetic_interactions\nusers: 70\nitems: 40\nactions: 7\nmax_len: 6\nnegatives: 2\neval_negatives: 9\nrows: "+rows)
			o, _ := datatest.Options(t)
			o.Seed = seed
			return datatest.Open(t, d, o).Train
		}
		read := func(src data.Source, epoch, skip int) (out []string) {
			for b, err := range src.(data.Skipper).BatchesFrom(epoch, 16, skip) {
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, fmt.Sprint(b.IDs, b.Label, b.Group, b.N))
			}
			return out
		}
		src := open(1)
		first, second := read(src, 0, 0), read(src, 1, 0)
		again := open(1)
		if !slices.Equal(read(again, 1, 0), second) || !slices.Equal(read(again, 0, 0), first) || !slices.Equal(read(src, 1, 3), second[3:]) {
			t.Errorf("%q: an epoch has other rows when it is read again", rows)
		}
		if n := len(read(src, 0, len(first))) + len(read(src, 0, 1000)); n > 0 {
			t.Errorf("%q: %d batches behind the last one", rows, n)
		}
		if slices.Equal(first, second) || slices.Equal(first, read(open(2), 0, 0)) {
			t.Errorf("%q: another epoch or seed has the same rows", rows)
		}
	}
}
