package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/sealed"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/schedule"
)

// state is what --resume needs beside tensors: last/state.json, which has a checksum. It names the files it belongs to, and is written
// after them in one rename: a run killed at any moment has a whole state, the old one or the new one.
type state struct {
	Digest    string                     `json:"digest"`          // of the config that made it
	Start     string                     `json:"start,omitempty"` // digest of the weights that training started from, and of its teachers
	Data      data.Origin                `json:"data"`            // what the rows were made from
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
	Checksums map[string]string          `json:"checksums"` // of these files, as they have them in their headers
	Callbacks map[string]json.RawMessage `json:"callbacks,omitempty"`
}

// files returns the names of the files in last/ that the state belongs to.
func (st *state) files() []string {
	return slices.DeleteFunc([]string{st.Model, st.Optimizer, st.Counts, st.Averages}, func(n string) bool { return n == "" })
}

// best is the best evaluation so far.
type best struct {
	Seen    bool        `json:"seen"`
	Value   float64     `json:"value"`
	Epoch   int         `json:"epoch"`
	Step    int64       `json:"step"`
	Stale   int         `json:"stale"` // evaluations since
	Metrics run.Metrics `json:"metrics,omitempty"`
	Model   string      `json:"model,omitempty"` // checksum of the run's model
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
	f.st.Checksums = map[string]string{}
	for _, name := range f.st.files() {
		var err error
		if f.st.Checksums[name], err = ckpt.Checksum(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("train: checkpoint: %w", err)
		}
	}
	if err := sealed.Write(filepath.Join(dir, run.StateFile), f.st); err != nil {
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

// anew adds what to do with a run that cannot go on.
func anew(err error, remedies ...run.Remedy) error {
	return run.Advise(err, append(remedies, run.Anew, run.Elsewhere)...)
}

var (
	putBack = run.Do("put it back")
	asItWas = run.Do("put it back as it was")
)

// readState reads the state in the directory of a run. It returns nil if there is none. A state that is not as it was written is an
// error that names its file.
func readState(dir string) (*state, error) {
	path := filepath.Join(dir, run.LastDir, run.StateFile)
	st := new(state)
	switch err := sealed.Read(path, bound.JSON, st); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case run.OfMachine(err):
		return nil, err
	case errors.Is(err, sealed.ErrChanged):
		return nil, anew(err, asItWas)
	case errors.As(err, new(*fs.PathError)): // of reading: the file may be sound
		return nil, err
	case err != nil:
		return nil, anew(err)
	}
	if err := st.check(); err != nil {
		return nil, anew(fmt.Errorf("%s: %w, which no training writes", path, err), asItWas)
	}
	return st, nil
}

// check returns what no state of any training has.
func (st *state) check() error {
	bad := func(ok bool, what string, v any) error {
		if ok {
			return nil
		}
		return fmt.Errorf("%s is %v", what, v)
	}
	b := &st.Best
	errs := []error{
		bad(st.Step >= 0, "step", st.Step),
		bad(st.Epoch >= 0, "epoch", st.Epoch),
		bad(st.Batch >= 0, "batch", st.Batch),
		bad(st.LossCount >= 0 && (st.LossCount == 0 || st.Batch > 0), "loss_count", st.LossCount),
		bad(st.LossSum == 0 || st.Batch > 0, "loss_sum", st.LossSum),
		bad(st.Samples >= st.Step && (st.Samples == 0 || st.Step > 0), "samples", st.Samples),
		bad(st.Seconds >= 0, "seconds", st.Seconds),
		bad(b.Step >= 0 && b.Step <= st.Step, "best.step", b.Step),
		bad(b.Epoch >= 0 && b.Epoch <= st.Epoch, "best.epoch", b.Epoch),
		bad(b.Stale >= 0 && int64(b.Stale) <= st.Step+1, "best.stale", b.Stale),
		bad(b.Seen || b.Value == 0 && len(b.Metrics) == 0, "best.seen", b.Seen),
		bad(st.Model == run.LastModel(st.Step), "model", st.Model),
		bad(st.Optimizer == run.LastOptimizer(st.Step), "optimizer", st.Optimizer),
		bad(st.Counts == "" || st.Counts == run.LastCounts(st.Step), "counts", st.Counts),
		bad(len(st.Checksums) == len(st.files()), "checksums", st.Checksums),
	}
	averages := st.Averages == ""
	for n := int64(0); n <= int64(st.Epoch)+1 && !averages; n++ {
		averages = st.Averages == run.LastAverages(st.Step, n)
	}
	return errors.Join(append(errs, bad(averages, "averages", st.Averages))...)
}

// CheckData returns why a run cannot be resumed with these data, as Fit does: before anything is loaded that depends on them. It is nil
// if the directory has no checkpoint, or one of another config than that of the digest, about which Fit has more to say. Nothing is
// changed.
func CheckData(dir, digest string, d *data.Splits) error {
	st, err := readState(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrResume, err)
	}
	if st == nil || st.Digest != digest {
		return nil
	}
	return st.checkData(dir, d)
}

// belongs returns why the state cannot be of a training with these data and a config of that digest.
func (st *state) belongs(dir, digest string, d *data.Splits) error {
	if st.Digest != digest {
		return fmt.Errorf("%w: %s was trained with another config (digest %.12s, this one has %.12s): "+
			"undo the change, or start another run", ErrResume, dir, st.Digest, digest)
	}
	return st.checkData(dir, d)
}

// checkData returns how the data differs from that which the state was made with.
func (st *state) checkData(dir string, d *data.Splits) error {
	const most = 10
	changes := st.Data.Changes(d.Origin())
	if n := len(changes); n > most {
		changes = append(changes[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	if len(changes) > 0 {
		return anew(fmt.Errorf("%w: the data is not what %s was trained on: %s", ErrResume, dir, strings.Join(changes, "; ")), asItWas)
	}
	return nil
}

// LastModel returns the file of the last weights that the run in a directory has saved.
func LastModel(dir string) (string, error) {
	st, err := readState(dir)
	if err != nil {
		return "", err
	}
	if st == nil {
		return "", fmt.Errorf("%s: %w", filepath.Join(dir, run.LastDir, run.StateFile), fs.ErrNotExist)
	}
	return st.file(dir, st.Model)
}

// file returns the path of a file of the state, which must be the one that was written with it.
func (st *state) file(dir, name string) (string, error) {
	path := filepath.Join(dir, run.LastDir, name)
	sum, err := ckpt.Checksum(path)
	if err != nil {
		return "", err
	}
	if want := st.Checksums[name]; sum != want {
		return "", anew(fmt.Errorf("%s is not the file that %s was written with (checksum %s, want %s)", path, run.StateFile, sum, want), putBack)
	}
	return path, nil
}

// checkFor returns what is out of the range of this training.
func (st *state) checkFor(f *fit) error {
	bad := func(what string, have, want any) error {
		return anew(fmt.Errorf("%w: %s: %s is %v, this training has %v", ErrResume, filepath.Join(f.Dir, run.LastDir, run.StateFile), what, have,
			want), asItWas)
	}
	of := int64(f.GradientAccumulation)
	rows, size := f.Data.Train.Rows(), int64(f.BatchSize)
	steps := st.Step - (int64(st.Batch)+of-1)/of // of whole epochs
	switch {
	case st.Seed != f.Seed:
		return bad("seed", st.Seed, f.Seed)
	case st.Start != f.Start:
		return bad("start", st.Start, f.Start)
	case f.total > 0 && st.Step > f.total:
		return bad("step", st.Step, f.total)
	case st.Epoch > f.Epochs || st.Epoch == f.Epochs && !st.Done:
		return bad("epoch", st.Epoch, f.Epochs)
	case st.Averages != "" && len(f.averages.list()) == 0:
		return bad("averages", st.Averages, "none")
	case f.Keep == "best" && st.Best.Seen && f.Data.Valid != nil && st.Best.Metrics[f.monitor] != st.Best.Value:
		return bad("best.value", st.Best.Value, st.Best.Metrics[f.monitor])
	case rows <= 0:
		return nil
	case int64(st.Batch) > (rows+size-1)/size:
		return bad("batch", st.Batch, (rows+size-1)/size)
	case steps > int64(st.Epoch)*f.perEpoch || steps < int64(st.Epoch)*((rows/size+of-1)/of): // drop_last makes fewer
		return bad("step", st.Step, fmt.Sprintf("%d an epoch", f.perEpoch))
	case st.Samples > (int64(st.Epoch)+1)*rows:
		return bad("samples", st.Samples, rows)
	}
	return nil
}

// read reads the state for --resume. It returns nil if there is none.
func (f *fit) read() (*state, error) {
	st, err := readState(f.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrResume, err)
	}
	if st == nil {
		return nil, nil
	}
	return st, st.belongs(f.Dir, f.Digest, f.Data)
}

// loadStem sets those parameters that are there already to the ones that the run goes on with.
func (f *fit) loadStem() error {
	st, err := f.read()
	if err != nil || st == nil {
		return err
	}
	path, err := st.file(f.Dir, st.Model)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrResume, err)
	}
	c, err := ckpt.Load(path)
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
	st, err := f.read()
	if err != nil || st == nil {
		return false, err
	}
	if err := st.checkFor(f); err != nil {
		return false, err
	}
	if err := f.loadFiles(st); err != nil {
		return false, fmt.Errorf("%w: %w", ErrResume, err)
	}
	if st.Done { // until then a later model than the state's may be there
		if err := f.checkBest(&st.Best); err != nil {
			return false, err
		}
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

// loadFiles reads the tensors of the state.
func (f *fit) loadFiles(st *state) error {
	paths := map[string]string{}
	for _, name := range st.files() {
		path, err := st.file(f.Dir, name)
		if err != nil {
			return err
		}
		paths[name] = path
	}
	if err := LoadParams(paths[st.Model], f.Params); err != nil {
		return err
	}
	o, err := ckpt.Load(paths[st.Optimizer])
	if err != nil {
		return err
	}
	if err := f.opt.Load(o, f.trained()); err != nil {
		return err
	}
	if st.Counts == "" {
		f.counts = nil // the steps before were not counted
	} else if err := f.counts.load(paths[st.Counts]); err != nil {
		return err
	}
	return f.averages.load(filepath.Join(f.Dir, run.LastDir), st.Averages)
}

// trained returns the number of values of every parameter that takes a gradient.
func (f *fit) trained() map[string]int {
	sizes := map[string]int{}
	for _, q := range f.prog.Trained() {
		sizes[q.Name] = len(q.Data)
	}
	return sizes
}
