package method

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
)

// Scale multiplies the base's selected tensors: W = factor · W_A. Other parents have no say. A head times 0.5 before more training is
// the control that tells what a restart gains without another parent (Ash and Adams 2020, shrink and perturb). Running statistics
// stay.
type Scale struct {
	Factor float64 `yaml:"factor"` // 1 returns the base
}

func init() { cki.Register("scale", Scale{Factor: 0.5}) }

// Validate reports every option out of range.
func (m Scale) Validate() error { return registry.Finite("factor", m.Factor) }

// Merge prepares the product.
func (m Scale) Merge(_ context.Context, in *cki.Input) (cki.Merged, error) {
	if err := errors.Join(checkParents(in, "scale", 1, 0), valid("scale", m)); err != nil {
		return cki.Merged{}, err
	}
	return cki.Merged{Tensor: func(t *cki.Tensor) error {
		f := m.Factor
		if statistics(t.Name) {
			f = 1
		}
		combine(t.Out, []float64{f}, t.Parents[:1])
		return nil
	}}, nil
}
