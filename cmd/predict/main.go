// Command predict scores rows: go run ./cmd/predict --run runs/criteo_deepfm --in rows.txt --out scores.txt
package main

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/cmd/internal/session"
)

func main() {
	var run, in, out string
	var set cli.List
	c := cli.New("predict", "writes the probability of every row of a file, one a line, in the rows' order", func(ctx context.Context, c *cli.Command) error {
		if in == "" || out == "" {
			return cli.BadInput(errors.New("predict: give the rows with --in and the file of probabilities with --out (- for standard output)"))
		}
		r, err := session.Open(c, run, set)
		if err != nil {
			return err
		}
		return r.Predict(ctx, in, out)
	})
	c.Flags.StringVar(&run, "run", "", "`directory` of the run")
	c.Flags.StringVar(&in, "in", "", "`file` (or glob) of rows, of the layout the run was trained on; labels may be left out")
	c.Flags.StringVar(&out, "out", "", "`file` to write, - for standard output")
	c.Flags.Var(&set, "set", "override a key of the run's config, `a.b=value`; may be given several times")
	c.Main()
}
