// Package evaluate is the command evaluate.
package evaluate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/run"
)

// flags are those of the command, beside the ones about runs.
type flags struct {
	runs                    app.RunFlags
	path, split, candidates string
	importance              bool
	permute                 job.ImportanceOptions
	by                      app.Names
	slice                   job.SliceOptions
	metric, calibrate       string
}

// modes are the flags that ask for something else than the metrics of parts, and options the flags that are for some of them.
var (
	modes   = []string{"importance", "by", "calibrate"}
	options = map[string][]string{"repeats": {"importance"}, "rows": {"importance"}, "metric": {"importance", "by"}, "sort": {"by"}}
)

// Command returns the command.
func Command() *app.Command {
	f := &flags{permute: job.ImportanceDefaults()}
	c := app.New("evaluate", "measures a run's model on its validation and test rows, or on the rows of a file", f.run)
	f.runs.Flags(c, "`directory` of the run; given several times, the runs and their ensemble are measured, on the first one's data")
	c.Flags.StringVar(&f.path, "data", "", "evaluate on all rows of this `file`, of the run's layout, with labels")
	c.Flags.StringVar(&f.candidates, "candidates", "", "rank each item among this `number` of others that are drawn, once, among those that its user "+
		"has not had, of runs that rank a catalogue; or among all, of runs that score candidates (default: as the run was evaluated)")
	c.Flags.StringVar(&f.split, "split", "", "`part` of the run's data: train, valid or test (default: valid and test)")
	c.Flags.BoolVar(&f.importance, "importance", false, "measure how much worse a metric is when the values of each column are permuted among the rows (of --split, default: valid)")
	c.Flags.IntVar(&f.permute.Repeats, "repeats", f.permute.Repeats, "of --importance: `permutations` of each column")
	c.Flags.IntVar(&f.permute.Rows, "rows", f.permute.Rows, "of --importance: `rows`, drawn from those that there are")
	c.Flags.Var(&f.by, "by", "measure the rows of each value of these `columns`, with commas between them")
	c.Flags.StringVar(&f.slice.Sort, "sort", "", "of --by: the largest values first (`size`, the default), smallest, or those whose metric is worst")
	c.Flags.StringVar(&f.metric, "metric", "", "of --importance and --by: `name` of a metric of the run's task (default: the one that training monitored; all)")
	c.Flags.StringVar(&f.calibrate, "calibrate", "", "fit a calibration of the run's probabilities on its validation rows, by this `method`: temperature, platt or isotonic; it is "+
		"written into the run's directory, and measured on validation and test rows")
	c.Examples = []string{
		"--run runs/clicks",
		"--run runs/clicks --data rows.csv",
		"--run runs/clicks --importance",
		"--run runs/clicks --by weekday,hour --sort worst",
		"--run runs/clicks --calibrate temperature",
	}
	return c
}

func (f *flags) run(ctx context.Context, c *app.Command) error {
	mode, err := chosen(c.Flags)
	if err != nil {
		return run.BadInput(c.Prefixed(err))
	}
	e, err := f.runs.Open(c)
	if err != nil {
		return err
	}
	if err := e.RankAmong(f.candidates); err != nil {
		return err
	}
	switch mode {
	case "calibrate":
		if f.path != "" || f.split != "" || f.candidates != "" {
			return run.BadInput(errors.New("evaluate: --calibrate fits on validation rows, and measures on validation and test rows: leave out --data, --split and --candidates"))
		}
		done, err := e.Calibrate(ctx, f.calibrate, reliability)
		if err != nil {
			return err
		}
		return app.PrintCalibrated(c.Out, done)
	case "by":
		f.slice.Path, f.slice.Split, f.slice.By, f.slice.Metric = f.path, f.split, f.by, f.metric
		return e.Slices(ctx, f.slice, func(s *job.SliceScores) error { return app.PrintSlices(c.Out, s) })
	case "importance":
		f.permute.Path, f.permute.Split, f.permute.Metric = f.path, f.split, f.metric
		im, err := e.Importance(ctx, f.permute)
		if err != nil {
			return err
		}
		return app.PrintImportance(c.Out, im)
	}
	means := ""
	if len(e.Runs) > 1 {
		means = e.Mode
	}
	if err := e.Evaluate(ctx, f.path, f.split, func(s job.Scores) error { return app.PrintScores(c.Out, s, means) }); err != nil {
		return err
	}
	return app.PrintTables(c.Out, e)
}

// chosen returns the flag that asks for something else than metrics, if there is one, and reports flags that do not go together.
func chosen(given *flag.FlagSet) (mode string, err error) {
	var names []string
	given.Visit(func(f *flag.Flag) { names = append(names, f.Name) })
	for _, name := range names {
		if !slices.Contains(modes, name) {
			continue
		}
		if mode != "" {
			return "", fmt.Errorf("--%s and --%s exclude each other", mode, name)
		}
		mode = name
	}
	for _, name := range names {
		if of := options[name]; of != nil && !slices.Contains(of, mode) {
			return "", fmt.Errorf("--%s is for --%s", name, strings.Join(of, " and --"))
		}
	}
	return mode, nil
}
