// Command evaluate measures a run's model: go run ./cmd/evaluate --run runs/criteo_deepfm
package main

import (
	"context"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/cmd/internal/session"
)

func main() {
	var run, path, split string
	var set cli.List
	c := cli.New("evaluate", "measures a run's model on its validation and test rows, or on the rows of a file", func(ctx context.Context, c *cli.Command) error {
		r, err := session.Open(c, run, set)
		if err != nil {
			return err
		}
		return r.Evaluate(ctx, path, split)
	})
	c.Flags.StringVar(&run, "run", "", "`directory` of the run")
	c.Flags.StringVar(&path, "data", "", "evaluate on all rows of this `file` (or glob), of the run's layout, with labels")
	c.Flags.StringVar(&split, "split", "", "`part` of the run's data: train, valid or test (default: valid and test)")
	c.Flags.Var(&set, "set", "override a key of the run's config, `a.b=value`; may be given several times")
	c.Main()
}
