// Package search looks for good settings of a config. A study makes trials of it: trainings that differ in some keys. It keeps what they
// come to in a file, so that it goes on after a kill, and so that several processes may share it.
package search

import (
	"errors"

	"github.com/splice-ml/splice/configs/registry"
)

// Methods of a search.
const (
	Grid   = "grid"   // every combination of the values
	Random = "random" // Bergstra and Bengio 2012, JMLR
	TPE    = "tpe"    // Bergstra et al. 2011, NeurIPS, section 4
)

// Options say how settings are looked for: the `search:` section.
type Options struct {
	Method string `yaml:"method"` // grid, random or tpe
	Trials int    `yaml:"trials"` // settings that are tried; a grid has as many as combinations
	Seed   uint64 `yaml:"seed"`   // of the settings that are drawn
	Seeds  int    `yaml:"seeds"`  // trainings of a trial, with the seeds from the config's on; their mean counts
	// trials that know the same results, those of all trials of earlier waves; so many can be made at once
	Wave       int   `yaml:"wave"`
	Startup    int   `yaml:"startup"`    // tpe: trials that are drawn at random first
	Candidates int   `yaml:"candidates"` // tpe: values of a key among which the best is taken
	ASHA       *ASHA `yaml:"asha"`       // stop trials that are worse than others after as many evaluations; without it: none
}

// ASHA says when trials are stopped: asynchronous successive halving (Li et al. 2020, arXiv 1810.05934, algorithm 2), which stops trials
// rather than to suspend them.
type ASHA struct {
	Min    int `yaml:"min"`    // evaluations before the first rung, r in the paper; those of a rung are factor times those of the one before
	Factor int `yaml:"factor"` // one of so many goes on, η in the paper
}

// Defaults returns the options of a config whose `search:` section is empty.
func Defaults() Options {
	return Options{Method: TPE, Trials: 30, Seed: 1, Seeds: 1, Wave: 4, Startup: 10, Candidates: 24}
}

// ASHADefaults returns the options of an `asha:` section that is empty.
func ASHADefaults() ASHA { return ASHA{Min: 1, Factor: 4} }

// most bounds what a table of trials can show, and what a mistyped number makes of a search.
const most = 100_000

// Validate reports every option out of range.
func (o *Options) Validate() error {
	return errors.Join(
		registry.OneOf("method", o.Method, Grid, Random, TPE),
		registry.From("trials", o.Trials, 1, most),
		registry.From("seeds", o.Seeds, 1, 1000),
		registry.From("wave", o.Wave, 1, most),
		registry.From("startup", o.Startup, 1, most),
		registry.From("candidates", o.Candidates, 1, most),
	)
}

// Validate reports every option out of range.
func (a *ASHA) Validate() error {
	return errors.Join(registry.From("min", a.Min, 1, most), registry.From("factor", a.Factor, 2, most))
}

// horizon returns how many trials, from the first on, trial k looks at: those of the waves before its own. A trial whose settings and
// whose length depend on no other looks at none.
func (o *Options) horizon(k int) int {
	if o.ASHA == nil && (o.Method != TPE || k < o.Startup) {
		return 0
	}
	return k / o.Wave * o.Wave
}
