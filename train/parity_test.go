package train_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/task"
)

// parityCase is a file of models/ctr/testdata: what PyTorch gets from given weights on given batches. The script beside the
// files says how they were made.
type parityCase struct {
	Model   string
	Options struct {
		EmbeddingDim   int    `json:"embedding_dim"`
		HiddenUnits    []int  `json:"hidden_units"`
		NumCrossLayers int    `json:"num_cross_layers"`
		ModelStructure string `json:"model_structure"`
		BatchNorm      bool   `json:"batch_norm"`
		NumExperts     int    `json:"num_experts"`
		LowRank        int    `json:"low_rank"`

		ParallelHiddenUnits []int    `json:"parallel_hidden_units"`
		HiddenActivations   []string `json:"hidden_activations"`
	}
	Train struct {
		BatchSize            int     `json:"batch_size"`
		Steps                int     `json:"steps"`
		LearningRate         float64 `json:"learning_rate"`
		Embeddings           string  `json:"embeddings"`
		EmbeddingRegularizer float64 `json:"embedding_regularizer"`
		MaxGradNorm          float64 `json:"max_grad_norm"`
		EmbeddingL1          float64 `json:"embedding_l1"`
		NetL1                float64 `json:"net_l1"`
	}
	Features []struct {
		Name    string
		Vocab   int
		Dim     int
		Count   int
		Project bool
	}
	Init map[string]struct {
		Shape []int
		Data  []float32
	}
	IDs         map[string][]int32
	Dense       []float32
	Label       []float32
	Losses      []float64
	FinalLogits []float64          `json:"final_logits"`
	FinalNorms  map[string]float64 `json:"final_norms"`
}

func (c *parityCase) model(t *testing.T) models.Model {
	tower := ctr.Tower{HiddenUnits: c.Options.HiddenUnits, HiddenActivations: "relu", BatchNorm: c.Options.BatchNorm}
	if list := c.Options.HiddenActivations; len(list) > 0 {
		tower.HiddenActivations = nn.Activations(strings.Join(list, ", "))
	}
	switch c.Model {
	case "mlp":
		return ctr.MLP{EmbeddingDim: c.Options.EmbeddingDim, Tower: tower}
	case "deepfm":
		return ctr.DeepFM{EmbeddingDim: c.Options.EmbeddingDim, Tower: tower}
	case "dcn":
		return ctr.DCN{EmbeddingDim: c.Options.EmbeddingDim, NumCrossLayers: c.Options.NumCrossLayers, Tower: tower}
	case "dcnv2":
		m := ctr.DCNv2{EmbeddingDim: c.Options.EmbeddingDim, NumCrossLayers: c.Options.NumCrossLayers, ModelStructure: c.Options.ModelStructure, Tower: tower}
		m.NumExperts, m.LowRank, m.ParallelHiddenUnits = c.Options.NumExperts, c.Options.LowRank, c.Options.ParallelHiddenUnits
		if m.ModelStructure == "" {
			m.ModelStructure = "parallel"
		}
		return m
	}
	t.Fatalf("unknown model %s", c.Model)
	return nil
}

// source yields the case's batches in order.
func (c *parityCase) source() *recorded {
	r := &recorded{schema: &data.Schema{}}
	for _, f := range c.Features {
		x := data.Feature{Name: f.Name, Vocab: f.Vocab, Table: f.Name, Dim: f.Dim, Count: f.Count, Project: f.Project}
		if f.Vocab == 0 {
			x.Kind, x.Column = data.Numeric, r.schema.NumDense
			r.schema.NumDense += x.Numbers()
		}
		r.schema.Features = append(r.schema.Features, x)
	}
	n, nd := c.Train.BatchSize, r.schema.NumDense
	for i := range c.Train.Steps {
		b := data.NewBatch(r.schema, n)
		b.N = n
		for name := range b.IDs {
			copy(b.IDs[name], c.IDs[name][i*n:])
		}
		copy(b.Dense, c.Dense[i*n*nd:])
		copy(b.Label, c.Label[i*n:])
		r.batches = append(r.batches, b)
	}
	return r
}

type recorded struct {
	schema  *data.Schema
	batches []*data.Batch
}

func (r *recorded) Schema() *data.Schema { return r.schema }
func (r *recorded) Rows() int64          { return int64(len(r.batches) * r.batches[0].N) }

func (r *recorded) Batches(int, int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		for _, b := range r.batches {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// losses keeps every step's loss, and ends the run before anything else happens.
type losses struct {
	values []float64
	n      int
}

func (l *losses) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.StepDone {
		if l.values = append(l.values, e.Loss); len(l.values) == l.n {
			return errEnough
		}
	}
	return nil
}

// TestLossesEqualPyTorch trains from PyTorch's initial weights on PyTorch's batches: each of the 50 losses is PyTorch's
// within 1e-5 relative (1e-4 with products of high precision, 0.15 of medium: the losses fall near zero), and so are the norms of all parameters and the logits afterwards.
func TestLossesEqualPyTorch(t *testing.T) {
	files, err := filepath.Glob("../models/ctr/testdata/*.json")
	if err != nil || len(files) < 6 {
		t.Fatalf("parity cases: %v, %v", files, err)
	}
	for _, file := range files {
		if filepath.Base(file) == "tasks.json" { // of models of several tasks, which have a test of their own
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := &parityCase{}
			if err := json.Unmarshal(text, c); err != nil {
				t.Fatal(err)
			}
			if len(c.Losses) != 50 {
				t.Fatalf("%d losses, want 50", len(c.Losses))
			}
			var exact []float64
			for pr, bound := range []float64{kernel.Highest: 1e-5, kernel.High: 1e-4, kernel.Medium: 0.15} {
				t.Run(kernel.Precision(pr).String(), func(t *testing.T) {
					got := c.train(t, kernel.Precision(pr), bound)
					if pr == int(kernel.Highest) {
						exact = got
					} else if slices.Equal(got, exact) {
						t.Error("the precision changes nothing")
					}
				})
			}
		})
	}
}

// train compares with products of a precision, losses to within a bound, and returns the losses.
func (c *parityCase) train(t *testing.T, precision kernel.Precision, bound float64) []float64 {
	src, m, p := c.source(), c.model(t), nn.NewParams(1)
	eval, err := models.Compile(m, p, src.schema, models.CompileOptions{Batch: c.Train.BatchSize, Precision: precision})
	if err != nil {
		t.Fatal(err)
	}
	defer eval.Close()
	set := 0
	for _, q := range p.All() {
		if v, ok := c.Init[q.Name]; ok && len(v.Data) == len(q.Data) {
			copy(q.Data, v.Data)
			set++
		} else if q.Kind != nn.Buffer {
			t.Errorf("%s %v: no initial value of that size", q.Name, q.Shape)
		}
	}
	if set != len(c.Init) {
		t.Fatalf("%d of %d initial values are parameters of the model", set, len(c.Init))
	}
	tk, _ := task.Registry.Default("binary_classification")
	l := &losses{n: c.Train.Steps}
	o := train.Defaults()
	o.BatchSize, o.Epochs, o.LearningRate, o.Embeddings = c.Train.BatchSize, 1, c.Train.LearningRate, c.Train.Embeddings
	o.EmbeddingRegularizer, o.MaxGradNorm = c.Train.EmbeddingRegularizer, c.Train.MaxGradNorm
	o.EmbeddingL1, o.NetL1 = c.Train.EmbeddingL1, c.Train.NetL1
	o.Precision = precision
	tr := &train.Trainer{
		Options: o, Model: m, Task: tk, Data: &data.Splits{Schema: src.schema, Train: src}, Params: p, Dir: t.TempDir(),
		Callbacks: []train.Callback{l},
	}
	if _, err := tr.Fit(t.Context()); !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	worst := 0.0
	for i, want := range c.Losses {
		if rel := math.Abs(l.values[i]-want) / want; rel > worst {
			worst = rel
		}
	}
	t.Logf("largest relative difference of a loss: %.1e", worst)
	if worst > bound {
		t.Errorf("a loss differs by %.1e relative, want at most %.0e", worst, bound)
	}
	if precision != kernel.Highest {
		return l.values
	}
	for name, want := range c.FinalNorms {
		sum := 0.0
		for _, v := range p.Get(name).Data {
			sum += float64(v) * float64(v)
		}
		if got := math.Sqrt(sum); math.Abs(got-want) > 1e-3*want+1e-6 {
			t.Errorf("after 50 steps the norm of %s is %v, want %v", name, got, want)
		}
	}
	if _, err := eval.Run(src.batches[0], 0); err != nil {
		t.Fatal(err)
	}
	for i, want := range c.FinalLogits {
		if got := float64(eval.Logits()[i]); math.Abs(got-want) > 2e-3*math.Abs(want)+2e-4 {
			t.Errorf("logit %d is %v, want %v", i, got, want)
		}
	}
	return l.values
}
