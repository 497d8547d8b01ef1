// Command finetune trains the model of a run, or of a merge, on: go run ./cmd/finetune --from runs/criteo_deepfm
package main

import (
	"context"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/cmd/internal/session"
)

func main() {
	var o session.FinetuneOptions
	var set cli.List
	var t session.TrainOptions
	c := cli.New("finetune", "trains the model of a run, or of a merge, on", func(ctx context.Context, c *cli.Command) error {
		o.Set = set
		s, err := session.Finetune(c, o)
		if err != nil {
			return err
		}
		_, err = s.Train(ctx, t)
		return err
	})
	c.Flags.StringVar(&o.Config, "config", "", "YAML `file` of the experiment (default: data, model, task and train of the run, for one epoch)")
	c.Flags.StringVar(&o.From, "from", "", "run's `directory`, or .safetensors file, to start from (default: the config's init.from)")
	c.Flags.Var(&set, "set", "override a key, `a.b=value`; may be given several times")
	c.Flags.StringVar(&o.Run, "run", "", "`directory` of the new run (default: the config's run, or runs/ and the config's name; without a config --from's with -finetuned)")
	c.Flags.BoolVar(&t.Resume, "resume", false, "go on from the new run's last checkpoint, if there is one")
	c.Flags.BoolVar(&t.Overwrite, "overwrite", false, "replace a run that is in the new run's directory")
	c.Main()
}
