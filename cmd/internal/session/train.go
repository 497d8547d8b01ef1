package session

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/logs"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

// TrainOptions say how a run starts.
type TrainOptions struct {
	Resume    bool // go on from the run's last checkpoint, if there is one
	Overwrite bool // replace a run that is in the directory
}

// Train runs the experiment, writes the files of a run and prints the result.
func (s *Session) Train(ctx context.Context, o TrainOptions) (*train.Result, error) {
	if err := s.setup(); err != nil {
		return nil, err
	}
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	prepare := run.PrepareOptions{Resume: o.Resume, Overwrite: o.Overwrite}
	if err := prepare.Check(s.Dir); err != nil {
		return nil, cli.BadInput(err)
	}
	digest, err := s.Digest()
	if err != nil {
		return nil, err
	}
	g, err := s.ground(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer g.teachers.Close()
	d := g.data
	if o.Resume {
		if err := s.checkStart(g.record); err != nil {
			return nil, cli.BadInput(err)
		}
	}
	if err := s.measureStart(ctx, g); err != nil {
		return nil, err
	}
	accepted := atStart(func() error { // not before: a run that cannot go on is left as it is
		if err := s.describe(d); err != nil {
			return err
		}
		if g.record == nil {
			return nil
		}
		return s.writeJSON(run.StartFile, g.record)
	})
	t := &train.Trainer{
		Options: s.Experiment.Train, Model: s.Model, Task: s.Task, Data: d, Params: g.params, Seed: s.Seed,
		Dir: s.Dir, Digest: g.digest, Resume: o.Resume, Log: s.Log, Callbacks: append([]train.Callback{accepted}, s.callbacks()...),
		Teacher: g.teachers.Teacher, Distill: s.Experiment.Teacher.DistillOptions,
	}
	if err := run.Prepare(s.Dir, prepare); err != nil {
		return nil, cli.BadInput(err)
	}
	r, err := t.Fit(ctx)
	if err != nil {
		var row *data.RowError
		if errors.As(err, &row) || errors.Is(err, train.ErrResume) {
			err = cli.BadInput(err)
		}
		return nil, err
	}
	model, dataset := s.names()
	out := result{
		Model: model, Data: dataset, Seed: s.Seed, Digest: digest, BestEpoch: r.BestEpoch, BestStep: r.BestStep, Steps: r.Steps,
		Valid: r.Valid, Test: r.Test, Train: trainTime{r.SamplesPerSec, r.Seconds},
	}
	if g.record != nil {
		out.Start = g.record.Valid
	}
	if err := s.report(d, r, &out); err != nil {
		return nil, err
	}
	return r, s.writeJSON(run.ResultFile, out)
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

// describe writes what a run needs to be opened again: its config, which stands alone, and its feature map.
func (s *Session) describe(d *data.Splits) error {
	e := *s.Experiment
	e.Fetch, e.Fallback = nil, configs.FallbackNone
	y, err := e.YAML()
	if err != nil {
		return err
	}
	about := run.Description{Config: y, Map: d.Map}
	if m, ok := s.Model.(models.Exporter); ok { // what makes the directory one of another framework too
		if about.Extra, err = m.Files(d.Schema); err != nil {
			return err
		}
	}
	return run.Describe(s.Dir, about)
}

func (s *Session) callbacks() []train.Callback {
	log := s.Experiment.Train.LogSteps
	cs := []train.Callback{
		&logs.JSONL{Path: filepath.Join(s.Dir, run.MetricsFile), LogSteps: log},
		&logs.TensorBoard{Dir: s.Dir, LogSteps: log},
	}
	if s.Progress != nil {
		cs = append(cs, &logs.Progress{Out: s.Progress, Terminal: s.Terminal, LogSteps: log})
	}
	return cs
}

// report prints the result.
func (s *Session) report(d *data.Splits, r *train.Result, out *result) error {
	ms, err := s.Task.Metrics()
	if err != nil {
		return err
	}
	var order []string
	for _, m := range ms {
		order = append(order, m.Name())
	}
	note := ""
	if d.Synthetic != nil {
		note = " (synthetic)"
	}
	fmt.Fprintf(s.Out, "%s on %s%s, seed %d: %d steps, %.1f s of training, %.0f samples/s, best at epoch %d; run in %s\n",
		out.Model, out.Data, note, s.Seed, r.Steps, r.Seconds, r.SamplesPerSec, r.BestEpoch, s.Dir)
	if out.Start != nil {
		fmt.Fprintf(s.Out, "valid%s before, the starting weights:%s\n", note, line(out.Start, order))
	}
	if r.Valid != nil {
		fmt.Fprintf(s.Out, "valid%s:%s\n", note, line(r.Valid, order))
	}
	if m := s.monitor(order); out.Start != nil && r.Valid != nil && better(m, out.Start[m], r.Valid[m]) {
		fmt.Fprintf(s.Out, "training made %s on the validation rows worse: the starting weights, %s, are the better model\n", m, s.Init.From)
	}
	if r.Test != nil {
		fmt.Fprintf(s.Out, "test%s:%s\n", note, line(r.Test, order))
	}
	if b := d.Synthetic; b != nil && b.AUC > 0 && r.Test != nil {
		out.Reachable = run.Metrics{"auc": b.AUC, "logloss": b.LogLoss}
		fmt.Fprintf(s.Out, "best reachable on these test rows, by their true probabilities: auc %.6f logloss %.6f\n", b.AUC, b.LogLoss)
		if auc, ok := r.Test["auc"]; ok {
			fmt.Fprintf(s.Out, "the model's auc is %.1f %% of the way from 0.5 to it\n", 100*(auc-0.5)/(b.AUC-0.5))
		}
	}
	return nil
}

// monitor returns the metric that selection goes by, of the task's metrics in their order.
func (s *Session) monitor(order []string) string {
	if m := s.Experiment.Train.Monitor; m != "" || len(order) == 0 {
		return m
	}
	return order[0]
}

// better reports whether a is a better value of a metric than b.
func better(name string, a, b float64) bool {
	if metric.HigherIsBetter(name) {
		return a > b
	}
	return a < b
}
