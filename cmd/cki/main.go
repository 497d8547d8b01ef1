// Command cki merges runs of one model into one run: go run ./cmd/cki --config configs/cki_tastes.yaml
package main

import (
	"context"
	"errors"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/run"
)

func main() {
	var config string
	var check bool
	var o splice.Options
	c := app.New("cki", "merges runs of one model into one run of the same size", func(ctx context.Context, c *app.Command) error {
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
	c.Flags.BoolVar(&o.Overwrite, "overwrite", false, "replace a run that is in the directory, its parents included")
	c.Main()
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
