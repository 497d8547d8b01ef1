// Package search is the command that looks for good settings of a config.
package search

import (
	"context"
	"errors"
	"os"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/cmd/internal/progress"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/configs/search"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/run"
)

// Command returns the command.
func Command() *app.Command {
	var config, dir string
	var jobs int
	var overwrite bool
	var o splice.Options
	c := app.New("search", "looks for good settings of a config", func(ctx context.Context, c *app.Command) error {
		if config == "" {
			return run.BadInput(errors.New("search: --config is missing: give a file, such as --config configs/search_frappe_deepfm.yaml"))
		}
		if jobs < 1 || jobs > 1024 {
			return run.BadInput(errors.New("search: --jobs must be in [1, 1024]"))
		}
		spec, err := search.Load(ctx, c.Config(config, o))
		if err != nil {
			return err
		}
		dir := job.RunDir(dir, spec.First.Run, config)
		if overwrite {
			if err := search.Clear(dir); err != nil {
				return err
			}
		}
		if jobs > 1 {
			kernel.SetThreads(1)
		} else if n := spec.First.Threads; n > 0 {
			kernel.SetThreads(n)
		}
		bar := &progress.Bar{Out: c.Progress(), Terminal: c.Terminal(), Unit: "trials"}
		defer bar.End()
		s := &search.Study{
			Spec: spec, Dir: dir, Jobs: jobs, Watch: watcher{bar}, Log: bar.Warnings(), Command: run.Command(os.Args),
			Job: func(string) job.Job { return job.Job{Log: bar.Warnings()} },
		}
		r, err := s.Run(ctx)
		if err != nil {
			return err
		}
		bar.End()
		return show(c.Out, r, config, o.Set)
	})
	c.Flags.StringVar(&config, "config", "", "YAML `file` of the search")
	c.ExperimentFlags(&o)
	c.Flags.StringVar(&dir, "run", "", "`directory` of the study (default: the config's run, or runs/ and the config's name)")
	c.Flags.IntVar(&jobs, "jobs", 1, "trials that are made at once, each on one thread; the results are the same")
	c.Flags.BoolVar(&overwrite, "overwrite", false, "remove a study that is in the directory, and begin anew")
	c.Examples = []string{"--config configs/search_frappe_deepfm.yaml", "--config configs/search_frappe_deepfm.yaml --jobs 2 --set search.trials=10"}
	return c
}

// watcher shows how far a study is.
type watcher struct{ *progress.Bar }

// Done says that a trial has ended.
func (w watcher) Done(trial string, finished int) { w.DoneOf(trial, finished) }
