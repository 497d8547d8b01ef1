// Package rounds says how one model is trained by several workers, each on its own shard of the rows: they train apart for some steps,
// what they hold is merged, and all go on from the merge. The functions work on what workers hold, wherever that is, and on any part of
// it: rows, or elements.
package rounds

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/splice-ml/splice/configs/registry"
)

// Options is the `merge.rounds:` section. As a plain number, it is count.
type Options struct {
	// merges in all: after each but the last, every parent goes on from the merge as finetune says, on its own rows. `rounds: 3` is
	// short for `rounds: {count: 3}`. With every or steps there are no parents, and count stays 1
	Count int `yaml:"count"`
	// train one model on the shards of merge.regime instead, by workers that are merged again and again, from the first steps on:
	// passes over the training rows from one merge to the next, such as 0.25; 0: off
	Every float64 `yaml:"every"`
	Steps int64   `yaml:"steps"` // the same as every, in steps of a worker; 0: by every
	// exponent g of the factor (T/t)^g of a row's sum of changes: t is how many of its steps touched the row in the mean of the
	// workers, T how many of them one run over all rows would have touched it in
	Growth float64 `yaml:"growth"`
	// the optimizer's states after a merge: rows: those of embedding rows are merged as the rows are, each worker keeps its others;
	// all: the others are averaged too; keep: each worker keeps all of its own
	States string `yaml:"states"`
	Rate   Rate   `yaml:"rate"`  // factor of train.learning_rate: sqrt, for the square root of the number of workers, or a number
	Start  string `yaml:"start"` // what workers start from: fresh: the same weights, which the seed or init.from gives; trunk: the regime's trunk; own: a seed of each
	// stop after this many evaluations in a row without improvement; 0: never. It takes the place of train.patience
	Patience int   `yaml:"patience"`
	Outer    Outer `yaml:"outer"` // what becomes of the mean of all weights that are no rows: none or nesterov
}

// The values of Options.States.
const (
	StatesRows = "rows"
	StatesAll  = "all"
	StatesKeep = "keep"
)

// The values of Options.Start.
const (
	StartFresh = "fresh"
	StartTrunk = "trunk"
	StartOwn   = "own"
)

// Defaults returns the options that a file's keys are laid over: one merge, and no training in rounds.
func Defaults() Options {
	none, _ := Outers.Default("none")
	return Options{Count: 1, Growth: .5, States: StatesRows, Start: StartFresh, Outer: none}
}

// Plain implements [registry.Plain]: a number is Count.
func (o *Options) Plain() (field any, alone bool) {
	d := Defaults()
	d.Count = o.Count
	return &o.Count, *o == d
}

// Train reports whether one model is trained in rounds.
func (o Options) Train() bool { return o.Every > 0 || o.Steps > 0 }

// Validate reports every option out of range.
func (o Options) Validate() error {
	var errs []error
	d := Defaults()
	d.Count, d.Outer = o.Count, o.Outer
	if o != d && o.Every == 0 && o.Steps == 0 {
		errs = append(errs, registry.Field("every", "give every or steps: how long workers train between merges"))
	}
	if o.Every > 0 && o.Steps > 0 {
		errs = append(errs, registry.Field("steps", "every says how long workers train between merges already: give one of them"))
	}
	if o.Count > 1 && o.Train() {
		errs = append(errs, registry.Field("count", "is for parents that are trained on from their merge: leave it out, every and steps say how often workers are merged"))
	}
	return errors.Join(append(errs,
		registry.AtLeast("count", o.Count, 1),
		registry.AtLeast("every", o.Every, 0),
		registry.AtLeast("steps", o.Steps, 0),
		registry.In("growth", o.Growth, 0, 1),
		registry.OneOf("states", o.States, StatesRows, StatesAll, StatesKeep),
		registry.OneOf("start", o.Start, StartFresh, StartTrunk, StartOwn),
		registry.AtLeast("patience", o.Patience, 0),
	)...)
}

// Next returns the local step of the merge that follows the one after local steps, of total steps of each worker. perPass is the number
// of steps of a pass. Merges come at equal intervals, rounded to whole steps, and the last one after the last step.
func (o Options) Next(local, perPass, total int64) int64 {
	if o.Steps > 0 {
		return min(total, (local/o.Steps+1)*o.Steps)
	}
	length := o.Every * float64(perPass)
	at := func(n int64) int64 { return int64(math.Round(float64(n) * length)) }
	n := int64(float64(local) / length)
	for at(n) <= local {
		n++
	}
	return min(total, at(n))
}

// Rate is a factor of the learning rate. 0 is the square root of the number of workers.
type Rate float64

// Of returns the factor for a number of workers.
func (r Rate) Of(workers int) float64 {
	if r > 0 {
		return float64(r)
	}
	return math.Sqrt(float64(workers))
}

// UnmarshalText reads sqrt or a number, and MarshalText writes it.
func (r *Rate) UnmarshalText(text []byte) error {
	if string(text) == "sqrt" {
		*r = 0
		return nil
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		return fmt.Errorf("want sqrt or a number above 0, have %q", text)
	}
	*r = Rate(v)
	return nil
}

// MarshalText returns the factor as a config has it.
func (r Rate) MarshalText() ([]byte, error) {
	if r > 0 {
		return strconv.AppendFloat(nil, float64(r), 'g', -1, 64), nil
	}
	return []byte("sqrt"), nil
}
