package train_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
)

// normed is batch norm over embeddings, and a linear layer.
type normed struct{}

func (normed) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	x := nn.BatchNorm(s.Sub("bn"), in.Embeddings(s, "embedding", 2), kernel.ReLU)
	return nn.Linear(s.Sub("out"), x, 1, kernel.None)
}

// fresh returns new parameters of a model, embeddings large enough to be seen.
func fresh(t *testing.T, m models.Model, sc *data.Schema, seed uint64) *nn.Params {
	t.Helper()
	p := nn.NewParams(seed)
	prog, err := models.Compile(m, p, sc, models.CompileOptions{Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p.All() {
		if q.Embedding {
			kernel.Scale(q.Data, q.Data, 1e4)
		}
	}
	if err := prog.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRecomputeBatchNorm compares with means and variances in plain code, averaged over batches as PyTorch's update_bn does.
func TestRecomputeBatchNorm(t *testing.T) {
	d := splits(t)
	for _, tc := range []struct {
		name        string
		size, limit int
		batches     []int
	}{
		{"full batches only", 64, 0, slices.Repeat([]int{64}, 10)},
		{"limit", 64, 200, []int{64, 64, 64}},
		{"limit below a batch", 64, 10, []int{64}},
		{"one small batch", 1000, 0, []int{700}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := fresh(t, normed{}, d.Schema, 3)
			kernel.Fill(p.Get("bn.running_mean").Data, 77)
			o := train.RecomputeOptions{Batch: tc.size, Rows: int64(tc.limit), Seed: 1}
			if err := train.RecomputeBatchNorm(t.Context(), normed{}, p, d.Train, o); err != nil {
				t.Fatal(err)
			}
			var mean, variance [6]float64
			k := 0
			for b, err := range d.Train.Batches(0, tc.size) {
				if err != nil {
					t.Fatal(err)
				}
				if k == len(tc.batches) {
					break
				}
				if b.N != tc.batches[k] {
					t.Fatalf("batch %d has %d rows, want %d", k, b.N, tc.batches[k])
				}
				for c := range 6 {
					var sum, sq float64
					x := func(r int) float64 {
						switch c / 2 {
						case 0:
							return float64(b.Dense[r]) * float64(p.Get("embedding.n.weight").Data[c%2])
						case 1:
							return float64(p.Get("embedding.a.weight").Data[2*int(b.IDs["a"][r])+c%2])
						}
						return float64(p.Get("embedding.b.weight").Data[2*int(b.IDs["b"][r])+c%2])
					}
					for r := range b.N {
						sum += x(r)
					}
					m := sum / float64(b.N)
					for r := range b.N {
						sq += (x(r) - m) * (x(r) - m)
					}
					mean[c] += m / float64(len(tc.batches))
					variance[c] += sq / float64(b.N-1) / float64(len(tc.batches))
				}
				k++
			}
			for c := range 6 {
				gm, gv := float64(p.Get("bn.running_mean").Data[c]), float64(p.Get("bn.running_var").Data[c])
				if math.Abs(gm-mean[c]) > 1e-5 || math.Abs(gv-variance[c]) > 1e-5*variance[c] {
					t.Errorf("column %d: mean %v, variance %v; want %v, %v", c, gm, gv, mean[c], variance[c])
				}
			}
		})
	}
}

// diced is Dice over the embeddings of histories.
type diced struct{}

func (diced) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	x, h := in.Sequence(s, "embedding", 2, "history")
	if s.Err() != nil {
		return nil
	}
	return nn.Linear(s.Sub("out"), h.Last(s, nn.Dice(s.Sub("dice"), x, h.Items(s))), 1, kernel.None)
}

// histories are batches of histories, of which every other one is short.
type histories struct{}

func (histories) Schema() *data.Schema { return modeltest.Histories() }
func (histories) Rows() int64          { return 6 * 32 }

func (histories) Batches(_, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		for k := range 6 {
			b := modeltest.Batch(modeltest.Histories(), size, size, uint64(k))
			if n := len(b.IDs["history"]) / size; k%2 == 0 {
				for i := range b.IDs["history"] {
					if i%n > 2 {
						b.IDs["history"][i] = 0
					}
				}
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// TestRecomputeDice compares with means and variances over the items of histories, whatever the lengths that batches are padded to.
func TestRecomputeDice(t *testing.T) {
	p := fresh(t, diced{}, modeltest.Histories(), 3)
	if err := train.RecomputeBatchNorm(t.Context(), diced{}, p, histories{}, train.RecomputeOptions{Batch: 32}); err != nil {
		t.Fatal(err)
	}
	for c := range 2 {
		var mean, variance float64
		for b := range (histories{}).Batches(0, 32) {
			var x []float64
			for _, id := range b.IDs["history"] {
				if id != 0 {
					x = append(x, float64(p.Get("embedding.item.weight").Data[2*int(id)+c]))
				}
			}
			m, v := stat.MeanVariance(x, nil)
			mean += m / 6
			variance += v / 6
		}
		gm, gv := float64(p.Get("dice.running_mean").Data[c]), float64(p.Get("dice.running_var").Data[c])
		if math.Abs(gm-mean) > 1e-5 || math.Abs(gv-variance) > 1e-5*variance {
			t.Errorf("column %d: mean %v, variance %v; want %v, %v", c, gm, gv, mean, variance)
		}
	}
}

// TestRecomputeBatchNormLeavesAlone: nothing but the statistics changes, and they too stay after an error.
func TestRecomputeBatchNormLeavesAlone(t *testing.T) {
	d := splits(t)
	tower := ctr.Tower{HiddenUnits: []int{8, 4}, HiddenActivations: "relu", NetDropout: 0.2}
	with := tower
	with.BatchNorm = true
	copyOf := func(p *nn.Params) map[string][]float32 {
		c := map[string][]float32{}
		for _, q := range p.All() {
			c[q.Name] = slices.Clone(q.Data)
		}
		return c
	}
	for _, tc := range []struct {
		name  string
		model models.Model
		src   data.Source
		want  string // error
		moves bool
	}{
		{"without batch norm", ctr.MLP{EmbeddingDim: 4, Tower: tower}, failing{d.Train}, "", false},
		{"with", ctr.MLP{EmbeddingDim: 4, Tower: with}, d.Train, "", true},
		{"failing rows", ctr.MLP{EmbeddingDim: 4, Tower: with}, failing{d.Train}, "bad row", false},
		{"infinite value", ctr.MLP{EmbeddingDim: 4, Tower: with}, poison{d.Train, 3}, "not finite", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := fresh(t, tc.model, d.Schema, 3)
			old := copyOf(p)
			err := train.RecomputeBatchNorm(t.Context(), tc.model, p, tc.src, train.RecomputeOptions{Batch: 64})
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			for _, q := range p.All() {
				if moved := !slices.Equal(q.Data, old[q.Name]); moved != (tc.moves && q.Kind == nn.Buffer) {
					t.Errorf("%s: changed %v", q.Name, moved)
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := ctr.MLP{EmbeddingDim: 4, Tower: with}
	if err := train.RecomputeBatchNorm(ctx, m, fresh(t, m, d.Schema, 3), d.Train, train.RecomputeOptions{Batch: 64}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
