// Package predict is the command predict.
package predict

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data/output"
	"github.com/splice-ml/splice/data/output/parquet"
	"github.com/splice-ml/splice/train/run"
)

// Command returns the command.
func Command() *app.Command {
	var in, out string
	var top int
	var columns app.Names
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
			if len(columns) > 0 && tables[filepath.Ext(out)] == nil {
				return run.BadInput(errors.New("predict: --columns is for tables: give --out a name that ends in .csv or .parquet"))
			}
			if out == "-" {
				_, err := e.Predict(ctx, in, c.Out)
				return err
			}
			w, err := c.Output(ctx, out, in) // a file appears when all rows are scored, or not at all
			if err != nil {
				return err
			}
			defer w.Abort()
			rows, err := predict(ctx, e, in, out, columns, w)
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
	c.Flags.StringVar(&out, "out", "", "`file` to write, - for standard output; a device or a FIFO is written to as the rows are scored. A name that ends in "+
		".csv or .parquet makes a table with named columns")
	c.Flags.Var(&columns, "columns", "`names` of columns of --in, with commas between them, that a table has beside the predictions")
	c.Flags.IntVar(&top, "top-k", 0, "of runs that rank a catalogue, write the names of this `number` of items for each row, tabs between them (default 1)")
	c.Examples = []string{
		"--run runs/clicks --in rows.csv --out scores.txt",
		"--run runs/clicks --in rows.csv --columns user,ad --out scores.parquet",
		"--run runs/a --run runs/b --in rows.csv --out -",
	}
	return c
}

// tables are the endings of names of files that are tables.
var tables = map[string]func(io.Writer, []output.Column) output.Table{".csv": output.NewCSV, ".parquet": parquet.New}

// predict writes predictions to w, as a table if the name of the output says so.
func predict(ctx context.Context, e *job.Ensemble, in, out string, columns []string, w io.Writer) (rows int, err error) {
	create := tables[filepath.Ext(out)]
	if create == nil {
		return e.Predict(ctx, in, w)
	}
	var table output.Table
	rows, err = e.PredictTable(ctx, in, columns, func(list []output.Column) (output.Table, error) {
		table = create(w, list)
		return table, nil
	})
	if err != nil {
		return rows, err
	}
	return rows, table.Close()
}
