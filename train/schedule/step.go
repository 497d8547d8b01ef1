package schedule

import (
	"math"

	"github.com/splice-ml/splice/configs/registry"
)

func init() { Types.Register("step", Step{Gamma: 0.1, Every: 1, Unit: "epoch"}) }

// Step multiplies the rate by gamma after every so many epochs or steps: lr·gamma^⌊n/every⌋ (PyTorch's StepLR).
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
	switch {
	case !(o.Gamma > 0) || math.IsInf(o.Gamma, 0):
		return registry.Field("gamma", "is %v, must be above 0", o.Gamma)
	case o.Every < 1:
		return registry.Field("every", "is %d, must be 1 or more", o.Every)
	case o.Unit != "epoch" && o.Unit != "step":
		return registry.Field("unit", "is %q, must be epoch or step", o.Unit)
	}
	return nil
}
