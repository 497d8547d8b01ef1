package method

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/rng"
)

// Dare drops changes at random and rescales the others (Yu et al. 2024, section 3.1). Each change d_k = W_k - W_0 becomes 0 with
// probability p, and d_k/(1-p) otherwise, so that its mean stays. What is left is combined as task_arithmetic does,
//
//	W = W_0 + lambda · sum_k v_k d_k
//
// or with signs elected as ties does, without its trimming (mergekit's dare_linear and dare_ties). The draws are a function of the
// seed, the donor's place, the tensor's name and the value's place. Running statistics are the donors' mean. Merging a model with
// itself returns it.
type Dare struct {
	Changes  `yaml:",inline"`
	DropRate float64 `yaml:"drop_rate"` // p, the share of changes that is dropped, in [0, 1); the paper's .9 is for large models
	Combine  string  `yaml:"combine"`   // linear: the weighted sum; ties: the mean of what agrees with the elected sign
}

func init() {
	cki.Register("dare", Dare{Changes: Changes{Origin: "base", Lambda: 0.4}, DropRate: 0.5, Combine: "linear"})
}

// Validate reports every option out of range.
func (m Dare) Validate() error {
	errs := []error{m.Changes.Validate()}
	if !(m.DropRate >= 0 && m.DropRate < 1) {
		errs = append(errs, registry.Field("drop_rate", "must be in [0, 1)"))
	}
	if m.Combine != "linear" && m.Combine != "ties" {
		errs = append(errs, registry.Field("combine", "must be linear or ties"))
	}
	return errors.Join(errs...)
}

// Merge prepares the merge.
func (m Dare) Merge(_ context.Context, in *cki.Input) (cki.Merged, error) {
	if err := valid("dare", m); err != nil {
		return cki.Merged{}, err
	}
	first, w, err := m.donors(in, "dare")
	if err != nil {
		return cki.Merged{}, err
	}
	return cki.Merged{Tensor: func(t *cki.Tensor) error {
		donors := t.Parents[first:]
		if statistics(t.Name) {
			combine(t.Out, normalised(w), donors)
			return nil
		}
		keys := make([]uint64, len(donors))
		for k := range keys {
			keys[k] = rng.Key(in.Seed, "dare", t.Name, k)
		}
		begin := int64(t.Lo) * int64(dim(t.Shape))
		d := make([]float64, len(donors))
		for i := range t.Out {
			o := m.origin(t.Parents, i)
			var sum float64
			for k, x := range donors {
				d[k] = 0
				if rng.Float(keys[k], begin+int64(i)) >= m.DropRate {
					d[k] = (float64(x[i]) - o) / (1 - m.DropRate)
				}
				sum += w[k] * d[k]
			}
			if m.Combine == "ties" {
				sum = elect(d, w)
			}
			t.Out[i] = float32(o + m.Lambda*sum)
		}
		return nil
	}}, nil
}
