// Package train is the command train.
package train

import (
	"context"
	"errors"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/train/run"
)

// Command returns the command.
func Command() *app.Command {
	var config, defaults, vocabulary string
	var dataOnly bool
	var o splice.Options
	c := app.New("train", "fits the model of a config", func(ctx context.Context, c *app.Command) error {
		if defaults != "" {
			return run.BadInput(configs.Defaults(c.Out, defaults))
		}
		if config == "" {
			return run.BadInput(errors.New("train: --config is missing: give a file, such as --config configs/criteo_deepfm.yaml"))
		}
		if dataOnly {
			return prepare(ctx, c, config, vocabulary, c.Options(o))
		}
		if vocabulary != "" {
			return run.BadInput(errors.New("train: --vocabulary goes with --data-only"))
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
	c.Flags.BoolVar(&dataOnly, "data-only", false, "fit vocabularies and cache the rows, and train nothing")
	c.Flags.StringVar(&vocabulary, "vocabulary", "", "with --data-only, `file` for the ids of all tokens as JSON, - for standard output")
	c.Flags.StringVar(&defaults, "defaults", "", "print the options of a `type`, such as deepfm, with their meaning")
	c.Ranks = true
	c.Examples = []string{
		"--config configs/criteo_deepfm.yaml",
		"--config clicks.yaml --set train.epochs=2 --run runs/clicks",
		"--config clicks.yaml --run runs/clicks --resume",
		"--defaults deepfm",
	}
	return c
}

// prepare makes the data of a config ready for trainings.
func prepare(ctx context.Context, c *app.Command, config, vocabulary string, o splice.Options) error {
	d, err := splice.Prepare(ctx, config, o)
	if err != nil {
		return err
	}
	switch vocabulary {
	case "":
	case "-":
		return d.Map.WriteVocabulary(c.Out)
	default:
		w, err := c.Output(ctx, vocabulary, config)
		if err != nil {
			return err
		}
		defer w.Abort()
		if err := d.Map.WriteVocabulary(w); err != nil {
			return err
		}
		if err := w.Commit(); err != nil {
			return c.Prefixed(err)
		}
	}
	return app.PrintData(c.Out, d)
}
