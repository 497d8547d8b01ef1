package train

import (
	"context"
	"errors"
)

// EventKind says what happened in a run.
type EventKind uint8

const (
	RunStart   EventKind = iota // the run begins, and Steps is known
	StepDone                    // an optimizer step is made
	EvalStart                   // an evaluation of Split begins
	EvalStep                    // a batch of an evaluation is measured
	EvalDone                    // the Metrics of Split are known
	EpochDone                   // the last step of an epoch is made
	Checkpoint                  // the state for --resume is on disk
	RunEnd                      // the final evaluation is over, or the run stops early on an error or interrupt
)

// Event is what a Callback hears of a run. It is valid during the call.
type Event struct {
	Kind   EventKind
	Epoch  int     // current epoch, from 0
	Epochs int     // epochs of the run, at most
	Step   int64   // optimizer steps done
	Steps  int64   // steps of the run, at most; 0 if unknown
	Loss   float64 // loss of a step at StepDone, mean of the epoch at EpochDone
	LR     float64 // learning rate
	Rows   int64   // rows of the batch, at StepDone and EvalStep
	// Split is that of an evaluation: "train", "valid" or "test". It is "valid/ema" or "valid/swa" for averaged weights, which
	// selection ignores.
	Split       string
	Metrics     map[string]float64 // results of the evaluation, at EvalDone
	Protocol    string             // what the Metrics rank: see [Protocol]
	MetricOrder []string           // names of the Metrics in the task's order
	Best        bool               // the result is the best on validation rows so far, at EvalDone
	Resumed     bool               // the run goes on from a checkpoint, at RunStart
	Err         error              // why the run stopped, or nil, at RunEnd
}

// Callback hears the events of a run. If it returns ErrStop, training ends as it does by early stopping. Any other error ends the run.
type Callback interface {
	On(ctx context.Context, e *Event) error
}

// Stateful is a Callback with a state that --resume needs, as a JSON text.
type Stateful interface {
	Callback
	Name() string
	SaveState() ([]byte, error)
	LoadState([]byte) error
}

// ErrStop ends training: the best model is kept, and the final evaluation is made.
var ErrStop = errors.New("train: stop")
