package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/logs"
	"github.com/splice-ml/splice/train/run"
)

// TrainOptions say how a run starts.
type TrainOptions struct {
	Resume    bool // go on from the run's last checkpoint, if there is one
	Overwrite bool // replace a run that is in the directory

	HoldOut   bool             // leave the test rows alone: nothing is measured on them, see [Ensemble.Test]
	Callbacks []train.Callback // hear the training's events, too
}

// Train runs the experiment and writes the files of a run.
func (j *Job) Train(ctx context.Context, o TrainOptions) (*Result, error) {
	err := j.setup()
	digest := ""
	if err == nil {
		digest, err = j.Digest()
	}
	if err := j.agree(err); err != nil {
		return nil, err
	}
	j.holdOut = o.HoldOut
	if j.writes() {
		unlock, err := j.lock()
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	g, err := j.ready(ctx, o, digest)
	if err != nil {
		return nil, err
	}
	defer g.teachers.Close()
	d := g.data
	accepted := atStart(func() error { // not before: a run that cannot go on, or be replaced, is left as it is
		if err := j.prepare(g.prepare, g.params); err != nil {
			return err
		}
		if err := j.describe(d); err != nil {
			return err
		}
		if g.record == nil {
			return nil
		}
		return j.writeJSON(run.StartFile, g.record)
	})
	t := &train.Trainer{
		Options: j.Experiment.Train, Model: j.Model, Task: j.Task, Data: d, Params: g.params, Seed: j.Seed,
		Dir: j.Dir, Digest: digest, Start: g.start, Resume: o.Resume, Log: j.Log, Callbacks: slices.Concat([]train.Callback{accepted}, j.callbacks(), o.Callbacks),
		Teacher: g.teachers.Teacher, Distill: j.Experiment.Teacher.DistillOptions, Group: j.Group,
	}
	if !j.writes() {
		t.Callbacks = nil
		r, err := fitted(t.Fit(ctx))
		if err != nil {
			return nil, err
		}
		return j.result(g, r, digest)
	}
	if err := os.MkdirAll(j.Dir, 0o777); err != nil {
		return nil, fmt.Errorf("train: run directory: %w", err)
	}
	place, err := run.Hold(j.Dir)
	if err != nil {
		return nil, err
	}
	defer place.Close()
	r, err := fitted(t.Fit(ctx))
	if err != nil {
		return nil, err
	}
	out, err := j.result(g, r, digest)
	if err != nil {
		return nil, err
	}
	if err := place.Check(); err != nil {
		return nil, err
	}
	if err := j.writeJSON(run.ResultFile, out); err != nil {
		return nil, err
	}
	if err := j.complete(d); err != nil {
		return nil, err
	}
	return out, place.Check()
}

// open opens what the experiment is trained on, if the run can start, or go on.
func (j *Job) open(ctx context.Context, o TrainOptions, digest string) (*basis, error) {
	prepare := run.PrepareOptions{Resume: o.Resume, Overwrite: o.Overwrite}
	var err error
	if prepare.Inputs, err = j.Inputs(); err != nil {
		return nil, err
	}
	if err := prepare.Check(j.Dir); err != nil {
		return nil, run.BadInput(err)
	}
	var check func(*data.Splits) error
	if o.Resume {
		check = func(d *data.Splits) error { return train.CheckData(j.Dir, digest, d) }
	}
	g, err := j.basis(ctx, check)
	if err != nil {
		return nil, err
	}
	g.prepare = prepare
	if o.Resume {
		if err := j.checkStart(g.record); err != nil {
			g.teachers.Close()
			return nil, run.BadInput(err)
		}
	}
	if err := j.measureStart(ctx, g); err != nil {
		g.teachers.Close()
		return nil, err
	}
	return g, nil
}

// fitted returns the result of a training, and marks errors that the user can mend.
func fitted(r *train.Result, err error) (*train.Result, error) {
	var row *data.RowError
	if errors.As(err, &row) || errors.Is(err, train.ErrResume) {
		err = run.BadInput(err)
	}
	return r, err
}

// prepare makes the directory of a run, for a model of so many parameters. An earlier run is removed once there is room for the new one.
func (j *Job) prepare(o run.PrepareOptions, p *nn.Params) error {
	if o.Overwrite && run.IsRun(j.Dir) {
		if err := run.Room(j.Dir, p); err != nil {
			return err
		}
	}
	return run.BadInput(run.Prepare(j.Dir, o))
}

// result returns what a training came to.
func (j *Job) result(g *basis, r *train.Result, digest string) (*Result, error) {
	metrics, err := j.Metrics()
	if err != nil {
		return nil, err
	}
	model, dataset := j.names()
	out := &Result{
		Model: model, Data: dataset, Seed: j.Seed, Digest: digest, BestEpoch: r.BestEpoch, BestStep: r.BestStep, Steps: r.Steps,
		Valid: r.Valid, Test: r.Test, Train: Time{r.SamplesPerSec, r.Seconds},
		Dir: j.Dir, Metrics: metrics, Monitor: j.monitor(metrics), From: j.Init.From, Synthetic: g.data.Synthetic != nil,
	}
	if src := cmp.Or(g.data.Test, g.data.Valid); src != nil {
		out.Protocol = train.Protocol(src, j.Task, 0)
	}
	if g.record != nil {
		out.Start = g.record.Valid
	}
	if b := g.data.Synthetic; b != nil && b.AUC > 0 && r.Test != nil {
		out.Reachable = run.Metrics{"auc": b.AUC, "logloss": b.LogLoss}
	}
	return out, nil
}

// atStart is a callback that is called once the trainer has found that the run can start, or go on.
type atStart func() error

// On calls f.
func (f atStart) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.RunStart {
		return f()
	}
	return nil
}

// callbacks write the run's logs and show its progress.
func (j *Job) callbacks() []train.Callback {
	o := j.Experiment.Train
	cs := []train.Callback{
		&logs.JSONL{Path: filepath.Join(j.Dir, run.MetricsFile), LogSteps: o.LogSteps},
		&logs.TensorBoard{Dir: j.Dir, LogSteps: o.LogSteps},
	}
	if j.Show != nil {
		cs = append(cs, j.Show(o)...)
	}
	return cs
}

// monitor returns the metric that selection goes by, of the task's metrics in their order.
func (j *Job) monitor(order []string) string {
	if m := j.Experiment.Train.Monitor; m != "" || len(order) == 0 {
		return m
	}
	return order[0]
}
