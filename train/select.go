package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// validate evaluates on the validation rows, keeps the model if it is the best so far, and ends training after Patience
// evaluations without improvement.
func (f *fit) validate(ctx context.Context) error {
	if f.Data.Valid == nil {
		f.st.Best = best{Seen: true, Epoch: f.st.Epoch, Step: f.st.Step}
		return nil
	}
	s, err := f.evaluate(ctx, f.Data.Valid, "valid")
	if err != nil {
		return err
	}
	m, v := s.Metrics, s.Metrics[f.monitor]
	f.value = v
	better := f.st.Best.better(v, f.MinDelta, f.higher)
	if better {
		f.st.Best = best{Seen: true, Value: v, Epoch: f.st.Epoch, Step: f.st.Step, Metrics: m}
	} else {
		f.st.Best.Stale++
		if f.Keep == "last" {
			if v != v {
				return fmt.Errorf("train: %s is not a number on the validation rows after step %d: there is no last model to keep",
					f.monitor, f.st.Step)
			}
			f.st.Best.Epoch, f.st.Best.Step, f.st.Best.Metrics = f.st.Epoch, f.st.Step, m
		}
	}
	if better || f.Keep == "last" {
		if err := f.keep(); err != nil {
			return err
		}
	}
	f.sched.Eval(v)
	if err := f.emit(ctx, &Event{Kind: EvalDone, Split: "valid", Metrics: m, MetricOrder: s.Order, Protocol: s.Protocol, Best: better}); err != nil {
		return err
	}
	if f.Patience > 0 && f.st.Best.Stale >= f.Patience {
		return ErrStop
	}
	return nil
}

// evaluate measures the current parameters on src. An interrupt during an evaluation repeats it after --resume. Why a metric is
// undefined on a part of the data is logged once.
func (f *fit) evaluate(ctx context.Context, src data.Source, split string) (*Scores, error) {
	if err := f.emit(ctx, &Event{Kind: EvalStart, Split: split}); err != nil {
		return nil, err
	}
	f.eval.Refresh()
	s, err := Evaluate(ctx, f.eval, src, f.Task, EvaluateOptions{Dir: f.Dir, ranks: &f.ranks, Each: func(n int) error {
		return f.emit(ctx, &Event{Kind: EvalStep, Split: split, Rows: int64(n)})
	}})
	if f.ranks.several() {
		s, err = f.ranks.tell(s, err)
	}
	if ctx.Err() != nil || errors.Is(err, errStopped) {
		state := fmt.Sprintf("with the state of step %d saved", f.saved)
		if !f.savedAny {
			state = "before the first checkpoint, so it begins anew"
		}
		return nil, f.common(run.Advise(fmt.Errorf("%w during an evaluation, %s", ErrInterrupted, state), run.GoOn))
	}
	var bad *OutputError
	if errors.As(err, &bad) && split != "test" {
		return nil, f.diverged(f.st.Step, fmt.Sprintf("the model's output for row %d of %s is %v", bad.Row, split, bad.Value))
	}
	if err != nil {
		return nil, fmt.Errorf("train: %s: %w", split, err)
	}
	if part, _, _ := strings.Cut(split, "/"); f.Log != nil && !f.told[part] && len(s.Undefined) > 0 {
		for _, u := range s.Undefined {
			f.Log.Warn("a metric is undefined", "metric", u.Metric, "rows", part, "reason", u.Reason)
		}
		f.told[part] = true
	}
	return s, nil
}

// keep writes the current parameters as the run's model, and the counts that belong to them.
func (f *fit) keep() error {
	if err := f.collectCounts(); err != nil || !f.writes() {
		return err
	}
	if err := f.place.Check(); err != nil {
		return err
	}
	if f.counts != nil {
		if err := f.counts.save(filepath.Join(f.Dir, run.CountsFile)); err != nil {
			return err
		}
	}
	path := filepath.Join(f.Dir, run.ModelFile)
	if err := ckpt.Save(path, Snapshot(f.Params)); err != nil {
		return err
	}
	var err error
	if f.st.Best.Model, err = ckpt.Checksum(path); err != nil {
		return err
	}
	f.kept, err = os.Stat(path)
	return err
}

// checkKept returns an error if the best model is gone, or is another file than the one that was kept.
func (f *fit) checkKept() error {
	if !f.writes() {
		return nil
	}
	if err := f.place.Check(); err != nil || f.kept == nil {
		return err
	}
	path := filepath.Join(f.Dir, run.ModelFile)
	now, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("train: %s was removed during the training: the best model is lost; start the run again", path)
	case err != nil:
		return fmt.Errorf("train: %w", err)
	case !os.SameFile(f.kept, now) || now.Size() != f.kept.Size() || !now.ModTime().Equal(f.kept.ModTime()):
		return fmt.Errorf("train: %s was replaced during the training: the best model is lost; start the run again", path)
	}
	return nil
}

// checkBest returns an error if the run's model is not the one of b, which this training kept.
func (f *fit) checkBest(b *best) error {
	if !b.Seen || f.Data.Valid == nil || !f.writes() {
		return nil
	}
	path := filepath.Join(f.Dir, run.ModelFile)
	sum, err := ckpt.Checksum(path)
	if err != nil {
		return err
	}
	if sum != b.Model {
		return anew(fmt.Errorf("%w: %s is not the model that this training kept after step %d (checksum %s, want %s)", ErrResume, path, b.Step,
			sum, b.Model), putBack)
	}
	return nil
}

// finish evaluates the best model.
func (f *fit) finish(ctx context.Context) (*Result, error) {
	r, err := f.measure(ctx)
	if err != nil {
		return nil, err
	}
	return r, f.checkKept()
}

// measure evaluates the best model for the last time.
func (f *fit) measure(ctx context.Context) (*Result, error) {
	r := &Result{}
	if err := f.checkKept(); err != nil {
		return nil, err
	}
	if err := f.checkBest(&f.st.Best); err != nil {
		return nil, err
	}
	if err := f.finishAverages(ctx, r); err != nil {
		return nil, err
	}
	if f.Data.Valid == nil {
		if err := f.keep(); err != nil {
			return nil, err
		}
	} else if f.st.Best.Seen {
		if err := f.checkKept(); err != nil {
			return nil, err
		}
		if f.writes() {
			if err := LoadParams(filepath.Join(f.Dir, run.ModelFile), f.Params); err != nil {
				return nil, err
			}
		}
		if err := f.shareParams(); err != nil {
			return nil, err
		}
	} else {
		return nil, fmt.Errorf("train: %s was never a number on the validation rows: there is no best model", f.monitor)
	}
	r.BestEpoch, r.BestStep, r.Steps, r.Valid, r.Seconds = f.st.Best.Epoch+1, f.st.Best.Step, f.st.Step, f.st.Best.Metrics, f.st.Seconds
	r.SamplesPerSec = float64(f.st.Samples) / max(f.st.Seconds, 1e-9)
	if f.counts != nil && f.writes() {
		var err error
		if r.Counts, err = LoadCounts(f.Dir); err != nil {
			return nil, err
		}
	}
	if f.Data.Test != nil {
		s, err := f.evaluate(ctx, f.Data.Test, "test")
		if err != nil {
			return nil, err
		}
		err = f.emit(ctx, &Event{Kind: EvalDone, Split: "test", Metrics: s.Metrics, MetricOrder: s.Order, Protocol: s.Protocol})
		if err != nil && !errors.Is(err, ErrStop) {
			return nil, err
		}
		r.Test = s.Metrics
	}
	return r, nil
}
