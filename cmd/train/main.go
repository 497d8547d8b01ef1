// Command train fits the model of a config and evaluates it: go run ./cmd/train --config configs/criteo_deepfm.yaml
package main

import (
	"context"
	"errors"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/train/run"
)

func main() {
	var config, defaults string
	var o splice.Options
	c := app.New("train", "fits the model of a config", func(ctx context.Context, c *app.Command) error {
		if defaults != "" {
			return run.BadInput(configs.Defaults(c.Out, defaults))
		}
		if config == "" {
			return run.BadInput(errors.New("train: --config is missing: give a file, such as --config configs/criteo_deepfm.yaml"))
		}
		r, err := splice.Train(ctx, config, c.Options(o))
		if err != nil {
			return err
		}
		return app.PrintResult(c.Out, r)
	})
	c.Flags.StringVar(&config, "config", "", "YAML `file` of the experiment")
	c.ExperimentFlags(&o)
	c.Flags.StringVar(&o.Run, "run", "", "`directory` of the run (default: the config's run, or runs/ and the config's name)")
	c.Flags.BoolVar(&o.Resume, "resume", false, "go on from the run's last checkpoint, if there is one")
	c.Flags.BoolVar(&o.Overwrite, "overwrite", false, "replace a run that is in the directory")
	c.Flags.StringVar(&defaults, "defaults", "", "print the options of a `type`, such as deepfm, with their meaning")
	c.Main()
}
