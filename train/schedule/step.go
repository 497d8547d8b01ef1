package schedule

import (
	"errors"
	"math"

	"github.com/splice-ml/splice/configs/registry"
)

func init() { Types.Register("step", Step{Gamma: 0.1, Every: 1, Unit: "epoch"}) }

// Step multiplies the rate by gamma after every so many epochs or steps (PyTorch's StepLR). After n of them it is
// lr·gamma^⌊n/every⌋.
type Step struct {
	Gamma float64 `yaml:"gamma"` // factor, above 0
	Every int     `yaml:"every"` // after this many units
	Unit  string  `yaml:"unit"`  // epoch or step
}

// New implements [Options].
func (o Step) New(lr float64, _ bool) Schedule {
	return pure(func(p Progress) float64 {
		n := p.Epoch
		if o.Unit == "step" {
			n = p.Step
		}
		return lr * math.Pow(o.Gamma, float64(n/int64(o.Every)))
	})
}

// Validate implements the check of a config section.
func (o Step) Validate() error {
	return errors.Join(registry.Above("gamma", o.Gamma, 0), registry.AtLeast("every", o.Every, 1),
		registry.OneOf("unit", o.Unit, "epoch", "step"))
}
