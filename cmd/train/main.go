// Command train fits the model of a config and evaluates it: go run ./cmd/train --config configs/criteo_deepfm.yaml
package main

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/cmd/internal/session"
	"github.com/splice-ml/splice/configs"
)

func main() {
	var config session.Config
	var run, defaults string
	var resume, overwrite bool
	c := cli.New("train", "fits the model of a config", func(ctx context.Context, c *cli.Command) error {
		if defaults != "" {
			return cli.BadInput(configs.Defaults(c.Out, defaults))
		}
		if config.File == "" {
			return cli.BadInput(errors.New("train: --config is missing: give a file, such as --config configs/criteo_deepfm.yaml"))
		}
		e, err := config.Load(ctx, c)
		if err != nil {
			return err
		}
		s := session.New(c, e, session.RunDir(run, e.Run, config.File))
		_, err = s.Train(ctx, session.TrainOptions{Resume: resume, Overwrite: overwrite})
		return err
	})
	c.Flags.StringVar(&config.File, "config", "", "YAML `file` of the experiment")
	config.Flags(c)
	c.Flags.StringVar(&run, "run", "", "`directory` of the run (default: the config's run, or runs/ and the config's name)")
	c.Flags.BoolVar(&resume, "resume", false, "go on from the run's last checkpoint, if there is one")
	c.Flags.BoolVar(&overwrite, "overwrite", false, "replace a run that is in the directory")
	c.Flags.StringVar(&defaults, "defaults", "", "print the options of a `type`, such as deepfm, with their meaning")
	c.Main()
}
