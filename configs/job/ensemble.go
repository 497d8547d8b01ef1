package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/memory"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// Ensemble is one run, or several runs whose predictions are combined.
type Ensemble struct {
	// Candidates, above 0, has Evaluate rank each item among so many others that are drawn, of runs that rank a catalogue.
	Candidates int
	Everything bool // Evaluate ranks each item among all of the catalogue, of runs that score an item and a history, too
	TopK       int  // items that Predict writes for a row, of runs that rank a catalogue; 1 if it is 0
	Runs       []*Run
	Mode       string // ensemble.MeanLogits or ensemble.MeanProbabilities

	// Tables says how the tables of each run are held for scoring, once Predict or Evaluate has begun. It is nil if all are float32.
	Tables []*models.Tables
}

// OpenEnsemble opens runs of one task. mode says how the predictions of several runs become one. If it is empty, they are the mean of
// the logits. set overrides keys of the runs' configs. The error lists all mistakes.
func OpenEnsemble(dirs, set []string, mode string, log *slog.Logger) (*Ensemble, error) {
	if mode == "" {
		mode = ensemble.MeanLogits
	}
	if mode != ensemble.MeanLogits && mode != ensemble.MeanProbabilities {
		return nil, run.BadInput(fmt.Errorf("--ensemble %q: want %s or %s", mode, ensemble.MeanLogits, ensemble.MeanProbabilities))
	}
	if len(dirs) == 0 {
		return nil, run.BadInput(errors.New("no run is given: give the directories of one or more"))
	}
	t := &Ensemble{Mode: mode}
	var errs []error
	for i, dir := range dirs {
		if slices.ContainsFunc(dirs[:i], func(other string) bool { return run.Same(dir, other) }) {
			errs = append(errs, run.BadInput(fmt.Errorf("--run %s is given twice", dir)))
			continue
		}
		r, err := Open(dir, set, log)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		t.Runs = append(t.Runs, r)
		have, _ := task.Registry.NameOf(r.Task)
		if want, _ := task.Registry.NameOf(t.Runs[0].Task); have != want {
			errs = append(errs, run.BadInput(fmt.Errorf("%s was trained for %s, %s for %s: predictions of different tasks have no mean", dir, have,
				t.Runs[0].Dir, want)))
		}
	}
	for _, r := range t.Runs {
		if len(dirs) > 1 && r.Experiment.Serve.Calibrated {
			errs = append(errs, run.BadInput(fmt.Errorf("serve.calibrated: the calibration of %s is of its own predictions, not of those of several runs together; set it to false", r.Dir)))
		}
	}
	switch len(errs) {
	case 0:
		return t, nil
	case 1:
		return nil, errs[0]
	}
	return nil, errors.Join(errs...)
}

// first returns the run whose data section says which rows there are.
func (t *Ensemble) first() *Run { return t.Runs[0] }

// part is rows as each run reads them: sources of the same rows in the same order, or the very same source for runs of the
// same feature map.
type part struct {
	name string
	src  []data.Source
}

// stream returns the rows of files.
func (t *Ensemble) stream(ctx context.Context, path string, labels bool) part {
	p := part{name: path}
	for i, r := range t.Runs {
		src := r.stream(ctx, path, labels)
		if i > 0 && r.Map.Digest() == t.first().Map.Digest() {
			src = p.src[0]
		}
		p.src = append(p.src, src)
	}
	return p
}

// splits returns the parts of the first run's data that there are: train, valid, test.
func (t *Ensemble) splits(ctx context.Context) ([]part, error) {
	parts := []part{{name: "train"}, {name: "valid"}, {name: "test"}}
	for i, r := range t.Runs {
		if i > 0 && r.Map.Digest() == t.first().Map.Digest() {
			for k := range parts {
				parts[k].src = append(parts[k].src, parts[k].src[0])
			}
			continue
		}
		f := t.first()
		d, err := f.Data.Open(ctx, data.OpenOptions{Seed: f.Seed, Threads: f.Threads, Map: r.Map, Log: f.Log})
		if err != nil {
			if i > 0 && ctx.Err() == nil {
				err = fmt.Errorf("%w\n(the data of %s is read with the feature map of %s; give rows that both can read with --data)",
					err, f.Dir, r.Dir)
			}
			return nil, run.BadInput(err)
		}
		for k, src := range []data.Source{d.Train, d.Valid, d.Test} {
			parts[k].src = append(parts[k].src, src)
		}
	}
	var out []part
	for _, p := range parts {
		if p.src[0] != nil {
			out = append(out, p)
		}
	}
	return out, nil
}

// serves finds out how the tables of the runs are held for rows of a part.
func (t *Ensemble) serves(p part) error {
	if !slices.ContainsFunc(t.Runs, func(r *Run) bool { return r.Experiment.Serve.Int8() }) {
		return nil
	}
	t.Tables = nil
	var errs []error
	for i, r := range t.Runs {
		tables, err := r.Experiment.Serve.Tables(r.Model, p.src[i].Schema())
		if err != nil {
			errs = append(errs, run.BadInput(fmt.Errorf("%s: %w", r.Dir, err)))
			continue
		}
		t.Tables = append(t.Tables, tables)
		if len(tables.Int8) > 0 {
			about := []any{
				"run", r.Dir, "tables", fmt.Sprintf("%d of %d", len(tables.Int8), tables.All),
				"bytes", memory.Format(tables.Held) + " in place of " + memory.Format(tables.Float32),
			}
			if kept := tables.Kept(); kept != "" {
				about = append(about, "others", kept)
			}
			r.Log.Info("embedding tables are int8", about...)
		}
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// afford is [Job.afford] for all runs together.
func (t *Ensemble) afford(p part, serves bool) error {
	f := t.first()
	return f.afford(p.src[0].Schema(), uses{loaded: len(t.Runs) - 1, serves: serves})
}

// programs compiles the runs' models for rows of a part, with their tables as the runs' serve sections say, or all as float32. whole is that of
// [ensemble.Run]. close frees them.
func (t *Ensemble) programs(p part, serves, whole bool) (progs []*models.Program, closeAll func(), err error) {
	closeAll = func() {
		for _, prog := range progs {
			prog.Close()
		}
	}
	if err := t.afford(p, serves); err != nil {
		return nil, closeAll, err
	}
	for i, r := range t.Runs {
		m := r.member()
		m.Whole = whole
		if serves {
			m.Serve = r.Experiment.Serve
		}
		prog, _, err := m.Program(p.src[i].Schema(), t.first().Experiment.Train.BatchSize)
		if err != nil {
			closeAll()
			return nil, nil, run.BadInput(err)
		}
		progs = append(progs, prog)
	}
	return progs, closeAll, nil
}

// predictor puts programs together for one pass over a part. end frees it, and says if the runs' rows were not the same.
func (t *Ensemble) predictor(
	progs []*models.Program, p part, labels bool,
) (s train.Predictor, members []*ensemble.Member, end func() error, err error) {
	var all []train.Predictor
	for i, prog := range progs {
		m := &ensemble.Member{Program: prog, Name: t.Runs[i].Dir, First: t.first().Dir, Labels: labels}
		members, all = append(members, m), append(all, m)
	}
	s = all[0]
	apply, err := t.first().Calibration(p.src[0].Schema())
	if err != nil {
		return nil, nil, nil, err
	}
	if apply != nil {
		s = &calibrated{Predictor: s, apply: apply}
	}
	if len(all) > 1 {
		e, err := ensemble.New(t.Mode, all...)
		if err != nil {
			return nil, nil, nil, err
		}
		parts, err := task.Split(t.first().Task, p.src[0].Schema())
		if err != nil {
			return nil, nil, nil, run.BadInput(err)
		}
		e.Tasks(parts)
		s = e
	}
	for i, m := range members {
		if p.src[i] != p.src[0] {
			m.Follow(p.src[i])
		}
	}
	return s, members, func() error {
		var errs []error
		for _, m := range members {
			errs = append(errs, m.End())
		}
		return errors.Join(errs...)
	}, nil
}
