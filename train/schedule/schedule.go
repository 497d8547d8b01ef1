// Package schedule has the learning rate's course over a run, with the formulas and names of Hugging Face and PyTorch. A
// schedule is one file, which registers its name.
package schedule

import (
	"fmt"

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
