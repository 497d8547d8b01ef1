package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/schedule"
)

// state is what --resume needs beside tensors: last/state.json. It names the files it belongs to, and is written after
// them in one rename: a run killed at any moment has a whole state, the old one or the new one.
type state struct {
	Digest    string                     `json:"digest"` // of the config that made it
	Seed      uint64                     `json:"seed"`
	Step      int64                      `json:"step"`  // optimizer steps done
	Epoch     int                        `json:"epoch"` // current epoch
	Batch     int                        `json:"batch"` // batches of the epoch done
	LossSum   float64                    `json:"loss_sum"`
	LossCount int64                      `json:"loss_count"`
	Best      best                       `json:"best"`
	Schedule  schedule.State             `json:"schedule"`
	Done      bool                       `json:"done"` // training is over; the final evaluation may not be
	Samples   int64                      `json:"samples"`
	Seconds   float64                    `json:"seconds"` // spent in training steps
	Model     string                     `json:"model"`   // file names in last/
	Optimizer string                     `json:"optimizer"`
	Counts    string                     `json:"counts,omitempty"`
	Averages  string                     `json:"averages,omitempty"`
	Callbacks map[string]json.RawMessage `json:"callbacks,omitempty"`
}

// best is the best evaluation so far.
type best struct {
	Seen    bool        `json:"seen"`
	Value   float64     `json:"value"`
	Epoch   int         `json:"epoch"`
	Step    int64       `json:"step"`
	Stale   int         `json:"stale"` // evaluations since
	Metrics run.Metrics `json:"metrics,omitempty"`
}

// better reports whether v improves on b by more than delta.
func (b *best) better(v, delta float64, higher bool) bool {
	switch {
	case !b.Seen:
		return v == v
	case higher:
		return v > b.Value+delta
	}
	return v < b.Value-delta
}

// save writes the state for --resume.
func (f *fit) save() error {
	if err := f.place.Check(); err != nil {
		return err
	}
	dir := filepath.Join(f.Dir, run.LastDir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("train: checkpoint: %w", err)
	}
	f.st.Callbacks = map[string]json.RawMessage{}
	for _, c := range f.Callbacks {
		if s, ok := c.(Stateful); ok {
			b, err := s.SaveState()
			if err != nil {
				return fmt.Errorf("train: checkpoint: %s: %w", s.Name(), err)
			}
			f.st.Callbacks[s.Name()] = b
		}
	}
	f.st.Schedule = f.sched.State()
	f.st.Model = run.LastModel(f.st.Step)
	f.st.Optimizer = run.LastOptimizer(f.st.Step)
	f.st.Counts = ""
	if f.counts != nil {
		f.st.Counts = run.LastCounts(f.st.Step)
	}
	if !f.savedAny || f.saved != f.st.Step || !f.hasLast(dir) {
		if err := ckpt.Save(filepath.Join(dir, f.st.Model), Snapshot(f.Params)); err != nil {
			return fmt.Errorf("train: checkpoint: %w", err)
		}
		if err := ckpt.Save(filepath.Join(dir, f.st.Optimizer), f.opt.State()); err != nil {
			return fmt.Errorf("train: checkpoint: %w", err)
		}
		if f.counts != nil {
			if err := f.counts.save(filepath.Join(dir, f.st.Counts)); err != nil {
				return fmt.Errorf("train: checkpoint: %w", err)
			}
		}
	}
	f.st.Averages = f.averages.stateName(f.st.Step)
	if err := f.averages.save(dir, f.st.Averages); err != nil {
		return fmt.Errorf("train: checkpoint: %w", err)
	}
	b, err := json.MarshalIndent(f.st, "", "  ")
	if err != nil {
		return fmt.Errorf("train: checkpoint: %w", err)
	}
	if err := run.Write(dir, run.StateFile, append(b, '\n')); err != nil {
		return fmt.Errorf("train: checkpoint: %w", err)
	}
	f.saved, f.savedAny = f.st.Step, true
	run.SweepLast(dir, f.st.Model, f.st.Optimizer, f.st.Counts, f.st.Averages, run.StateFile)
	return nil
}

// hasLast reports whether the files of the last checkpoint are still there.
func (f *fit) hasLast(dir string) bool {
	for _, n := range []string{f.st.Model, f.st.Optimizer, f.st.Counts} {
		if _, err := os.Stat(filepath.Join(dir, n)); n != "" && err != nil {
			return false
		}
	}
	return true
}

// readState reads the state for --resume. It returns nil if there is none.
func (f *fit) readState() (*state, error) {
	dir := filepath.Join(f.Dir, run.LastDir)
	b, err := os.ReadFile(filepath.Join(dir, run.StateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrResume, err)
	}
	st := new(state)
	if err := json.Unmarshal(b, st); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrResume, filepath.Join(dir, run.StateFile), err)
	}
	if st.Digest != f.Digest {
		return nil, fmt.Errorf("%w: %s was trained with another config (digest %.12s, this one has %.12s): "+
			"undo the change, or start another run", ErrResume, f.Dir, st.Digest, f.Digest)
	}
	for _, n := range []string{st.Model, st.Optimizer, st.Counts, st.Averages} {
		if n != "" && filepath.Base(n) != n {
			return nil, fmt.Errorf("%w: %s names files outside of its directory", ErrResume, filepath.Join(dir, run.StateFile))
		}
	}
	return st, nil
}

// loadStem sets those parameters that are there already to the ones that the run goes on with.
func (f *fit) loadStem() error {
	st, err := f.readState()
	if err != nil || st == nil {
		return err
	}
	c, err := ckpt.Load(filepath.Join(f.Dir, run.LastDir, st.Model))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrResume, err)
	}
	for _, q := range f.Params.All() {
		if t := c.Get(q.Name); t != nil && slices.Equal(t.Shape, q.Shape) { // load reports the others
			copy(q.Data, t.Data)
		}
	}
	return nil
}

// load reads the state for --resume; false if there is none.
func (f *fit) load() (bool, error) {
	st, err := f.readState()
	if err != nil || st == nil {
		return false, err
	}
	dir := filepath.Join(f.Dir, run.LastDir)
	if err := LoadParams(filepath.Join(dir, st.Model), f.Params); err != nil {
		return false, fmt.Errorf("%w: %w", ErrResume, err)
	}
	o, err := ckpt.Load(filepath.Join(dir, st.Optimizer))
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrResume, err)
	}
	if err := f.opt.Load(o, f.trained()); err != nil {
		return false, fmt.Errorf("%w: %w", ErrResume, err)
	}
	if st.Counts == "" {
		f.counts = nil // the steps before were not counted
	} else if err := f.counts.load(filepath.Join(dir, st.Counts)); err != nil {
		return false, fmt.Errorf("%w: %w", ErrResume, err)
	}
	if err := f.averages.load(dir, st.Averages); err != nil {
		return false, fmt.Errorf("%w: %w", ErrResume, err)
	}
	if err := f.sched.Load(st.Schedule); err != nil {
		return false, fmt.Errorf("%w: %w", ErrResume, err)
	}
	for _, c := range f.Callbacks {
		if s, ok := c.(Stateful); ok && st.Callbacks[s.Name()] != nil {
			if err := s.LoadState(st.Callbacks[s.Name()]); err != nil {
				return false, fmt.Errorf("%w: %s: %w", ErrResume, s.Name(), err)
			}
		}
	}
	f.st, f.saved, f.savedAny = *st, st.Step, true
	// A training that was killed after it had written the state has not removed the files of the one before.
	run.SweepLast(filepath.Join(f.Dir, run.LastDir), st.Model, st.Optimizer, st.Counts, st.Averages, run.StateFile)
	return true, nil
}

// trained returns the number of values of every parameter that takes a gradient.
func (f *fit) trained() map[string]int {
	sizes := map[string]int{}
	for _, q := range f.prog.Trained() {
		sizes[q.Name] = len(q.Data)
	}
	return sizes
}
