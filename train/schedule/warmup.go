package schedule

import (
	"errors"
	"math"

	"github.com/splice-ml/splice/configs/registry"
)

// Warmup is a rise of the rate from 0, linear in the step. If both of its options are set, WarmupSteps holds.
type Warmup struct {
	WarmupSteps int     `yaml:"warmup_steps"` // steps over which the rate rises from 0 to train.learning_rate
	WarmupRatio float64 `yaml:"warmup_ratio"` // the same as a part of all steps, in [0, 1]; used if warmup_steps is 0
}

// steps returns the number of warm-up steps of a run. A ratio gives ceil(total·ratio) steps, as with Hugging Face.
func (w Warmup) steps(total int64) int64 {
	if w.WarmupSteps > 0 {
		return int64(w.WarmupSteps)
	}
	return int64(math.Ceil(float64(total) * w.WarmupRatio))
}

// rise returns s/max(1, warm) and true while the step s is in the warm-up.
func (w Warmup) rise(p Progress) (float64, bool) {
	warm := w.steps(p.Total)
	return float64(p.Step) / float64(max(1, warm)), p.Step < warm
}

// done returns (s − warm) / max(1, total − warm) in [0, 1]: how much of what follows the warm-up is over.
func (w Warmup) done(p Progress) float64 {
	warm := w.steps(p.Total)
	return min(1, float64(p.Step-warm)/float64(max(1, p.Total-warm)))
}

// Validate implements the check of a config section.
func (w Warmup) Validate() error {
	return errors.Join(registry.AtLeast("warmup_steps", w.WarmupSteps, 0), registry.In("warmup_ratio", w.WarmupRatio, 0, 1))
}
