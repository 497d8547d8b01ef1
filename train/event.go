package train

import (
	"context"
	"errors"
)

// EventKind says what happened.
type EventKind uint8

const (
	RunStart   EventKind = iota // before the first step; Steps is known
	StepDone                    // after each optimizer step
	EvalStart                   // before an evaluation of Split
	EvalStep                    // after each batch of an evaluation
	EvalDone                    // Metrics of Split are known
	EpochDone                   // after the last step of an epoch
	Checkpoint                  // the state for --resume is on disk
	RunEnd                      // after the final evaluation, or when the run stops early on an error or interrupt
)

// Event is what a Callback hears. It is valid during the call.
type Event struct {
	Kind   EventKind
	Epoch  int     // current epoch, from 0
	Epochs int     // epochs of the run, at most
	Step   int64   // optimizer steps done
	Steps  int64   // steps of the run, at most; 0 if unknown
	Loss   float64 // StepDone: of this step; EpochDone: mean of the epoch
	LR     float64
	Rows   int64 // StepDone, EvalStep: rows of the batch
	// Eval*: "train", "valid" or "test"; "valid/ema" and "valid/swa": averaged weights, which selection ignores
	Split       string
	Metrics     map[string]float64 // EvalDone
	MetricOrder []string           // EvalDone: names in the task's order
	Best        bool               // EvalDone: the best on validation so far
	Resumed     bool               // RunStart: the run goes on from a checkpoint
	Err         error              // RunEnd: why the run stopped, or nil
}

// Callback hears the events of a run. Returning ErrStop ends training as early stopping does; any other error ends the run.
type Callback interface {
	On(ctx context.Context, e *Event) error
}

// Stateful is a Callback that keeps what --resume needs, as a JSON text.
type Stateful interface {
	Callback
	Name() string
	SaveState() ([]byte, error)
	LoadState([]byte) error
}

// ErrStop ends training: the best model is kept, and the final evaluation is made.
var ErrStop = errors.New("train: stop")
