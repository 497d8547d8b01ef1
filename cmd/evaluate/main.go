// Command evaluate measures a run's model, or several runs' ensemble: go run ./cmd/evaluate --run runs/criteo_deepfm
package main

import (
	"context"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/cmd/internal/session"
)

func main() {
	var path, split, ensemble string
	var runs, set cli.List
	c := cli.New("evaluate", "measures a run's model on its validation and test rows, or on the rows of a file", func(ctx context.Context, c *cli.Command) error {
		t, err := session.OpenTeam(c, runs, set, ensemble)
		if err != nil {
			return err
		}
		return t.Evaluate(ctx, path, split)
	})
	c.Flags.Var(&runs, "run", "`directory` of the run; given several times, the runs and their ensemble are measured, on the first one's data")
	c.Flags.StringVar(&ensemble, "ensemble", "", "how several runs become one: mean of their `logits` (default) or probabilities")
	c.Flags.StringVar(&path, "data", "", "evaluate on all rows of this `file` (or glob), of the run's layout, with labels")
	c.Flags.StringVar(&split, "split", "", "`part` of the run's data: train, valid or test (default: valid and test)")
	c.Flags.Var(&set, "set", "override a key of the run's config, `a.b=value`; may be given several times")
	c.Main()
}
