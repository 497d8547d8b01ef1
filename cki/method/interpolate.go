package method

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
)

// Interpolate is the mean of the parents with weights chosen on the validation rows. For two parents
//
//	W = (1-alpha) W_A + alpha W_B
//
// with the alpha of an even grid over [0, 1], ends included, that has the best monitored metric. Of equal ones it takes the smallest,
// so the result is never worse on these rows than the base. More parents are taken coordinate by coordinate. It starts at the base,
// w = (1, 0, …, 0), and each parent k in turn moves the weights to (1-alpha) w + alpha e_k, until a sweep over all parents changes
// nothing. Merging a model with itself returns it.
type Interpolate struct {
	Grid   int `yaml:"grid"`   // values of alpha that are tried, 0 and 1 among them
	Sweeps int `yaml:"sweeps"` // over the parents, at most, if there are more than two
}

func init() { cki.Register("interpolate", Interpolate{Grid: 11, Sweeps: 3}) }

// Validate reports every option out of range.
func (m Interpolate) Validate() error {
	var errs []error
	if m.Grid < 2 {
		errs = append(errs, registry.Field("grid", "must be at least 2"))
	}
	if m.Grid > 1001 {
		errs = append(errs, registry.Field("grid", "must be at most 1001"))
	}
	if m.Sweeps < 1 {
		errs = append(errs, registry.Field("sweeps", "must be at least 1"))
	}
	return errors.Join(errs...)
}

// Merge searches for the weights.
func (m Interpolate) Merge(ctx context.Context, in *cki.Input) (cki.Merged, error) {
	err := errors.Join(checkParents(in, "interpolate", 1, 0), valid("interpolate", m), needsLab(in, "interpolate", "choosing weights"))
	if err != nil {
		return cki.Merged{}, err
	}
	r := &trial{ctx: ctx, in: in, name: "interpolate"}
	w := make([]float64, len(in.Parents))
	w[0] = 1
	best, err := r.score(mean(w))
	if err != nil {
		return cki.Merged{}, err
	}
	var tried []InterpolateStep
	sweeps := m.Sweeps
	if len(w) <= 2 {
		sweeps = 1
	}
	for sweep := range sweeps {
		moved := false
		for k := range w {
			if k == 0 && sweep == 0 {
				continue // all weight is there
			}
			at, top := w, best
			for i := 1; i < m.Grid; i++ {
				alpha := float64(i) / float64(m.Grid-1)
				u := make([]float64, len(w))
				for j := range u {
					u[j] = (1 - alpha) * w[j]
				}
				u[k] += alpha
				v, err := r.score(mean(u))
				if err != nil {
					return cki.Merged{}, err
				}
				tried = append(tried, InterpolateStep{Weights: u, Score: v})
				in.Log.Info("interpolate", "weights", u, in.Lab.Monitor(), v)
				if r.better(v, top) {
					at, top = u, v
				}
			}
			if r.better(top, best) {
				w, best, moved = at, top, true
			}
		}
		if !moved {
			break
		}
	}
	stats := InterpolateStats{Weights: w, Score: best, Tried: tried}
	return cki.Merged{Tensor: mean(w), Stats: func() any { return stats }}, nil
}

// InterpolateStats is what Interpolate reports.
type InterpolateStats struct {
	Weights []float64         `json:"weights"` // by parent
	Score   float64           `json:"score"`   // on the validation rows
	Tried   []InterpolateStep `json:"tried"`   // in order
}

// InterpolateStep is one set of weights that was measured.
type InterpolateStep struct {
	Weights []float64 `json:"weights"`
	Score   float64   `json:"score"`
}
