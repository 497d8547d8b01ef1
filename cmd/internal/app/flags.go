package app

import (
	"fmt"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/run"
)

// ExperimentFlags adds the flags of an experiment to the command's: --set and --offline.
func (c *Command) ExperimentFlags(o *splice.Options) {
	c.Flags.Var((*List)(&o.Set), "set", "override a key, `a.b=value`; may be given several times")
	c.Flags.BoolVar(&o.Offline, "offline", false, "never touch the network: what the config would fetch is there, or its fallback holds")
}

// Options returns the options with the command's log, and what shows progress.
func (c *Command) Options(o splice.Options) splice.Options {
	o.Log, o.Show, o.Downloads, o.Group = c.Log(), c.Show, c.Downloads(), c.group
	return o
}

// Config returns the config of a file, read as the options say.
func (c *Command) Config(file string, o splice.Options) job.Config {
	return job.Config{File: file, Set: o.Set, Offline: o.Offline, Log: c.Log(), Progress: c.Downloads()}
}

// Calibrated is the key by which a run's predictions are calibrated.
const Calibrated = "serve.calibrated=true"

// RunFlags are the flags of commands that use finished runs.
type RunFlags struct {
	dirs, set  List
	mode       string
	calibrated bool
}

// Flags adds --run, with its usage, --set, --ensemble and --calibrated to the command's flags.
func (f *RunFlags) Flags(c *Command, usage string) {
	c.Flags.Var(&f.dirs, "run", usage)
	c.Flags.StringVar(&f.mode, "ensemble", "", "how several runs become one: mean of their `logits` (default) or probabilities")
	c.Flags.Var(&f.set, "set", "override a key of the run's config, `a.b=value`; may be given several times")
	c.Flags.BoolVar(&f.calibrated, "calibrated", false, "calibrate predictions as the run's calibration.json says, which evaluate --calibrate writes")
}

// Open opens the runs.
func (f *RunFlags) Open(c *Command) (*job.Ensemble, error) {
	if len(f.dirs) == 0 {
		return nil, run.BadInput(fmt.Errorf("%s: --run is missing: give the directory of a run, such as --run runs/criteo_deepfm", c.Name))
	}
	if f.mode != "" && len(f.dirs) == 1 {
		return nil, run.BadInput(fmt.Errorf("%s: --ensemble is for several runs: give --run once for each", c.Name))
	}
	set := f.set
	if f.calibrated {
		if len(f.dirs) > 1 {
			return nil, run.BadInput(fmt.Errorf("%s: --calibrated is of one run: give --run once", c.Name))
		}
		set = append(set, Calibrated)
	}
	e, err := job.OpenEnsemble(f.dirs, set, f.mode, c.Log())
	return e, c.Prefixed(err)
}
