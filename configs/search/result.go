package search

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/train/run"
)

// Result is what a study comes to.
type Result struct {
	*Spec
	Dir         string
	Trials      []*Trial // in their order
	Best        *Trial
	Test        []run.Metrics // of the best trial's trainings, on test rows; nil without such rows
	Metrics     []string      // names of the task's metrics, in their order
	Importances []Importance  // in the order of the parameters
	Config      string        // path of the best trial's config
	YAML        []byte        // its content
}

// BestFile is the name of the best trial's config in the directory of a study.
const BestFile = "best.yaml"

// conclude finds the best trial, measures it on test rows, and writes its config.
func (s *Study) conclude(ctx context.Context) (*Result, error) {
	lock, err := s.wait(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Release() //nolint:errcheck // a lock that stays behind has no holder
	trials, err := s.store.trials(ctx)
	if err != nil {
		return nil, err
	}
	trials = trials[:min(len(trials), s.Trials)]
	r := &Result{Spec: s.Spec, Dir: s.Dir, Trials: trials, Best: s.best(trials)}
	if r.Best == nil {
		return nil, errors.New("search: no trial was trained to its end: all diverged; try lower learning rates")
	}
	if r.Metrics, err = (&job.Job{Experiment: s.First}).Metrics(); err != nil {
		return nil, err
	}
	if r.Test, err = s.store.tested(ctx, r.Best.Number); err == nil && r.Test == nil {
		r.Test, err = s.measure(ctx, r.Best)
	}
	if err != nil {
		return nil, err
	}
	r.Importances = s.importances(trials)
	return r, s.writeBest(r)
}

// wait takes the lock of the study's directory once no other process has it.
func (s *Study) wait(ctx context.Context) (*run.Lock, error) {
	for {
		lock, err := run.Acquire(s.Dir, s.Command)
		if !errors.As(err, new(*run.HeldError)) {
			return lock, err
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// measure measures a trial's runs on test rows, and keeps what it finds: the test rows are looked at once. It returns nil without such rows.
func (s *Study) measure(ctx context.Context, t *Trial) ([]run.Metrics, error) {
	var all []run.Metrics
	for i := range s.Seeds {
		e, err := job.OpenEnsemble([]string{RunDir(s.Dir, t.Number, i)}, nil, "", s.Log)
		if err != nil {
			return nil, err
		}
		scores, err := e.Test(ctx)
		if err != nil || scores == nil {
			return nil, err
		}
		all = append(all, run.Metrics(scores.Metrics))
	}
	return all, s.store.test(ctx, t.Number, all)
}

// writeBest writes the config of the best trial, which stands alone.
func (s *Study) writeBest(r *Result) error {
	e, err := s.Experiment(r.Best.Values)
	if err != nil {
		return run.BadInput(err)
	}
	e.Fetch, e.Fallback, e.Run = nil, configs.FallbackNone, filepath.Join(s.Dir, "best")
	y, err := e.YAML()
	if err != nil {
		return err
	}
	r.Config = filepath.Join(s.Dir, BestFile)
	name, _ := s.Monitor()
	r.YAML = fmt.Appendf(nil, "# The best of %d trials: trial %d, %s %.6f on validation rows.\n# Run: go run ./cmd/train --config %s\n%s",
		len(r.Trials), r.Best.Number, name, r.Best.Value(), filepath.ToSlash(r.Config), y)
	if err := atomicfile.WriteBytes(r.Config, r.YAML); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	return nil
}
