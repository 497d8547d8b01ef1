package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// average is a mean of the trained parameters as they change.
type average struct {
	name   string // ema or swa
	file   string
	params []*nn.Param
	values [][]float32
	n      int64 // updates
	rate   float32
	pieces []averagePiece
	run    func(i int)
}

// averageSpan is the number of values that are averaged at once; arrays of 16 KB stay in the cache.
const averageSpan = 4096

type averagePiece struct {
	w, mean []float32
	scratch [averageSpan]float32
}

func newAverage(name, file string, params []*nn.Param) *average {
	a := &average{name: name, file: file, params: params}
	for _, q := range params {
		a.values = append(a.values, make([]float32, len(q.Data)))
	}
	const chunks = 64 // pieces that run at once need scratch of their own
	a.pieces = make([]averagePiece, chunks)
	a.run = a.chunk
	return a
}

// update moves the mean towards the parameters by rate: mean += rate·(w − mean). The first update takes the parameters.
func (a *average) update(rate float64) {
	if a.n++; a.n == 1 {
		rate = 1
	}
	a.rate = float32(rate)
	kernel.Parallel(len(a.pieces), a.run)
}

// chunk updates the i-th of the chunks that each parameter is cut into.
func (a *average) chunk(i int) {
	p := &a.pieces[i]
	for k, q := range a.params {
		lo, hi := kernel.Span(len(q.Data), len(a.pieces), i)
		for ; lo < hi; lo += averageSpan {
			end := min(hi, lo+averageSpan)
			p.w, p.mean = q.Data[lo:end], a.values[k][lo:end]
			if a.rate == 1 {
				copy(p.mean, p.w)
				continue
			}
			t := p.scratch[:end-lo]
			kernel.Sub(t, p.w, p.mean) // the difference, and not mean·(1 − rate): its rounding would scale the mean
			kernel.Axpy(p.mean, a.rate, t)
		}
	}
}

// averages are the means that a run keeps.
type averages struct {
	ema, swa *average // nil if it is not kept
	written  string   // the last file of the state
}

func (f *fit) newAverages() *averages {
	a := &averages{}
	trained := f.prog.Trained()
	if f.EMA > 0 {
		a.ema = newAverage("ema", run.EMAFile, trained)
	}
	if f.SWAStart > 0 {
		a.swa = newAverage("swa", run.SWAFile, trained)
	}
	return a
}

func (a *averages) list() []*average {
	return slices.DeleteFunc([]*average{a.ema, a.swa}, func(x *average) bool { return x == nil })
}

// stateName returns the name of the state's file in last/, or "" if nothing is kept.
func (a *averages) stateName(step int64) string {
	if len(a.list()) == 0 {
		return ""
	}
	epochs := int64(0)
	if a.swa != nil {
		epochs = a.swa.n // an epoch may end without a step since the last checkpoint
	}
	return run.LastAverages(step, epochs)
}

// save writes the state for --resume.
func (a *averages) save(dir, name string) error {
	if name == "" || name == a.written {
		return nil
	}
	c := a.state()
	for _, x := range a.list() {
		c.Meta[x.name] = strconv.FormatInt(x.n, 10)
	}
	if err := ckpt.Save(filepath.Join(dir, name), c); err != nil {
		return err
	}
	a.written = name
	return nil
}

func (a *averages) state() *ckpt.Checkpoint {
	c := &ckpt.Checkpoint{Meta: map[string]string{}}
	for _, x := range a.list() {
		for k, q := range x.params {
			c.Tensors = append(c.Tensors, ckpt.Tensor{Name: x.name + "." + q.Name, Shape: q.Shape, Data: x.values[k]})
		}
	}
	return c
}

// load reads what save wrote.
func (a *averages) load(dir, name string) error {
	if len(a.list()) == 0 {
		return nil
	}
	if name == "" {
		return errors.New("the checkpoint has no averages of the weights: start anew, or leave train.ema and train.swa_start as they were")
	}
	path := filepath.Join(dir, name)
	c, err := ckpt.Load(path)
	if err != nil {
		return err
	}
	want := a.state()
	if err := ckpt.Match(c, want); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, x := range a.list() {
		if x.n, err = strconv.ParseInt(c.Meta[x.name], 10, 64); err != nil || x.n < 0 {
			return fmt.Errorf("%s: %s: %q is no number of updates", path, x.name, c.Meta[x.name])
		}
	}
	for i := range want.Tensors {
		copy(want.Tensors[i].Data, c.Get(want.Tensors[i].Name).Data)
	}
	a.written = name
	return nil
}

// endEpoch keeps what is asked for at an epoch's end.
func (f *fit) endEpoch() error {
	n := f.st.Epoch + 1
	if f.averages.swa != nil && n >= f.SWAStart {
		f.averages.swa.update(1 / float64(f.averages.swa.n+1))
	}
	if !f.KeepEpochs || !f.writes() {
		return nil
	}
	if err := f.place.Check(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(f.Dir, run.EpochsDir), 0o777); err != nil {
		return fmt.Errorf("train: epoch %d: %w", n, err)
	}
	if err := ckpt.Save(filepath.Join(f.Dir, run.EpochFile(n)), Snapshot(f.Params)); err != nil {
		return fmt.Errorf("train: epoch %d: %w", n, err)
	}
	return nil
}

// finishAverages writes the averaged models, with statistics of batch norm from the training rows, and measures them on the
// validation rows. The parameters are as before afterwards.
func (f *fit) finishAverages(ctx context.Context, r *Result) error {
	if len(f.averages.list()) == 0 {
		return nil
	}
	old := map[string][]float32{}
	for _, q := range f.Params.All() {
		old[q.Name] = slices.Clone(q.Data)
	}
	restore := func() {
		for _, q := range f.Params.All() {
			copy(q.Data, old[q.Name])
		}
	}
	defer restore()
	r.Averages = map[string]map[string]float64{}
	for _, a := range f.averages.list() {
		if a.n == 0 {
			if f.Log != nil {
				f.Log.Warn("training ended before the epoch train.swa_start: there are no averaged weights", "epoch", f.SWAStart)
			}
			continue
		}
		restore()
		for k, q := range a.params {
			copy(q.Data, a.values[k])
		}
		o := f.Compile
		o.Batch, o.Seed, o.Precision = max(2, f.BatchSize), f.Seed, f.Precision
		if err := recomputeBatchNorm(ctx, f.Model, f.Params, f.Data.Train, o, 0); err != nil {
			if ctx.Err() != nil {
				return run.Advise(fmt.Errorf("%w during the averaging of batch norm, with the state of step %d saved", ErrInterrupted, f.saved), run.GoOn)
			}
			return fmt.Errorf("%s: %w", a.name, err)
		}
		if f.writes() {
			if err := ckpt.Save(filepath.Join(f.Dir, a.file), Snapshot(f.Params)); err != nil {
				return fmt.Errorf("train: %s: %w", a.name, err)
			}
		}
		if f.Data.Valid == nil {
			continue
		}
		split := "valid/" + a.name
		s, err := f.evaluate(ctx, f.Data.Valid, split)
		if err != nil {
			return err
		}
		r.Averages[a.name] = s.Metrics
		err = f.emit(ctx, &Event{Kind: EvalDone, Split: split, Metrics: s.Metrics, MetricOrder: s.Order, Protocol: s.Protocol})
		if err != nil && !errors.Is(err, ErrStop) {
			return err
		}
	}
	return nil
}
