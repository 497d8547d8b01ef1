package method

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/gate"
	"github.com/splice-ml/splice/configs/registry"
)

// Graft is filter grafting (Meng et al. 2020): the global entropy gate alone, with one weight for each parent and tensor,
//
//	W = g W_A + (1-g) W_B,  g = a/π·atan(c·(H(W_A) - H(W_B))) + 1/2
//
// where H is the entropy of a histogram. gate.Global has the form for more parents. Merging a model with itself returns it.
type Graft struct {
	A    float64 `yaml:"a"`    // how far weights get from 1/K: they lie within (1-a)/K and (1+a)/K
	C    float64 `yaml:"c"`    // how steep the gate is; with 500 it is almost a choice by sign
	Bins int     `yaml:"bins"` // of the histogram
}

func init() { cki.Register("graft", Graft{A: 0.4, C: 500, Bins: 10}) }

// Validate reports every option out of range.
func (m Graft) Validate() error {
	errs := []error{registry.In("a", m.A, 0, 1), registry.Finite("c", m.C)}
	if m.Bins < 1 {
		errs = append(errs, registry.Field("bins", "must be at least 1"))
	}
	if m.Bins > 1<<16 {
		errs = append(errs, registry.Field("bins", "must be at most %d", 1<<16))
	}
	return errors.Join(errs...)
}

// Merge prepares the gates.
func (m Graft) Merge(_ context.Context, in *cki.Input) (cki.Merged, error) {
	if err := errors.Join(checkParents(in, "graft", 1, 0), valid("graft", m)); err != nil {
		return cki.Merged{}, err
	}
	var stats []GraftStats
	tensor := func(t *cki.Tensor) error {
		h := make([]float64, len(t.Parents))
		for k, x := range t.Parents {
			h[k] = gate.Entropy(x, m.Bins)
		}
		g := gate.Global(h, m.A, m.C)
		combine(t.Out, g, t.Parents)
		stats = append(stats, GraftStats{Tensor: t.Name, Entropies: h, Gates: g})
		return nil
	}
	return cki.Merged{Whole: true, Tensor: tensor, Stats: func() any { return stats }}, nil
}

// GraftStats is what Graft reports of a tensor.
type GraftStats struct {
	Tensor    string    `json:"tensor"`
	Entropies []float64 `json:"entropies"` // by parent
	Gates     []float64 `json:"gates"`     // by parent
}
