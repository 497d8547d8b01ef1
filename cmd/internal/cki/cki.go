// Package cki is the command cki.
package cki

import (
	"context"
	"errors"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/run"
)

// Command returns the command.
func Command() *app.Command {
	var config, explained string
	var check bool
	var o splice.Options
	c := app.New("cki", "merges runs of one model into one run of the same size", func(ctx context.Context, c *app.Command) error {
		if explained != "" {
			return explain(c, config, explained)
		}
		if config == "" {
			return run.BadInput(errors.New("cki: --config is missing: give a file with a merge section, such as --config configs/cki_tastes.yaml"))
		}
		if check {
			return checkParents(ctx, c, config, o)
		}
		o := c.Options(o)
		o.Show = c.Bars
		m, err := splice.Merge(ctx, config, o)
		if err != nil {
			return err
		}
		return app.PrintMerged(c.Out, m)
	})
	c.Flags.StringVar(&config, "config", "", "YAML `file` with a merge section")
	c.ExperimentFlags(&o)
	c.Flags.StringVar(&o.Run, "run", "", "`directory` of the resulting run (default: the config's run, or runs/ and the config's name)")
	c.Flags.BoolVar(&check, "check", false, "only check whether the parents fit together, and say everything that does not")
	c.Flags.StringVar(&explained, "explain", "", "print what the merge in this `directory` took from which parent: tensor by tensor, and row by row of its tables")
	c.Flags.BoolVar(&o.Overwrite, "overwrite", false, "replace a run that is in the directory, its parents included")
	c.Examples = []string{
		"--config merge.yaml --check",
		"--config merge.yaml --run runs/merged",
		"--explain runs/merged",
	}
	return c
}

// checkParents prints whether the parents of a merge fit together.
func checkParents(ctx context.Context, c *app.Command, config string, o splice.Options) error {
	e, err := c.Config(config, o).LoadMerge(ctx)
	if err != nil {
		return err
	}
	j := job.Job{Experiment: e, Log: c.Log()}
	parents, err := j.CheckParents()
	if err != nil {
		return err
	}
	return app.PrintParents(c.Out, parents)
}

// explain prints what a merge took from whom.
func explain(c *app.Command, config, dir string) error {
	if config != "" {
		return run.BadInput(errors.New("cki: --explain is of a merge that is done: leave out --config"))
	}
	e, err := job.Explain(dir)
	if err != nil {
		return c.Prefixed(err)
	}
	return app.PrintExplanation(c.Out, e)
}
