package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/sealed"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/schedule"
)

// roundsState is what a training in rounds needs to go on: that of the merged model, whose optimizer is the outer one, and of all workers.
// It is written as the state of a Trainer is, in one file after all others.
type roundsState struct {
	state
	Local   int64         `json:"local"` // steps of each worker at the last merge
	Workers []workerState `json:"workers"`
}

// workerState is where a worker is.
type workerState struct {
	Step      int64          `json:"step"`
	Epoch     int            `json:"epoch"` // of its own rows
	Batch     int            `json:"batch"`
	Schedule  schedule.State `json:"schedule"`
	Tensors   string         `json:"tensors"` // file of its optimizer's states, and of its model within a round
	Counts    string         `json:"counts"`  // file of its counts since the last merge
	Checksums [2]string      `json:"checksums"`
}

// Parts of the names of tensors in a worker's files.
const (
	modelPart     = "model."
	optimizerPart = "optimizer."
	trainedPart   = "trained."
	touchedPart   = "touched."
	outerPart     = "outer."
)

// save writes the state, which replaces the one before at once.
func (f *inRounds) save() error {
	if err := f.place.Check(); err != nil {
		return err
	}
	dir := filepath.Join(f.Dir, run.LastDir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("train: checkpoint: %w", err)
	}
	st := roundsState{state: f.st, Local: f.local}
	st.Callbacks = map[string]json.RawMessage{}
	for _, c := range f.Callbacks {
		if s, ok := c.(Stateful); ok {
			b, err := s.SaveState()
			if err != nil {
				return fmt.Errorf("train: checkpoint: %s: %w", s.Name(), err)
			}
			st.Callbacks[s.Name()] = b
		}
	}
	st.Schedule = f.sched.State()
	st.Model, st.Optimizer, st.Counts = run.LastModel(st.Step), run.LastOptimizer(st.Step), run.LastCounts(st.Step)
	keep := []string{st.Model, st.Optimizer, st.Counts, run.StateFile}
	outer := &ckpt.Checkpoint{}
	for _, q := range f.Params.All() {
		if m := f.momentum[q.Name]; m != nil {
			outer.Tensors = append(outer.Tensors, ckpt.Tensor{Name: outerPart + q.Name, Shape: []int{len(m)}, Data: m})
		}
	}
	err := errors.Join(
		ckpt.Save(filepath.Join(dir, st.Model), Snapshot(f.Params)),
		ckpt.Save(filepath.Join(dir, st.Optimizer), outer),
		f.counts.save(filepath.Join(dir, st.Counts)))
	if err != nil {
		return fmt.Errorf("train: checkpoint: %w", err)
	}
	st.Checksums = map[string]string{}
	for _, name := range st.files() {
		if st.Checksums[name], err = ckpt.Checksum(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("train: checkpoint: %w", err)
		}
	}
	for k, w := range f.workers {
		x, err := w.save(dir, k, st.Step, st.Local)
		if err != nil {
			return fmt.Errorf("train: checkpoint: %w", err)
		}
		st.Workers, keep = append(st.Workers, *x), append(keep, x.Tensors, x.Counts)
	}
	if err := sealed.Write(filepath.Join(dir, run.StateFile), st); err != nil {
		return fmt.Errorf("train: checkpoint: %w", err)
	}
	f.saved, f.savedAny = st.Step, true
	for _, w := range f.workers {
		w.saved, w.savedAny = st.Step, true
	}
	run.SweepLast(dir, keep...)
	return nil
}

// save writes what worker k holds, after step steps of all. At a merge, its model is the merged one, which is not written again.
func (w *worker) save(dir string, k int, step, merged int64) (*workerState, error) {
	x := &workerState{
		Step: w.st.Step, Epoch: w.st.Epoch, Batch: w.st.Batch, Schedule: w.sched.State(), Tensors: run.LastWorker(k, step),
		Counts: run.LastWorkerCounts(k, step),
	}
	c := w.opt.State()
	for i := range c.Tensors {
		c.Tensors[i].Name = optimizerPart + c.Tensors[i].Name
	}
	if w.st.Step != merged || merged == 0 {
		for _, t := range Snapshot(w.Params).Tensors {
			t.Name = modelPart + t.Name
			c.Tensors = append(c.Tensors, t)
		}
	}
	counts := map[string][]int64{}
	for name, g := range w.counts.table {
		counts[trainedPart+name] = g.n
	}
	for name, n := range w.touched {
		wide := make([]int64, len(n))
		for i, v := range n {
			wide[i] = int64(v)
		}
		counts[touchedPart+name] = wide
	}
	err := errors.Join(ckpt.Save(filepath.Join(dir, x.Tensors), c), writeCounts(filepath.Join(dir, x.Counts), counts))
	for i, name := range []string{x.Tensors, x.Counts} {
		if err == nil {
			x.Checksums[i], err = ckpt.Checksum(filepath.Join(dir, name))
		}
	}
	return x, err
}

// load reads the state for --resume; false if there is none.
func (f *inRounds) load() (bool, error) {
	path := filepath.Join(f.Dir, run.LastDir, run.StateFile)
	st := &roundsState{}
	switch err := sealed.Read(path, bound.JSON, st); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case run.OfMachine(err):
		return false, fmt.Errorf("%w: %w", ErrResume, err)
	case err != nil:
		return false, fmt.Errorf("%w: %w", ErrResume, anew(err, asItWas))
	}
	if err := st.belongs(f.Dir, f.Digest, f.Data); err != nil {
		return false, err
	}
	if err := f.checkState(st); err != nil {
		return false, fmt.Errorf("%w: %w", ErrResume, anew(fmt.Errorf("%s: %w", path, err), asItWas))
	}
	if err := f.loadState(st); err != nil {
		return false, fmt.Errorf("%w: %w", ErrResume, err)
	}
	if st.Done {
		if err := f.checkBest(&st.Best); err != nil {
			return false, err
		}
	}
	for _, c := range f.Callbacks {
		if s, ok := c.(Stateful); ok && st.Callbacks[s.Name()] != nil {
			if err := s.LoadState(st.Callbacks[s.Name()]); err != nil {
				return false, fmt.Errorf("%w: %s: %w", ErrResume, s.Name(), err)
			}
		}
	}
	f.st, f.local, f.saved, f.savedAny = st.state, st.Local, st.Step, true
	f.own = f.own && st.Local == 0
	keep := []string{st.Model, st.Optimizer, st.Counts, run.StateFile}
	for _, x := range st.Workers {
		keep = append(keep, x.Tensors, x.Counts)
	}
	run.SweepLast(filepath.Join(f.Dir, run.LastDir), keep...)
	return true, nil
}

// checkState returns what no state of this training has.
func (f *inRounds) checkState(st *roundsState) error {
	if err := st.check(); err != nil {
		return err
	}
	if st.Seed != f.Seed || len(st.Workers) != len(f.workers) || st.Local < 0 || st.Local > f.steps || st.Epoch != int(st.Local/f.perEpoch) {
		return fmt.Errorf("seed %d, %d workers, %d steps since the start, epoch %d: this training has seed %d, %d workers, %d steps",
			st.Seed, len(st.Workers), st.Local, st.Epoch, f.Seed, len(f.workers), f.steps)
	}
	sum, next := int64(0), f.o.Next(st.Local, f.perEpoch, f.steps)
	for k, x := range st.Workers {
		if x.Step < st.Local || x.Step > next || x.Epoch < 0 || x.Batch < 0 ||
			x.Tensors != run.LastWorker(k, st.Step) || x.Counts != run.LastWorkerCounts(k, st.Step) {
			return fmt.Errorf("worker %d is in step %d, epoch %d, batch %d; its round goes from %d to %d", k+1, x.Step, x.Epoch, x.Batch, st.Local, next)
		}
		sum += x.Step
	}
	if sum != st.Step {
		return fmt.Errorf("step %d, the workers have made %d", st.Step, sum)
	}
	return nil
}

// loadState reads the tensors of the state.
func (f *inRounds) loadState(st *roundsState) error {
	paths := map[string]string{}
	for _, name := range st.files() {
		var err error
		if paths[name], err = st.file(f.Dir, name); err != nil {
			return err
		}
	}
	if err := LoadParams(paths[st.Model], f.Params); err != nil {
		return err
	}
	if err := f.counts.load(paths[st.Counts]); err != nil {
		return err
	}
	outer, err := ckpt.Load(paths[st.Optimizer])
	if err != nil {
		return err
	}
	for _, t := range outer.Tensors {
		name, ok := strings.CutPrefix(t.Name, outerPart)
		if q := f.Params.Get(name); !ok || q == nil || len(q.Data) != len(t.Data) {
			return fmt.Errorf("%s: tensor %s %v is of no parameter", paths[st.Optimizer], t.Name, t.Shape)
		}
		f.momentum[name] = t.Data
	}
	if err := f.sched.Load(st.Schedule); err != nil {
		return err
	}
	for k, w := range f.workers {
		if err := w.load(filepath.Join(f.Dir, run.LastDir), &st.Workers[k], f); err != nil {
			return fmt.Errorf("worker %d: %w", k+1, err)
		}
	}
	return nil
}

// load reads what a worker held.
func (w *worker) load(dir string, x *workerState, f *inRounds) error {
	for i, name := range []string{x.Tensors, x.Counts} {
		path := filepath.Join(dir, name)
		if sum, err := ckpt.Checksum(path); err != nil {
			return err
		} else if sum != x.Checksums[i] {
			return anew(fmt.Errorf("%s is not the file that %s was written with (checksum %s, want %s)", path, run.StateFile, sum, x.Checksums[i]),
				putBack)
		}
	}
	path := filepath.Join(dir, x.Tensors)
	c, err := ckpt.Load(path)
	if err != nil {
		return err
	}
	states, model := &ckpt.Checkpoint{Meta: c.Meta}, &ckpt.Checkpoint{}
	for _, t := range c.Tensors {
		name, ok := strings.CutPrefix(t.Name, modelPart)
		into := model
		if !ok {
			name, into = strings.TrimPrefix(t.Name, optimizerPart), states
		}
		t.Name = name
		into.Tensors = append(into.Tensors, t)
	}
	if err := w.opt.Load(states, w.trained()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(model.Tensors) == 0 {
		model = Snapshot(f.Params)
	}
	if err := ckpt.Match(model, Snapshot(w.Params)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, q := range w.Params.All() {
		copy(q.Data, model.Get(q.Name).Data)
	}
	path = filepath.Join(dir, x.Counts)
	counts, err := readCounts(path)
	if err != nil {
		return err
	}
	for name, n := range w.touched {
		trained, touched := counts[trainedPart+name], counts[touchedPart+name]
		if len(trained) != len(n) || len(touched) != len(n) {
			return fmt.Errorf("%s: table %s: counts of %d and %d rows, the model has %d", path, name, len(trained), len(touched), len(n))
		}
		copy(w.counts.table[name].n, trained)
		for i, v := range touched {
			n[i] = int32(v)
		}
	}
	if err := w.sched.Load(x.Schedule); err != nil {
		return err
	}
	w.st.Step, w.st.Epoch, w.st.Batch = x.Step, x.Epoch, x.Batch
	return nil
}
