// Command predict scores rows: go run ./cmd/predict --run runs/criteo_deepfm --in rows.txt --out scores.txt
package main

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/cmd/internal/session"
)

func main() {
	var in, out, ensemble string
	var runs, set cli.List
	c := cli.New("predict", "writes the prediction for every row of a file, a probability, number or class, one a line, in the rows' order", func(ctx context.Context, c *cli.Command) error {
		if in == "" || out == "" {
			return cli.BadInput(errors.New("predict: give the rows with --in and the file of predictions with --out (- for standard output)"))
		}
		t, err := session.OpenTeam(c, runs, set, ensemble)
		if err != nil {
			return err
		}
		return t.Predict(ctx, in, out)
	})
	c.Flags.Var(&runs, "run", "`directory` of the run; given several times, the predictions are the runs' ensemble's")
	c.Flags.StringVar(&ensemble, "ensemble", "", "how several runs become one: mean of their `logits` (default) or probabilities")
	c.Flags.StringVar(&in, "in", "", "`file` (or glob) of rows, of the layout the run was trained on; labels may be left out")
	c.Flags.StringVar(&out, "out", "", "`file` to write, - for standard output")
	c.Flags.Var(&set, "set", "override a key of the run's config, `a.b=value`; may be given several times")
	c.Main()
}
