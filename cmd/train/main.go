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
	var config, run, defaults string
	var set cli.List
	var resume, overwrite bool
	c := cli.New("train", "fits the model of a config", func(ctx context.Context, c *cli.Command) error {
		if defaults != "" {
			return cli.BadInput(configs.Defaults(c.Out, defaults))
		}
		if config == "" {
			return cli.BadInput(errors.New("train: --config is missing: give a file, such as --config configs/criteo_deepfm.yaml"))
		}
		e, err := configs.Load(config, set)
		if err != nil {
			return cli.BadInput(err)
		}
		s := session.New(c, e, session.RunDir(run, e.Run, config))
		_, err = s.Train(ctx, session.TrainOptions{Resume: resume, Overwrite: overwrite})
		return err
	})
	c.Flags.StringVar(&config, "config", "", "YAML `file` of the experiment")
	c.Flags.Var(&set, "set", "override a key, `a.b=value`; may be given several times")
	c.Flags.StringVar(&run, "run", "", "`directory` of the run (default: the config's run, or runs/ and the config's name)")
	c.Flags.BoolVar(&resume, "resume", false, "go on from the run's last checkpoint, if there is one")
	c.Flags.BoolVar(&overwrite, "overwrite", false, "replace a run that is in the directory")
	c.Flags.StringVar(&defaults, "defaults", "", "print the options of a `type`, such as deepfm, with their meaning")
	c.Main()
}
