package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// Scores are the metrics of a model on some rows.
type Scores struct {
	Part    string // of the data, or the path of a file
	Rows    int
	Model   string             // the directory of a run; empty for the ensemble, and for a run alone
	Metrics map[string]float64 // NaN if the metric is undefined for the rows
	Names   []string           // of the metrics, in their order
	// what the rankings are of, such as all items or sampled candidates: see train.Protocol. Empty if the metrics rank nothing.
	Protocol string
	// why metrics are undefined; only in the first scores of a part, since the labels decide it and are the same for all models
	Undefined []*metric.Undefined
	Tables    string // how tables are held, if the runs' configs want int8: one of the constants below; else empty
}

// Scores of runs whose configs want int8 tables: those with float32 tables, those with int8, and the latter less the former.
const (
	Float32Tables = "float32"
	Int8Tables    = "int8"
	Difference    = "difference"
)

// RankAmong says among what Evaluate ranks items, as --candidates does: a number of items that are drawn, all, or nothing.
func (t *Ensemble) RankAmong(candidates string) error {
	t.Candidates, t.Everything = 0, candidates == "all"
	if candidates == "" || t.Everything {
		return nil
	}
	n, err := strconv.Atoi(candidates)
	if err != nil || n < 1 {
		return run.BadInput(fmt.Errorf("--candidates %s: want a number of items above 0, or all", candidates))
	}
	t.Candidates = n
	return nil
}

// Evaluate measures the runs, and their ensemble if there are several. If path is given, it does so on all rows of that file.
// Otherwise it uses a part of the first run's data: split is train, valid or test, or empty for validation and test rows. each is
// called for every model on every part, for the runs first and then for the ensemble. If a run's serve section wants int8 tables, it is called
// for the scores without them, with them, and for the difference, once all are known: the parts are read twice, so that the
// tables are never in memory in both.
func (t *Ensemble) Evaluate(ctx context.Context, path, split string, each func(Scores) error) error {
	parts, err := t.chosen(ctx, path, split)
	if err != nil {
		return err
	}
	if err := train.CheckGroups(parts[0].src[0].Schema(), t.first().Task); err != nil {
		return run.BadInput(err)
	}
	if err := t.serves(parts[0]); err != nil {
		return err
	}
	if t.Tables == nil {
		return t.measureAll(ctx, parts, false, each)
	}
	var before, after []Scores
	if err := t.measureAll(ctx, parts, false, func(s Scores) error { before = append(before, s); return nil }); err != nil {
		return err
	}
	if err := t.measureAll(ctx, parts, true, func(s Scores) error { after = append(after, s); return nil }); err != nil {
		return err
	}
	for i := range before {
		for _, s := range compared(before[i], after[i]) {
			if err := each(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// Test measures a run alone on the test rows of its data. It returns nil if the data has none.
func (t *Ensemble) Test(ctx context.Context) (*Scores, error) {
	all, err := t.splits(ctx)
	if err != nil || !slices.ContainsFunc(all, func(p part) bool { return p.name == "test" }) {
		return nil, err
	}
	var scores *Scores
	err = t.Evaluate(ctx, "", "test", func(s Scores) error {
		if s.Tables != Difference {
			scores = &s
		}
		return nil
	})
	return scores, err
}

// chosen returns the rows that are measured: those of a file, of a part of the data, or of its validation and test parts.
func (t *Ensemble) chosen(ctx context.Context, path, split string) ([]part, error) {
	var parts []part
	if _, ranks := t.first().Task.(task.Ranking); t.Candidates != 0 && !ranks {
		return nil, run.BadInput(fmt.Errorf("--candidates %d: %s ranks no catalogue, as runs of the task next_item do; how many candidates are drawn for it "+
			"its data says, with eval_negatives", t.Candidates, t.first().Dir))
	}
	switch {
	case path != "" && split != "":
		return nil, run.BadInput(errors.New("--data and --split exclude each other"))
	case path != "":
		parts = []part{t.stream(ctx, path, true)}
	default:
		all, err := t.splits(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			if p.name == split || split == "" && p.name != "train" {
				parts = append(parts, p)
			}
		}
		if len(parts) == 0 {
			return nil, run.BadInput(fmt.Errorf("the data has no such part: --split %q (train, valid or test), or give --data", split))
		}
	}
	return parts, t.widen(parts)
}

// measureAll measures the models on parts, with their tables as the runs' serve sections say, or all as float32.
func (t *Ensemble) measureAll(ctx context.Context, parts []part, serves bool, each func(Scores) error) error {
	progs, closeAll, err := t.programs(parts[0], serves, false)
	if err != nil {
		return err
	}
	defer closeAll()
	for _, p := range parts {
		if err := t.measure(ctx, progs, p, each); err != nil {
			return err
		}
	}
	return nil
}

// compared returns the scores of a model with float32 tables, with int8 ones, and what the latter change.
func compared(before, after Scores) [3]Scores {
	change := after
	before.Tables, after.Tables, change.Tables = Float32Tables, Int8Tables, Difference
	after.Undefined, change.Undefined = nil, nil // as before
	change.Metrics = map[string]float64{}
	for name, v := range after.Metrics {
		change.Metrics[name] = v - before.Metrics[name]
	}
	return [3]Scores{before, after, change}
}

// widen has rows of candidates be of all items, if that is wanted.
func (t *Ensemble) widen(parts []part) error {
	if _, ranks := t.first().Task.(task.Ranking); !t.Everything || ranks {
		return nil
	}
	for _, p := range parts {
		if p.name == "train" {
			return run.BadInput(errors.New("--candidates all: a user has several train rows, and metrics rank those of a user together: give --split valid or test"))
		}
		for i, src := range p.src {
			var all data.Whole
			if c, ok := src.(data.Candidates); ok {
				all = c.Everything()
			}
			if all == nil {
				return run.BadInput(fmt.Errorf("--candidates all: the rows of %s are no candidates of a log, as those of data of type interactions are", p.name))
			}
			p.src[i] = all
		}
	}
	return nil
}

// measure measures the models on one part.
func (t *Ensemble) measure(ctx context.Context, progs []*models.Program, p part, each func(Scores) error) error {
	s, members, end, err := t.predictor(progs, p, true)
	if err != nil {
		return err
	}
	all := Scores{Part: p.name}
	o := train.EvaluateOptions{Dir: t.first().Dir, Candidates: t.Candidates, Each: func(n int) error { all.Rows += n; return nil }}
	for i, m := range members {
		if len(members) > 1 {
			if m.Metrics, err = t.first().Task.Metrics(); err != nil {
				return err
			}
			o.SpillMetrics(m.Metrics)
			keeping := task.MeasureOptions{Candidates: t.Candidates, Keep: true}
			if m.Measure, err = task.NewMeasure(t.first().Task, p.src[i].Schema(), m.Metrics, keeping); err != nil {
				return run.BadInput(err)
			}
		}
	}
	measured, err := train.Evaluate(ctx, s, p.src[0], t.first().Task, o)
	ended := end()
	if err == nil {
		err = ended
	}
	if err != nil {
		return run.BadInput(err)
	}
	all.Metrics, all.Names, all.Undefined, all.Protocol = measured.Metrics, measured.Order, measured.Undefined, measured.Protocol
	for _, m := range members {
		if len(members) == 1 {
			break
		}
		own := Scores{Part: p.name, Rows: all.Rows, Model: m.Name, Names: all.Names, Protocol: all.Protocol, Undefined: all.Undefined}
		all.Undefined = nil
		if own.Metrics, _, err = metric.Values(m.Metrics); err != nil {
			return run.BadInput(fmt.Errorf("%s: %w", m.Name, err))
		}
		if err := each(own); err != nil {
			return err
		}
	}
	return each(all)
}
