package method

import (
	"context"
	"errors"
	"fmt"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
)

// Changes holds the options of methods that add up the donors' changes d_k = W_k - W_0 since a common origin W_0.
type Changes struct {
	// base: the first parent is what the others started from (the trunk of branches), and no donor; mean: the parents'
	// mean, and all are donors
	Origin  string    `yaml:"origin"`
	Weights []float64 `yaml:"weights"` // v_k of each donor; empty: 1
	Lambda  float64   `yaml:"lambda"`  // how much of the sum is added
}

// Validate reports every option out of range.
func (c Changes) Validate() error {
	errs := []error{validWeights(c.Weights), registry.Finite("lambda", c.Lambda)}
	if c.Origin != "base" && c.Origin != "mean" {
		errs = append(errs, registry.Field("origin", "must be base or mean"))
	}
	return errors.Join(errs...)
}

// donors returns the first parent that is a donor, and the donors' weights.
func (c Changes) donors(in *cki.Input, method string) (first int, w []float64, err error) {
	if c.Origin == "base" {
		first = 1
	}
	if len(in.Parents) < 2 {
		return 0, nil, fmt.Errorf("method: %s: have %d parents, want at least 2: "+
			"give what the models started from first (origin: base), or at least two models (origin: mean)",
			method, len(in.Parents))
	}
	w, err = weightsOf(method, c.Weights, len(in.Parents)-first, "donors")
	return first, w, err
}

// origin returns W_0 at value i.
func (c Changes) origin(parents [][]float32, i int) float64 {
	if c.Origin == "base" {
		return float64(parents[0][i])
	}
	var sum float64
	for _, p := range parents {
		sum += float64(p[i])
	}
	return sum / float64(len(parents))
}

// TaskArithmetic adds task vectors (Ilharco et al. 2023, section 2):
//
//	W = W_0 + lambda · sum_k v_k (W_k - W_0)
//
// With `origin: mean` and equal weights the changes cancel, and the result is the mean. Running statistics are the donors' mean.
// Merging a model with itself returns it.
type TaskArithmetic struct {
	Changes `yaml:",inline"`
}

func init() { cki.Register("task_arithmetic", TaskArithmetic{Changes{Origin: "base", Lambda: 0.4}}) }

// Merge prepares the sum.
func (m TaskArithmetic) Merge(_ context.Context, in *cki.Input) (cki.Merged, error) {
	if err := valid("task_arithmetic", m); err != nil {
		return cki.Merged{}, err
	}
	first, w, err := m.donors(in, "task_arithmetic")
	if err != nil {
		return cki.Merged{}, err
	}
	return cki.Merged{Tensor: func(t *cki.Tensor) error {
		if statistics(t.Name) {
			combine(t.Out, normalised(w), t.Parents[first:])
			return nil
		}
		for i := range t.Out {
			o := m.origin(t.Parents, i)
			var sum float64
			for k, v := range w {
				sum += v * (float64(t.Parents[first+k][i]) - o)
			}
			t.Out[i] = float32(o + m.Lambda*sum)
		}
		return nil
	}}, nil
}
