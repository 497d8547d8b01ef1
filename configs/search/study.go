package search

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

// Study makes the trials of a search in a directory. Several processes may share it: each makes trials that no other one is making.
//
// What a trial comes to is a function of the config and of its number alone, however often processes are killed and however many there
// are: its settings, and where it is stopped, depend on the trials of earlier waves, all of which have ended before it begins.
type Study struct {
	*Spec
	Dir     string
	Jobs    int                      // trials that are made at once
	Job     func(dir string) job.Job // returns what a training in a directory logs and shows
	Watch   Watcher                  // may be nil
	Log     *slog.Logger             // may be nil
	Command string                   // that makes the study, for those who find it locked

	store *store
}

// Watcher hears how far a study is. Several goroutines may call it at once.
type Watcher interface {
	Start(total, finished int)       // before the first trial
	Begin(trial string)              // a trial is being made, or goes on
	Done(trial string, finished int) // it has ended; so many have, of all processes
}

// TrialsDir is the directory of the trials in that of a study.
const TrialsDir = "trials"

// TrialDir returns the directory of a trial, in which each of its trainings has a run.
func TrialDir(study string, number int) string {
	return filepath.Join(study, TrialsDir, fmt.Sprintf("%05d", number))
}

// RunDir returns the directory of the run of a trial's training with the seed of that number, from 0.
func RunDir(study string, number, seed int) string {
	return filepath.Join(TrialDir(study, number), fmt.Sprintf("seed-%d", seed+1))
}

// open opens the study's file. It must be one of this search.
func (s *Study) open(ctx context.Context) (err error) {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	digest, err := s.Digest()
	if err != nil {
		return err
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o777); err != nil {
		return run.BadInput(fmt.Errorf("search: %w", err))
	}
	if run.IsRun(s.Dir) {
		return run.BadInput(run.Advise(fmt.Errorf("search: %s holds a run", s.Dir), run.Elsewhere))
	}
	if s.store, err = openStore(ctx, s.Dir); err != nil {
		return err
	}
	kept, err := s.store.describe(ctx, digest)
	if err == nil && kept != digest {
		err = run.BadInput(run.Advise(fmt.Errorf("search: %s holds a study of other settings (digest %s, now %s)", s.Dir, kept, digest),
			run.Do("put them back"), run.Replace, run.Elsewhere))
	}
	return s.store.closeOn(err)
}

// check opens the data that the trials are made on, which caches its rows, before anything is written.
func (s *Study) check(ctx context.Context) error {
	if s.First.Init.From != "" {
		return nil // its feature map reads the rows
	}
	first := *s.First
	d, err := (&job.Job{Experiment: &first, Log: s.Log}).Prepare(ctx)
	if err == nil && d.Valid == nil {
		err = errNoValid
	}
	return err
}

// errNoValid says that trials cannot be compared.
var errNoValid = run.BadInput(errors.New("search: the data has no validation rows, on which trials are compared; set data.split, or data.valid_path"))

// Run makes the trials that are missing, and waits for those that other processes make. It then measures the best one on test rows, if
// there are some and nobody has.
func (s *Study) Run(ctx context.Context) (_ *Result, err error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.store.db.Close()) }()
	finished, err := s.finished(ctx)
	if err != nil {
		return nil, err
	}
	if s.Watch != nil {
		s.Watch.Start(s.Trials, finished)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var workers sync.WaitGroup
	for range max(1, s.Jobs) {
		workers.Go(func() {
			if err := crash.Guard(func() error { return s.work(ctx) }); err != nil {
				stop(err)
			}
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		if errors.As(err, new(*run.InputError)) {
			return nil, err
		}
		n, _ := s.finished(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("after %d of %d trials; what is done is kept, and the same command goes on: %w", n, s.Trials, err)
	}
	return s.conclude(ctx)
}

func (s *Study) finished(ctx context.Context) (n int, err error) {
	trials, err := s.store.trials(ctx)
	for _, t := range trials {
		if t.State.Finished() && t.Number < s.Trials {
			n++
		}
	}
	return n, err
}

// poll is how long a worker waits for trials that others make before it looks again.
const poll = 200 * time.Millisecond

// work makes trials until all have ended.
func (s *Study) work(ctx context.Context) error {
	for {
		c, done, err := s.next(ctx)
		if err != nil || done {
			return err
		}
		if c == nil {
			select {
			case <-time.After(poll):
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		err = s.makeTrial(ctx, c.trial, len(c.seen))
		if e := c.lock.Release(); err == nil && e != nil {
			s.Log.Warn("the lock of a trial's directory stays behind, without a holder", "error", e)
		}
		if err != nil {
			return err
		}
	}
}

// claim is a trial that this process makes.
type claim struct {
	trial *Trial
	seen  []*Trial  // trials that it looks at
	lock  *run.Lock // of its directory
}

// next takes the first trial that can begin, or that was begun by a process that is gone. It returns nil if others have to end first, and
// done if all have ended.
func (s *Study) next(ctx context.Context) (_ *claim, done bool, err error) {
	trials, err := s.store.trials(ctx)
	if err != nil {
		return nil, false, err
	}
	at := map[int]*Trial{}
	for _, t := range trials {
		at[t.Number] = t
	}
	ended := 0 // trials before the first one that has not ended
	for ended < s.Trials && at[ended] != nil && at[ended].State.Finished() {
		ended++
	}
	for k := ended; k < s.Trials && s.horizon(k) <= ended; k++ {
		if t := at[k]; t != nil && t.State.Finished() {
			continue
		}
		if c, err := s.take(ctx, k, trials[:s.horizon(k)]); c != nil || err != nil {
			return c, false, err
		}
	}
	return nil, ended == s.Trials, nil
}

// take takes a trial, unless another process has it.
func (s *Study) take(ctx context.Context, k int, seen []*Trial) (*claim, error) {
	lock, err := run.Acquire(TrialDir(s.Dir, k), s.Command)
	switch {
	case errors.As(err, new(*run.HeldError)):
		return nil, nil
	case errors.Is(err, run.ErrUnsupported):
		return nil, fmt.Errorf("search: %w, which tell trials that are being made from those of a process that is gone", err)
	case err != nil:
		return nil, err
	}
	c := &claim{&Trial{Number: k, Values: s.propose(k, s.past(seen)), State: Running, Rung: -1}, seen, lock}
	ok, err := s.store.claim(ctx, c.trial)
	if err != nil || !ok { // it has ended since the trials were read
		return nil, errors.Join(err, lock.Release())
	}
	return c, nil
}

// past returns what trials come to for those that look at them.
func (s *Study) past(trials []*Trial) []past {
	var out []past
	for _, t := range trials {
		out = append(out, past{t.Values, t.State, oriented(s.monitor(), t.Value()), t.Rung})
	}
	return out
}

// monitor returns the metric that trials are compared by.
func (s *Spec) monitor() string {
	if m := s.First.Train.Monitor; m != "" {
		return m
	}
	ms, err := s.First.Task.Metrics()
	if err != nil || len(ms) == 0 {
		return ""
	}
	return ms[0].Name()
}

// Monitor returns the metric that trials are compared by, and whether greater values of it are better.
func (s *Spec) Monitor() (name string, higher bool) {
	return s.monitor(), metric.HigherIsBetter(s.monitor())
}

// best returns the trial with the best value of those that were trained to their end, the first of equal ones; nil if there is none.
func (s *Study) best(trials []*Trial) *Trial {
	done := slices.DeleteFunc(slices.Clone(trials), func(t *Trial) bool { return t.State != Complete || t.Number >= s.Trials })
	if len(done) == 0 {
		return nil
	}
	return slices.MinFunc(done, func(a, b *Trial) int { // the first of equal ones
		x, y := oriented(s.monitor(), a.Value()), oriented(s.monitor(), b.Value())
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
}
