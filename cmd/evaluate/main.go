// Command evaluate measures a run's model, or several runs' ensemble: go run ./cmd/evaluate --run runs/criteo_deepfm
package main

import (
	"context"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/configs/job"
)

func main() {
	var path, split, candidates string
	var runs app.RunFlags
	c := app.New("evaluate", "measures a run's model on its validation and test rows, or on the rows of a file",
		func(ctx context.Context, c *app.Command) error {
			e, err := runs.Open(c)
			if err != nil {
				return err
			}
			if err := e.RankAmong(candidates); err != nil {
				return err
			}
			mode := ""
			if len(e.Runs) > 1 {
				mode = e.Mode
			}
			if err := e.Evaluate(ctx, path, split, func(s job.Scores) error { return app.PrintScores(c.Out, s, mode) }); err != nil {
				return err
			}
			return app.PrintTables(c.Out, e)
		})
	runs.Flags(c, "`directory` of the run; given several times, the runs and their ensemble are measured, on the first one's data")
	c.Flags.StringVar(&path, "data", "", "evaluate on all rows of this `file`, of the run's layout, with labels")
	c.Flags.StringVar(&candidates, "candidates", "", "rank each item among this `number` of others that are drawn, once, among those that its user "+
		"has not had, of runs that rank a catalogue; or among all, of runs that score candidates (default: as the run was evaluated)")
	c.Flags.StringVar(&split, "split", "", "`part` of the run's data: train, valid or test (default: valid and test)")
	c.Main()
}
