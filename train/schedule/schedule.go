// Package schedule has the learning rate's course over a run: constant, linear, cosine (each with warm-up), step and
// plateau, with the formulas and names of Hugging Face and PyTorch.
package schedule

import (
	"fmt"
	"math"

	"github.com/splice-ml/splice/configs/registry"
)

// Progress is where a run stands. Step counts the finished optimizer steps: it is 0 for the first step's rate.
type Progress struct {
	Step  int64 // finished steps
	Total int64 // steps of the whole run
	Epoch int64 // finished epochs
}

// Schedule gives the learning rate of the next step. All but plateau are pure functions of the progress: Eval does
// nothing and State is zero.
type Schedule interface {
	LR(p Progress) float64
	Eval(value float64) // tells the value of the monitored metric, after each evaluation
	State() State       // all that a resumed run must Load
	Load(s State) error
}

// State is what a schedule remembers between steps, as JSON in a run's directory.
type State struct {
	LR       float64 `json:"lr,omitempty"`
	Best     float64 `json:"best,omitempty"`
	Seen     bool    `json:"seen,omitempty"` // Best is a value and not the zero of an unused field
	Bad      int     `json:"bad,omitempty"`
	Cooldown int     `json:"cooldown,omitempty"`
}

// Options is a `train.schedule` section: its type's fields are the keys.
type Options interface {
	// New returns the schedule of a run with learning rate lr, whose monitored metric is better when higher, or lower.
	New(lr float64, higherIsBetter bool) Schedule
}

// Types are the schedules by their `type`.
var Types = registry.New[Options]("schedule")

func init() {
	Types.Register("constant", Constant{})
	Types.Register("linear", Linear{})
	Types.Register("cosine", Cosine{NumCycles: 0.5})
	Types.Register("step", Step{Gamma: 0.1, Every: 1, Unit: "epoch"})
	Types.Register("plateau", Plateau{Factor: 0.1, Threshold: 1e-6, MinLR: 1e-6})
}

// pure is a schedule without memory.
type pure func(p Progress) float64

func (f pure) LR(p Progress) float64 { return f(p) }
func (pure) Eval(float64)            {}
func (pure) State() State            { return State{} }

func (pure) Load(s State) error {
	if s != (State{}) {
		return fmt.Errorf("schedule: load: state %+v is of another schedule (plateau)", s)
	}
	return nil
}

// Warmup is a rise of the rate from 0, linear in the step. WarmupSteps goes before WarmupRatio.
type Warmup struct {
	WarmupSteps int     `yaml:"warmup_steps"` // steps over which the rate rises from 0 to train.learning_rate
	WarmupRatio float64 `yaml:"warmup_ratio"` // the same as a part of all steps, in [0, 1]; used if warmup_steps is 0
}

// steps returns the number of warm-up steps of a run: ceil(total·ratio), as in Hugging Face.
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
	if w.WarmupSteps < 0 {
		return registry.Field("warmup_steps", "is %d, must be 0 or more", w.WarmupSteps)
	}
	if !(w.WarmupRatio >= 0 && w.WarmupRatio <= 1) {
		return registry.Field("warmup_ratio", "is %v, must be in [0, 1]", w.WarmupRatio)
	}
	return nil
}

// Constant keeps the rate: lr·s/warm in the warm-up, then lr (Hugging Face's constant_with_warmup).
type Constant struct {
	Warmup `yaml:",inline"`
}

// New implements [Options].
func (o Constant) New(lr float64, _ bool) Schedule {
	return pure(func(p Progress) float64 {
		if r, ok := o.rise(p); ok {
			return lr * r
		}
		return lr
	})
}

// Linear lets the rate fall to 0 at the last step: lr·(total − s) / (total − warm) after the warm-up.
type Linear struct {
	Warmup `yaml:",inline"`
}

// New implements [Options].
func (o Linear) New(lr float64, _ bool) Schedule {
	return pure(func(p Progress) float64 {
		if r, ok := o.rise(p); ok {
			return lr * r
		}
		return lr * max(0, float64(p.Total-p.Step)/float64(max(1, p.Total-o.steps(p.Total))))
	})
}

// Cosine lets the rate fall along a cosine after the warm-up: lr·½(1 + cos(2π·cycles·d)), where d in [0, 1] is how much
// of it is over (Loshchilov and Hutter 2017); half a cycle ends at 0.
type Cosine struct {
	Warmup    `yaml:",inline"`
	NumCycles float64 `yaml:"num_cycles"`  // waves of the cosine; 0.5 falls once, to the end
	MinLRRate float64 `yaml:"min_lr_rate"` // the lowest rate as a part of train.learning_rate, in [0, 1]
}

// New implements [Options].
func (o Cosine) New(lr float64, _ bool) Schedule {
	return pure(func(p Progress) float64 {
		if r, ok := o.rise(p); ok {
			return lr * r
		}
		f := 0.5 * (1 + math.Cos(2*math.Pi*o.NumCycles*o.done(p)))
		return lr * max(0, f*(1-o.MinLRRate)+o.MinLRRate)
	})
}

// Validate implements the check of a config section.
func (o Cosine) Validate() error {
	if err := o.Warmup.Validate(); err != nil {
		return err
	}
	if !(o.NumCycles > 0) || math.IsInf(o.NumCycles, 0) {
		return registry.Field("num_cycles", "is %v, must be above 0", o.NumCycles)
	}
	if !(o.MinLRRate >= 0 && o.MinLRRate <= 1) {
		return registry.Field("min_lr_rate", "is %v, must be in [0, 1]", o.MinLRRate)
	}
	return nil
}

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
