// Command finetune trains the model of a run, of a merge or of a Hugging Face directory on:
//
//	go run ./cmd/finetune --from runs/criteo_deepfm
//	go run ./cmd/finetune --config configs/sst2.yaml
package main

import (
	"context"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/cmd/internal/session"
)

func main() {
	var o session.FinetuneOptions
	var fetch string
	var t session.TrainOptions
	c := cli.New("finetune", "trains the model of a run, of a merge or of a Hugging Face directory on", func(ctx context.Context, c *cli.Command) error {
		if fetch != "" {
			return o.Fetch(ctx, c, fetch)
		}
		s, err := session.Finetune(ctx, c, o)
		if err != nil {
			return err
		}
		_, err = s.Train(ctx, t)
		return err
	})
	c.Flags.StringVar(&o.File, "config", "", "YAML `file` of the experiment (default: data, model, task and train of the run, for one epoch)")
	c.Flags.StringVar(&o.From, "from", "", "run's or Hugging Face `directory`, or .safetensors file, to start from (default: the config's init.from)")
	o.Flags(c)
	c.Flags.StringVar(&fetch, "fetch", "", "get the files that the config needs in this `folder` or folders in it (. for all), and end")
	c.Flags.StringVar(&o.Run, "run", "", "`directory` of the new run (default: the config's run, or runs/ and the config's name; without a config --from's with -finetuned)")
	c.Flags.BoolVar(&t.Resume, "resume", false, "go on from the new run's last checkpoint, if there is one")
	c.Flags.BoolVar(&t.Overwrite, "overwrite", false, "replace a run that is in the new run's directory")
	c.Main()
}
