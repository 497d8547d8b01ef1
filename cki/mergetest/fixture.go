package mergetest

import (
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
)

// Model is the suite's model: tables, two of which are one, numbers, a tower with batch norm.
func Model() models.Model {
	return ctr.MLP{EmbeddingDim: 3, Tower: ctr.Tower{HiddenUnits: []int{6, 5}, HiddenActivations: "relu", BatchNorm: true}}
}

// Lab returns a lab with the model, over rows of every kind of feature. Reading its test rows fails the test.
func Lab(t *testing.T, m models.Model) *cki.Lab {
	t.Helper()
	return RowsOf(m).Lab(t)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// rows returns n random rows.
func rows(t *testing.T, sc *data.Schema, n int, seed uint64) data.Source {
	t.Helper()
	b := modeltest.Batch(sc, n, n, seed)
	out := make([]data.Row, n)
	for i := range out {
		r := data.Row{IDs: map[string][]int32{}, Dense: b.Dense[i*sc.NumDense : (i+1)*sc.NumDense], Label: b.Label[i]}
		for _, f := range sc.Features {
			if ids := b.IDs[f.Name]; ids != nil {
				w := len(ids) / n
				r.IDs[f.Name] = ids[i*w : (i+1)*w]
			}
		}
		for _, y := range b.Labels {
			r.Labels = append(r.Labels, y[i])
		}
		if sc.HasWeight {
			r.Weight = b.Weight[i]
		}
		out[i] = r
	}
	src, err := data.FromRows(sc, out)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// forbidden is a source that nobody may read.
type forbidden struct {
	data.Source
	t *testing.T
}

func (f forbidden) Batches(int, int) iter.Seq2[*data.Batch, error] {
	f.t.Error("test rows are read")
	return func(func(*data.Batch, error) bool) {}
}

// Params returns the values of a parent of the model over rows of every kind of feature.
func Params(t *testing.T, m models.Model, k int) *nn.Params {
	t.Helper()
	return RowsOf(m).Params(t, k)
}

// fill gives a parameter values around those of a normal distribution, different ones for each parent; variances stay positive,
// and the first row of a table stays 0.
func fill(q *nn.Param, k int) {
	base, own := rng.New(rng.Key(5, q.Name)), rng.New(rng.Key(6, q.Name, k))
	for i := range q.Data {
		v := 0.4 * base.NormFloat64()
		if k > 0 {
			v += 0.2 * own.NormFloat64()
		}
		if strings.HasSuffix(q.Name, "running_var") {
			v = 0.5 + math.Abs(v)
		}
		if q.Kind != nn.Table || i >= q.Dim() {
			q.Data[i] = float32(v)
		}
	}
}

// Parents returns n parents of the model over rows of every kind of feature.
func Parents(t *testing.T, m models.Model, n int) []*cki.Parent {
	t.Helper()
	return RowsOf(m).Parents(t, n)
}

// Parents returns n parents, with counts of the tables' rows. Nobody trained the last row of a table.
func (s Setting) Parents(t *testing.T, n int) []*cki.Parent {
	t.Helper()
	var out []*cki.Parent
	for k := range n {
		p := s.Params(t, k)
		c := cki.Counts{}
		for _, q := range p.All() {
			if q.Kind != nn.Table {
				continue
			}
			r := rng.New(rng.Key(7, q.Name, k))
			c[q.Name] = make([]int64, q.Shape[0])
			for i := range q.Shape[0] - 1 {
				c[q.Name][i] = r.Int64N(20)
			}
		}
		out = append(out, &cki.Parent{Name: fmt.Sprintf("parent%d", k), Reader: cki.Memory(p), Counts: c})
	}
	return out
}

// Odd returns n parents that no model has: a scalar, a tensor of three dimensions, empty and constant ones.
func Odd(t *testing.T, n int) []*cki.Parent {
	t.Helper()
	var out []*cki.Parent
	for k := range n {
		p := nn.NewParams(1)
		for _, q := range []*nn.Param{
			{Name: "scalar", Shape: []int{}},
			{Name: "one", Shape: []int{1}},
			{Name: "vector", Shape: []int{5}},
			{Name: "cube", Shape: []int{4, 3, 2}},
			{Name: "empty", Shape: []int{0, 3}},
			{Name: "zero", Shape: []int{3, 2}},
			{Name: "constant", Shape: []int{3, 2}},
		} {
			size := 1
			for _, d := range q.Shape {
				size *= d
			}
			q.Data = make([]float32, size)
			switch q.Name {
			case "zero":
			case "constant":
				for i := range q.Data {
					q.Data[i] = 0.25
				}
			default:
				if size > 0 {
					fill(q, k)
				}
			}
			if err := p.Add(q); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, &cki.Parent{Name: fmt.Sprintf("parent%d", k), Reader: cki.Memory(p)})
	}
	return out
}

// Input returns what a method gets: parents and, if lab is not nil, where to evaluate. All tensors are selected.
func Input(lab *cki.Lab, parents []*cki.Parent) *cki.Input {
	return &cki.Input{Parents: parents, Select: func(string) bool { return true }, Lab: lab, Seed: 11, Log: quiet()}
}
