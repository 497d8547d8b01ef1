package method

import (
	"context"
	"errors"
	"math"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
)

// Average is the weighted mean of the parents (mergekit's linear; model soups: Wortsman et al. 2022, section 2):
//
//	W = sum_k v_k W_k / sum_k v_k
//
// With `rows: counts`, row r of an embedding table whose parents know how often they trained it, n_k(r) times, is the mean with
// weights
//
//	v_k(r) = v_k (n_k(r)^power + smoothing)
//
// so that a row comes from those who saw it. A row that nobody trained is the plain mean. Merging a model with itself returns it.
type Average struct {
	Weights   []float64 `yaml:"weights"`   // of each parent; empty: equal
	Rows      string    `yaml:"rows"`      // equal: all rows of a table alike; counts: rows by how often each parent trained them
	Smoothing float64   `yaml:"smoothing"` // rows: counts: added to each count
	Power     float64   `yaml:"power"`     // rows: counts: exponent of the counts; 0: all alike
}

func init() { cki.Register("average", Average{Rows: "equal", Smoothing: 1, Power: 1}) }

// Validate reports every option out of range.
func (m Average) Validate() error {
	errs := []error{validWeights(m.Weights), registry.AtLeast("smoothing", m.Smoothing, 0), registry.AtLeast("power", m.Power, 0)}
	if m.Rows != "equal" && m.Rows != "counts" {
		errs = append(errs, registry.Field("rows", "must be equal or counts"))
	}
	return errors.Join(errs...)
}

// Merge prepares the mean.
func (m Average) Merge(_ context.Context, in *cki.Input) (cki.Merged, error) {
	if err := errors.Join(checkParents(in, "average", 1, 0), valid("average", m)); err != nil {
		return cki.Merged{}, err
	}
	w, err := weightsOf("average", m.Weights, len(in.Parents), "parents")
	if err != nil {
		return cki.Merged{}, err
	}
	even := normalised(w)
	if m.Rows != "counts" {
		return cki.Merged{Tensor: mean(even)}, nil
	}
	byCounts := 0
	tensor := func(t *cki.Tensor) error {
		if t.Counts == nil {
			return mean(even)(t)
		}
		if t.Lo == 0 {
			byCounts++
		}
		v, x := make([]float64, len(w)), make([][]float32, len(w))
		d := dim(t.Shape)
		for r := range t.Hi - t.Lo {
			var sum float64
			for k := range w {
				v[k] = w[k] * (math.Pow(float64(t.Counts[k][r]), m.Power) + m.Smoothing)
				sum += v[k]
				x[k] = t.Parents[k][r*d : (r+1)*d]
			}
			for k := range v {
				v[k] /= sum
			}
			u := v
			if !(sum > 0) || math.IsInf(sum, 0) || neverTrained(t.Counts, r) {
				u = even
			}
			combine(t.Out[r*d:(r+1)*d], u, x)
		}
		return nil
	}
	return cki.Merged{Tensor: tensor, Stats: func() any { return AverageStats{TablesByCounts: byCounts} }}, nil
}

// AverageStats is what Average reports with `rows: counts`.
type AverageStats struct {
	TablesByCounts int `json:"tables_by_counts"` // tables whose rows were weighted: those that all parents have counts of
}

func neverTrained(counts [][]int64, r int) bool {
	for _, c := range counts {
		if c[r] > 0 {
			return false
		}
	}
	return true
}
