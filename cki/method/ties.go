package method

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
)

// Ties trims changes, elects signs and averages what agrees (Yadav et al. 2023, algorithm 1), tensor by tensor. With the changes
// d_k = W_k - W_0 of donor k it does three steps:
//
//	trim:  d_k keeps its ceil(density·n) values of largest magnitude, the others are 0
//	elect: s = sign(sum_k v_k d_k)
//	merge: W = W_0 + lambda · sum_k v_k d_k / sum_k v_k, over the donors with sign(d_k) = s
//
// Where the sum is 0 the result is W_0. So it is for two parents with `origin: mean`. The paper trims over all tensors of a model at
// once. Mergekit trims tensor by tensor, as it is done here. Running statistics are the donors' mean. Merging a model with itself
// returns it.
type Ties struct {
	Changes `yaml:",inline"`
	Density float64 `yaml:"density"` // share of each donor's changes that is kept
}

func init() { cki.Register("ties", Ties{Changes: Changes{Origin: "base", Lambda: 1}, Density: 0.2}) }

// Validate reports every option out of range.
func (m Ties) Validate() error {
	return errors.Join(m.Changes.Validate(), registry.In("density", m.Density, 0, 1))
}

// Merge prepares the merge.
func (m Ties) Merge(_ context.Context, in *cki.Input) (cki.Merged, error) {
	if err := valid("ties", m); err != nil {
		return cki.Merged{}, err
	}
	first, w, err := m.donors(in, "ties")
	if err != nil {
		return cki.Merged{}, err
	}
	return cki.Merged{Whole: true, Tensor: func(t *cki.Tensor) error {
		donors := t.Parents[first:]
		if statistics(t.Name) {
			combine(t.Out, normalised(w), donors)
			return nil
		}
		d := make([][]float64, len(donors))
		for k, x := range donors {
			d[k] = make([]float64, len(x))
			for i, v := range x {
				d[k][i] = float64(v) - m.origin(t.Parents, i)
			}
			trim(d[k], m.Density)
		}
		at := make([]float64, len(d))
		for i := range t.Out {
			for k := range d {
				at[k] = d[k][i]
			}
			t.Out[i] = float32(m.origin(t.Parents, i) + m.Lambda*elect(at, w))
		}
		return nil
	}}, nil
}

// trim zeroes all but the ceil(density·n) values of d of largest magnitude; of equal ones the first are kept.
func trim(d []float64, density float64) {
	size := make([]float64, len(d))
	for i, v := range d {
		size[i] = math.Abs(v)
	}
	keep := int(math.Ceil(density * float64(len(d))))
	if keep >= len(d) {
		return
	}
	slices.Sort(size)
	limit := size[len(d)-1-keep] // the largest magnitude that is not kept, but for ties
	above := 0
	for _, v := range d {
		if math.Abs(v) > limit {
			above++
		}
	}
	ties := keep - above
	for i, v := range d {
		switch a := math.Abs(v); {
		case a > limit:
		case a == limit && ties > 0:
			ties--
		default:
			d[i] = 0
		}
	}
}

// elect returns the weighted mean of the changes that have the sign of their weighted sum, or 0 if the sum is 0.
func elect(d, w []float64) float64 {
	var sum float64
	for k, v := range d {
		sum += w[k] * v
	}
	if sum == 0 {
		return 0
	}
	var num, den float64
	for k, v := range d {
		if v != 0 && (v > 0) == (sum > 0) {
			num += w[k] * v
			den += w[k]
		}
	}
	return num / den
}
