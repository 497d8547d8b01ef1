package session

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train"
)

// Evaluate prints the metrics of the runs' models, and of several those of their ensemble, on the rows of a file, on one part of
// the first run's data, or on its validation and test rows.
func (t *Team) Evaluate(ctx context.Context, path, split string) error {
	var parts []part
	switch {
	case path != "" && split != "":
		return cli.BadInput(fmt.Errorf("evaluate: --data and --split exclude each other"))
	case path != "":
		p, err := t.stream(ctx, path, true)
		if err != nil {
			return err
		}
		parts = []part{p}
	default:
		all, err := t.splits(ctx)
		if err != nil {
			return err
		}
		for _, p := range all {
			if p.name == split || split == "" && p.name != "train" {
				parts = append(parts, p)
			}
		}
		if len(parts) == 0 {
			return cli.BadInput(fmt.Errorf("evaluate: the data has no such part: --split %q (train, valid or test), or give --data", split))
		}
	}
	progs, closeAll, err := t.programs(parts[0])
	if err != nil {
		return err
	}
	defer closeAll()
	for _, p := range parts {
		if err := t.print(ctx, progs, p); err != nil {
			return err
		}
	}
	return nil
}

// print prints the metrics on one part, a line for each run and one for their ensemble.
func (t *Team) print(ctx context.Context, progs []*models.Program, p part) error {
	s, members, end, err := t.scorer(progs, p, true)
	if err != nil {
		return err
	}
	f := t.first()
	for _, m := range members {
		if len(members) > 1 {
			if m.Metrics, err = f.Task.Metrics(); err != nil {
				return err
			}
		}
	}
	rows := 0
	values, order, err := train.Evaluate(ctx, s, p.src[0], f.Task, func(n int) error { rows += n; return nil })
	if e := end(); err == nil {
		err = e
	}
	if err != nil {
		return cli.BadInput(err)
	}
	if len(members) == 1 {
		_, err = fmt.Fprintf(f.Out, "%s (%d rows):%s\n", p.name, rows, line(values, order))
		return err
	}
	for _, m := range members {
		own := map[string]float64{}
		for _, x := range m.Metrics {
			if own[x.Name()], err = x.Value(); err != nil {
				return cli.BadInput(fmt.Errorf("evaluate: %s: %s: %w", m.Name, x.Name(), err))
			}
		}
		if _, err := fmt.Fprintf(f.Out, "%s (%d rows), %s:%s\n", p.name, rows, m.Name, line(own, order)); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(f.Out, "%s (%d rows), ensemble (mean of %s):%s\n", p.name, rows, t.Mode, line(values, order))
	return err
}
