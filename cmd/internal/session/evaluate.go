package session

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train"
)

// Evaluate prints the metrics of the run's model on the rows of a file, on one part of its data, or on validation and test
// rows.
func (r *Run) Evaluate(ctx context.Context, path, split string) error {
	type part struct {
		name string
		src  data.Source
	}
	var parts []part
	switch {
	case path != "" && split != "":
		return cli.BadInput(fmt.Errorf("evaluate: --data and --split exclude each other"))
	case path != "":
		src, err := r.Stream(ctx, path, true)
		if err != nil {
			return err
		}
		parts = []part{{path, src}}
	default:
		d, err := r.Data.Open(ctx, data.OpenOptions{Seed: r.Seed, Threads: r.Threads, Map: r.Map, Log: r.Log})
		if err != nil {
			return cli.BadInput(err)
		}
		all := []part{{"train", d.Train}, {"valid", d.Valid}, {"test", d.Test}}
		for _, p := range all {
			if p.src != nil && (p.name == split || split == "" && p.name != "train") {
				parts = append(parts, p)
			}
		}
		if len(parts) == 0 {
			return cli.BadInput(fmt.Errorf("evaluate: the data has no such part: --split %q (train, valid or test), or give --data", split))
		}
	}
	prog, err := r.Program(parts[0].src.Schema())
	if err != nil {
		return err
	}
	defer prog.Close()
	for _, p := range parts {
		if err := r.print(ctx, prog, p.name, p.src); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) print(ctx context.Context, prog *models.Program, name string, src data.Source) error {
	rows := 0
	m, order, err := train.Evaluate(ctx, prog, src, r.Task, func(n int) error { rows += n; return nil })
	if err != nil {
		return cli.BadInput(err)
	}
	_, err = fmt.Fprintf(r.Out, "%s (%d rows):%s\n", name, rows, line(m, order))
	return err
}
