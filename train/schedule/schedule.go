// Package schedule holds the courses of the learning rate over a run, with the formulas and names of Hugging Face and PyTorch. A
// schedule is one file, which registers its name.
package schedule

import (
	"fmt"

	"github.com/splice-ml/splice/configs/registry"
)

// Progress says how far a run has come.
type Progress struct {
	Step  int64 // finished optimizer steps, 0 for the rate of the first step
	Total int64 // steps of the whole run
	Epoch int64 // finished epochs
}

// Schedule gives the learning rate of the next step. All but plateau are pure functions of the progress: their Eval does nothing,
// and their State is zero.
type Schedule interface {
	LR(p Progress) float64
	Eval(value float64) // takes the value of the monitored metric after each evaluation
	State() State       // returns all that a resumed run must Load
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

// Options is a `train.schedule` section, whose keys are the fields of its type.
type Options interface {
	// New returns the schedule of a run with learning rate lr. higherIsBetter says which values of its monitored metric are better.
	New(lr float64, higherIsBetter bool) Schedule
}

// Types holds the schedules by their `type`.
var Types = registry.New[Options]("schedule")

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
