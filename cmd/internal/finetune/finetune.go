// Package finetune is the command finetune.
package finetune

import (
	"context"
	"errors"
	"fmt"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/train/run"
)

// Command returns the command.
func Command() *app.Command {
	var config, from, fetch string
	var o splice.Options
	c := app.New("finetune", "trains the model of a run, of a merge or of a Hugging Face directory on",
		func(ctx context.Context, c *app.Command) error {
			if fetch != "" {
				return fetchOnly(ctx, c, config, fetch, o)
			}
			r, err := splice.Finetune(ctx, config, from, c.Options(o))
			if err != nil {
				return err
			}
			return app.PrintResult(c.Out, r)
		})
	c.Flags.StringVar(&config, "config", "", "YAML `file` of the experiment (default: data, model, task and train of the run, for one epoch)")
	c.Flags.StringVar(&from, "from", "",
		"run's or Hugging Face `directory`, or .safetensors file, to start from (default: the config's init.from)")
	c.ExperimentFlags(&o)
	c.Flags.StringVar(&fetch, "fetch", "", "get the files that the config needs in this `folder` or folders in it (. for all), and end")
	c.Flags.StringVar(&o.Run, "run", "",
		"`directory` of the new run (default: the config's run, or runs/ and the config's name; without a config --from's with -finetuned)")
	c.Flags.BoolVar(&o.Resume, "resume", false, "go on from the new run's last checkpoint, if there is one")
	c.Flags.BoolVar(&o.Overwrite, "overwrite", false, "replace a run that is in the new run's directory")
	c.Ranks = true
	c.Examples = []string{
		"--from runs/clicks --set data.path=new.csv",
		"--config configs/sst2.yaml",
	}
	return c
}

// fetchOnly gets the files of a config into a folder, and nothing else.
func fetchOnly(ctx context.Context, c *app.Command, config, folder string, o splice.Options) error {
	if config == "" {
		return run.BadInput(errors.New("finetune: --fetch is for a config: give it with --config"))
	}
	there, err := c.Config(config, o).Fetch(ctx, folder)
	for _, dir := range there {
		fmt.Fprintf(c.Out, "%s: all files are there\n", dir)
	}
	return err
}
