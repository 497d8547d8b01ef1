// Command predict scores rows: go run ./cmd/predict --run runs/criteo_deepfm --in rows.txt --out scores.txt
package main

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/train/run"
)

func main() {
	var in, out string
	var top int
	var runs app.RunFlags
	c := app.New("predict", "writes the prediction for every row of a file, a probability, number or class, one a line, in the rows' order",
		func(ctx context.Context, c *app.Command) error {
			if in == "" || out == "" {
				return run.BadInput(errors.New("predict: give the rows with --in and the file of predictions with --out (- for standard output)"))
			}
			e, err := runs.Open(c)
			if err != nil {
				return err
			}
			e.TopK = top
			if out == "-" {
				_, err := e.Predict(ctx, in, c.Out)
				return err
			}
			w, err := c.Output(ctx, out, in) // a file appears when all rows are scored, or not at all
			if err != nil {
				return err
			}
			defer w.Abort()
			rows, err := e.Predict(ctx, in, w)
			if err != nil {
				return err
			}
			if err := w.Commit(); err != nil {
				return c.Prefixed(err)
			}
			c.Log().Info("predicted", "rows", rows, "file", out)
			return nil
		})
	runs.Flags(c, "`directory` of the run; given several times, the predictions are the runs' ensemble's")
	c.Flags.StringVar(&in, "in", "", "`file` of rows, of the layout the run was trained on; labels may be left out")
	c.Flags.StringVar(&out, "out", "", "`file` to write, - for standard output; a device or a FIFO is written to as the rows are scored")
	c.Flags.IntVar(&top, "top-k", 0, "of runs that rank a catalogue, write the names of this `number` of items for each row, tabs between them (default 1)")
	c.Main()
}
