package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/inspect"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

// ImportanceOptions say how the importance of columns is measured.
type ImportanceOptions struct {
	Path    string // of a file of rows with labels; empty: a part of the run's data
	Split   string // that part; empty: valid
	Metric  string // one of the task's; empty: the monitored one
	Repeats int    // permutations of each column
	Rows    int    // at most, drawn from those that there are
}

// ImportanceDefaults returns the options of a command that leaves them out.
func ImportanceDefaults() ImportanceOptions { return ImportanceOptions{Repeats: 10, Rows: 20_000} }

// Importances are the importances of a run's columns.
type Importances struct {
	Part       string // of the data, or the path of a file
	Of, Rows   int64  // rows that there are, and those that were drawn
	Groups     bool   // whole groups of rows were drawn
	Metric     string
	Higher     bool    // the higher metric is the better one
	Value      float64 // of the rows as they are
	Repeats    int
	Protocol   string // see Scores
	Columns    []inspect.Importance
	Candidates int
}

// Importance measures what each input column of a run is worth to its metric: see [inspect.Permutation].
func (t *Ensemble) Importance(ctx context.Context, o ImportanceOptions) (*Importances, error) {
	r := t.first()
	if len(t.Runs) > 1 {
		return nil, run.BadInput(errors.New("--importance is of one run: give --run once"))
	}
	if o.Repeats < 1 || o.Rows < 1 {
		return nil, run.BadInput(fmt.Errorf("--repeats %d, --rows %d: want numbers above 0", o.Repeats, o.Rows))
	}
	names, err := r.Metrics()
	if err != nil {
		return nil, err
	}
	name := cmp.Or(o.Metric, r.monitor(names))
	switch {
	case !slices.Contains(names, name):
		return nil, run.BadInput(fmt.Errorf("--metric %s: the task of %s has %s; others are given with --set, as task.metrics", name, r.Dir, strings.Join(names, ", ")))
	case !metric.Selectable(name):
		return nil, run.BadInput(fmt.Errorf("--metric %s: neither a high nor a low one is best, so nothing can make it worse", name))
	}
	if o.Path == "" && o.Split == "" {
		o.Split = data.ValidPart.String()
	}
	parts, err := t.chosen(ctx, o.Path, o.Split)
	if err != nil {
		return nil, err
	}
	p := parts[0]
	sc := p.src[0].Schema()
	if sc.Text != nil {
		return nil, run.BadInput(fmt.Errorf("--importance: %s reads texts, which are its only column", r.Dir))
	}
	if err := train.CheckGroups(sc, r.Task); err != nil {
		return nil, run.BadInput(err)
	}
	out := &Importances{
		Part: p.name, Metric: name, Higher: metric.HigherIsBetter(name), Repeats: o.Repeats,
		Groups: sc.HasGroup && metric.ByGroup(name), Protocol: train.Protocol(p.src[0], r.Task, t.Candidates),
	}
	rows, err := inspect.Hold(ctx, p.src[0], inspect.HoldOptions{Most: o.Rows, Key: rng.Key(r.Seed, "rows"), Groups: out.Groups})
	if errors.Is(err, inspect.ErrGroup) {
		err = fmt.Errorf("%w: give more --rows", err)
	}
	if err != nil {
		return nil, run.BadInput(err)
	}
	out.Of, out.Rows = rows.Of, int64(rows.Held())
	progs, closeAll, err := t.programs(p, false, false)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	s, _, end, err := t.predictor(progs, p, true)
	if err != nil {
		return nil, err
	}
	columns := inspect.Columns(r.Map, sc)
	done := 0
	permutation := inspect.Permutation{
		Metric: name, Repeats: o.Repeats, Evaluate: train.EvaluateOptions{Candidates: t.Candidates, Dir: r.Dir},
		Done: func(c inspect.Column) {
			done++
			r.Log.Info("permuted", "column", c.Name, "done", fmt.Sprintf("%d of %d", done, len(columns)))
		},
	}
	if out.Columns, out.Value, err = permutation.Measure(ctx, s, rows, r.Task, columns); err != nil {
		return nil, run.BadInput(err)
	}
	return out, end()
}
