package search

import (
	"context"
	"errors"
	"fmt"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

// Label is what messages call a trial.
func (t *Trial) Label() string { return fmt.Sprintf("trial %d", t.Number) }

// makeTrial trains the runs of a trial that looks at so many others, or goes on with them, and keeps what they come to.
func (s *Study) makeTrial(ctx context.Context, t *Trial, seen int) error {
	if s.Watch != nil {
		s.Watch.Begin(t.Label())
	}
	others, err := s.store.rungs(ctx, seen)
	if err != nil {
		return err
	}
	t.State, t.Metrics = Complete, map[string]float64{}
	for i := range s.Seeds {
		err := s.trainRun(ctx, t, i, others)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, train.ErrDiverged):
			s.Log.Warn("a trial diverged", "trial", t.Number, "settings", s.Settings(t.Values), "error", err)
			t.State, t.Valid, t.Metrics = Diverged, nil, nil
		case err != nil:
			return fmt.Errorf("%s (%s): %w", t.Label(), s.Settings(t.Values), err)
		}
		if t.State != Complete {
			break
		}
	}
	for name := range t.Metrics {
		t.Metrics[name] /= float64(len(t.Valid))
	}
	if err := s.store.finish(context.WithoutCancel(ctx), t); err != nil {
		return err
	}
	for i := range s.Seeds { // what goes on a killed training, which this one no more is
		if err := run.ClearLast(RunDir(s.Dir, t.Number, i)); err != nil {
			return err
		}
	}
	if s.Watch == nil {
		return nil
	}
	n, err := s.finished(ctx)
	s.Watch.Done(t.Label(), n)
	return err
}

// trainRun makes one training of a trial, the first of which decides whether the trial is stopped.
func (s *Study) trainRun(ctx context.Context, t *Trial, i int, others map[int][]float64) error {
	dir := RunDir(s.Dir, t.Number, i)
	e, err := s.experiment(t, i)
	if err != nil {
		return run.BadInput(err)
	}
	o := job.TrainOptions{Resume: true, HoldOut: true}
	stop := &stopper{monitor: s.monitor(), asha: s.ASHA, others: others, state: stopperState{Rung: -1}, note: func(rung int, v float64) error {
		return s.store.note(context.WithoutCancel(ctx), t.Number, rung, v)
	}}
	if i > 0 {
		stop.asha = nil
	}
	o.Callbacks = append(o.Callbacks, stop)
	j := job.Job{}
	if s.Job != nil {
		j = s.Job(dir)
	}
	j.Experiment, j.Dir = e, dir
	r, err := j.Train(ctx, o)
	if err != nil {
		return err
	}
	if r.Valid == nil {
		return errNoValid
	}
	if i == 0 {
		t.Evaluations, t.Rung = stop.state.Evaluations, stop.state.Rung
		if stop.state.Stopped {
			t.State = Stopped
		}
	}
	t.Valid = append(t.Valid, r.Valid[r.Monitor])
	t.Seconds += r.Train.Seconds
	for name, v := range r.Valid {
		t.Metrics[name] += v
	}
	return nil
}

// experiment returns the experiment of a training of a trial.
func (s *Study) experiment(t *Trial, i int) (*configs.Experiment, error) {
	e, err := s.Experiment(t.Values)
	if err != nil {
		return nil, err
	}
	e.Seed += uint64(i)
	e.Run = ""
	if s.Jobs > 1 {
		e.Threads = 0 // each has the one thread that the command gives it
	}
	return e, nil
}
