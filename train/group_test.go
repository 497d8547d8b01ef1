package train_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/seq"
	"github.com/splice-ml/splice/models/text"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/dist"
	"github.com/splice-ml/splice/train/optim"
	"github.com/splice-ml/splice/train/task"
)

// groupCase is a training that ranks share.
type groupCase struct {
	name  string
	build func(t *testing.T, dir string) *train.Trainer
}

func groupCases() []groupCase {
	clicks := func(change func(tr *train.Trainer)) func(*testing.T, string) *train.Trainer {
		return func(t *testing.T, dir string) *train.Trainer {
			tr := trainer(t, dir)
			tr.Shards, tr.EmbeddingRegularizer = 4, 1e-3
			change(tr)
			return tr
		}
	}
	return []groupCase{
		{"deepfm, lazy", clicks(func(tr *train.Trainer) { tr.EMA, tr.EmbeddingL1, tr.MaxGradNorm = .9, 1e-4, .2 })},
		{"dcnv2, dense", clicks(func(tr *train.Trainer) {
			tr.Embeddings, tr.Shards = "dense", 8
			tr.Model = ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "parallel", Tower: ctr.Tower{
				HiddenUnits: []int{16, 8}, HiddenActivations: "relu", NetDropout: 0.2, BatchNorm: true,
			}}
		})},
		{"a shard of one row", clicks(func(tr *train.Trainer) { // 700 rows are 233 shards of 3 and one more row
			tr.BatchSize, tr.Shards, tr.SWAStart, tr.Optimizer, tr.LearningRate, tr.Epochs = 24, 8, 1, optim.SGD{Momentum: .9}, 1e-3, 2
		})},
		{"din, dice", func(t *testing.T, dir string) *train.Trainer {
			c := historyCase{
				"", "dense",
				seq.DIN{
					Columns:   seq.Columns{Item: "item", History: "history", EmbeddingDim: 6, InitStd: .1},
					Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: "dice",
					Head: seq.Head{HiddenUnits: []int{8}, HiddenActivations: "relu", NetDropout: .1},
				},
				task.Binary{MetricNames: []string{"auc", "hr@5"}},
				"candidates",
			}
			tr := c.trainer(t, dir)
			tr.BatchSize, tr.Shards = 128, 4
			return tr
		}},
		{"sasrec", func(t *testing.T, dir string) *train.Trainer {
			c := historyCase{
				"", "lazy",
				seq.SASRec{
					Columns:     seq.Columns{Item: "item", History: "history", EmbeddingDim: 6, InitStd: .1},
					Transformer: seq.Transformer{NumBlocks: 1, NumHeads: 2, Dropout: .2}, Output: seq.Output{Output: seq.Items},
				},
				task.NextItem{Objective: "sampled_softmax", NegativesBy: models.Uniform, Negatives: 5, Seen: "exclude", MetricNames: []string{"ndcg@5"}},
				"sequences",
			}
			tr := c.trainer(t, dir)
			tr.Shards = 4
			return tr
		}},
		{"bert", func(t *testing.T, dir string) *train.Trainer {
			tr := reader(t, dir)
			tr.Model, tr.Data = tinyBERT(), texts(0)
			tr.BatchSize, tr.Shards, tr.Epochs, tr.CacheFeatures = 16, 4, 2, false
			return tr
		}},
		{"masked tokens", func(t *testing.T, dir string) *train.Trainer {
			tr := reader(t, dir)
			tr.Model, tr.Data = bag{Dim: 6, Masked: true}, texts(0.3)
			tr.Task, _ = task.Registry.Default("masked_lm")
			tr.BatchSize, tr.Shards, tr.Epochs = 16, 4, 2
			return tr
		}},
	}
}

func plainDeepFM() models.Model {
	return ctr.DeepFM{EmbeddingDim: 4, Tower: ctr.Tower{HiddenUnits: []int{16, 8}, HiddenActivations: "relu"}}
}

func tinyBERT() models.Model {
	return &text.BERT{
		Encoder: text.Encoder{
			VocabSize: 24, HiddenSize: 8, NumHiddenLayers: 2, NumAttentionHeads: 2, IntermediateSize: 16, HiddenAct: "gelu",
			HiddenDropoutProb: .1, AttentionProbsDropoutProb: .1, MaxPositionEmbeddings: 16, TypeVocabSize: 2, LayerNormEps: 1e-12,
			InitializerRange: .02,
		},
		Classifier: text.Classifier{Pooling: "cls"},
	}
}

// fitGroup has so many ranks train together. It returns the results and errors of all.
func fitGroup(t *testing.T, size int, fit func(rank int, g dist.Group) (*train.Result, error)) ([]*train.Result, []error) {
	t.Helper()
	return fitWorld(dist.NewInproc(size, time.Minute), size, fit)
}

// fitWorld is fitGroup in a group that is there.
func fitWorld(world *dist.Inproc, size int, fit func(rank int, g dist.Group) (*train.Result, error)) ([]*train.Result, []error) {
	results, errs := make([]*train.Result, size), make([]error, size)
	var wait sync.WaitGroup
	for r := range size {
		wait.Go(func() {
			g := world.Group(r)
			if results[r], errs[r] = fit(r, g); errs[r] != nil && !errors.As(errs[r], new(*dist.Common)) {
				g.Abort(1)
			}
		})
	}
	wait.Wait()
	return results, errs
}

// inGroup returns the trainer of a rank: only the first one has callbacks that write.
func inGroup(tr *train.Trainer, g dist.Group) *train.Trainer {
	tr.Group = g
	if g.Rank() > 0 {
		tr.Callbacks = nil
	}
	return tr
}

// TestRanksGiveTheSameBits trains with the shards of a batch on 1 to 4 ranks: the bytes of the models and the metrics are those of one
// process.
func TestRanksGiveTheSameBits(t *testing.T) {
	for _, c := range groupCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			whole := t.TempDir()
			want, err := c.build(t, whole).Fit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for size := 1; size <= 4; size++ {
				dir := t.TempDir()
				trainers := make([]*train.Trainer, size)
				for r := range trainers {
					trainers[r] = c.build(t, dir)
				}
				got, errs := fitGroup(t, size, func(r int, g dist.Group) (*train.Result, error) {
					return inGroup(trainers[r], g).Fit(t.Context())
				})
				if err := errors.Join(errs...); err != nil {
					t.Fatalf("%d ranks: %v", size, err)
				}
				if !bytes.Equal(model(t, dir), model(t, whole)) {
					t.Errorf("%d ranks: the weights are others than those of one process", size)
				}
				for r, res := range got {
					if diff := cmp.Diff([]any{want.Valid, want.Test, want.Averages, want.BestStep}, []any{res.Valid, res.Test, res.Averages, res.BestStep}); diff != "" {
						t.Errorf("rank %d of %d: the result differs: %s", r, size, diff)
					}
				}
				if diff := cmp.Diff(want.Counts, got[0].Counts); diff != "" {
					t.Errorf("%d ranks: counts differ: %s", size, diff)
				}
				for _, q := range trainers[0].Params.All() {
					for r := 1; r < size; r++ {
						if !equalBits(q.Data, trainers[r].Params.Get(q.Name).Data) {
							t.Errorf("rank %d of %d has another %s", r, size, q.Name)
						}
					}
				}
			}
		})
	}
}

func equalBits(a, b []float32) bool {
	return fmt.Sprint(nn.NotFinite(a), a) == fmt.Sprint(nn.NotFinite(b), b)
}
