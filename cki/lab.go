package cki

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/rounds"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// Lab is where models are evaluated and trained: one model over one set of data.
type Lab struct {
	Model   models.Model
	Task    task.Task
	Data    *data.Splits
	Options train.Options // of a full training run
	Seed    uint64
	Dir     string       // directory for the files of trainings, each in a subdirectory; it must exist
	Start   *nn.Params   // values that the regime's first trainings start from; nil means fresh values
	Given   *nn.Params   // tables of embeddings that fresh values have; may be nil
	Digest  string       // identifies what decides the trainings' results; a training of another digest is not resumed
	Log     *slog.Logger // never nil
	// KeepBaseEpochs makes the base keep the weights of each of its epochs, and their moving average, for the comparison.
	KeepBaseEpochs bool
	// Begin is called before each training with its name and directory. It returns the callbacks that report on it. It may be nil.
	Begin func(name, dir string, o train.Options) ([]train.Callback, error)
}

// FitOptions describe one training in a Lab.
type FitOptions struct {
	Name    string                // of the training, for messages and its directory
	Params  *nn.Params            // starting values, changed in place; afterwards those of the best evaluation on validation
	Options train.Options         // how to train
	Data    *data.Splits          // rows to train on; nil means the Lab's
	Seed    uint64                // of dropout's masks
	Compile models.CompileOptions // Reparam and Freeze are used
	Teacher train.Teacher         // gives soft labels; may be nil
	Distill train.DistillOptions  // how much the soft labels count
}

// Protocol says what the metrics of the test or validation rows rank: see [train.Protocol].
func (l *Lab) Protocol() string {
	if l.Data.Test != nil {
		return train.Protocol(l.Data.Test, l.Task, 0)
	}
	if l.Data.Valid != nil {
		return train.Protocol(l.Data.Valid, l.Task, 0)
	}
	return ""
}

// NewParams returns the model's parameters with fresh values of a seed, but for embeddings that are given.
func (l *Lab) NewParams(seed uint64) (*nn.Params, error) {
	p, err := models.NewParams(l.Model, l.Data.Schema, seed)
	if err == nil && l.Given != nil {
		CopyParams(p, l.Given)
	}
	return p, err
}

// WholeCatalogue reports whether the task's loss is over all items of a catalogue, whose table is then a weight of the graph.
func (l *Lab) WholeCatalogue() bool {
	r, ok := l.Task.(task.Ranking)
	return ok && r.WholeCatalogue()
}

// BlankParams returns the model's parameters with all values 0, to be filled.
func (l *Lab) BlankParams() (*nn.Params, error) { return models.BlankParams(l.Model, l.Data.Schema) }

// Evaluate returns the task's metrics of the model with these parameters on src, such as l.Data.Valid. If the
// options freeze the stem, its output for the rows is computed once, and kept.
func (l *Lab) Evaluate(ctx context.Context, p *nn.Params, src data.Source) (map[string]float64, error) {
	model, src, err := l.overFeatures(ctx, src, p)
	if err != nil {
		return nil, err
	}
	prog, err := models.Compile(model, p, src.Schema(), models.CompileOptions{Batch: l.Options.BatchSize, Precision: l.Options.Precision, Blocks: true})
	if err != nil {
		return nil, err
	}
	defer prog.Close()
	s, err := train.Evaluate(ctx, prog, src, l.Task, train.EvaluateOptions{Dir: l.Dir})
	if err != nil {
		return nil, err
	}
	return s.Metrics, nil
}

// EvaluateEnsemble returns the task's metrics of the models with these parameters on src, by the mean of their logits.
func (l *Lab) EvaluateEnsemble(ctx context.Context, params []*nn.Params, src data.Source) (map[string]float64, error) {
	model, src, err := l.overFeatures(ctx, src, params...)
	if err != nil {
		return nil, err
	}
	e, done, err := l.ensemble(model, params)
	if err != nil {
		return nil, err
	}
	defer done()
	s, err := train.Evaluate(ctx, e, src, l.Task, train.EvaluateOptions{Dir: l.Dir})
	if err != nil {
		return nil, err
	}
	return s.Metrics, nil
}

// Ensemble returns the ensemble of the models with these parameters, by the mean of their logits. Call done when it is no longer
// needed. Its batches have the size that the Lab's options give.
func (l *Lab) Ensemble(params []*nn.Params) (e *ensemble.Ensemble, done func(), err error) {
	return l.ensemble(l.Model, params)
}

func (l *Lab) ensemble(model models.Model, params []*nn.Params) (*ensemble.Ensemble, func(), error) {
	var scorers []train.Predictor
	var open []*models.Program
	done := func() {
		for _, p := range open {
			p.Close()
		}
	}
	for _, p := range params {
		prog, err := models.Compile(model, p, l.Data.Schema, models.CompileOptions{Batch: l.Options.BatchSize, Precision: l.Options.Precision, Blocks: true})
		if err != nil {
			done()
			return nil, nil, err
		}
		scorers, open = append(scorers, prog), append(open, prog)
	}
	e, err := ensemble.New(ensemble.MeanLogits, scorers...)
	if err != nil {
		done()
		return nil, nil, err
	}
	return e, done, nil
}

// overFeatures returns the model's head, and a source of what the stem makes of the rows of src. That is possible if the options
// freeze the stem and it is the same in all params. Otherwise it returns the model and src.
func (l *Lab) overFeatures(ctx context.Context, src data.Source, params ...*nn.Params) (models.Model, data.Source, error) {
	if len(l.Options.Freeze) == 0 || !l.Options.CacheFeatures {
		return l.Model, src, nil
	}
	frozen, err := nn.Match(l.Options.Freeze)
	if err != nil {
		return nil, nil, fmt.Errorf("cki: train.freeze: %w", err)
	}
	for _, p := range params[1:] {
		if !params[0].Equal(p, frozen) {
			return l.Model, src, nil
		}
	}
	o := train.FeatureOptions{Compile: models.CompileOptions{Batch: l.Options.BatchSize, Freeze: frozen, Precision: l.Options.Precision}}
	return train.Features(ctx, l.Model, params[0], src, o)
}

// Fit trains, and selects the best evaluation on the validation rows. It never reads test rows. The training's files are in a
// directory of its own under Dir. A training that was interrupted goes on from there.
func (l *Lab) Fit(ctx context.Context, o FitOptions) (*train.Result, error) {
	t, err := l.trainer(o)
	if err != nil {
		return nil, err
	}
	r, err := t.Fit(ctx)
	return r, fitted(o.Name, t.Dir, err)
}

// FitRounds trains one model by workers that are merged again and again: see [train.Rounds]. It is otherwise as Fit. The Data of o have all
// workers' rows.
func (l *Lab) FitRounds(ctx context.Context, o FitOptions, workers []train.RoundsWorker, r rounds.Options) (*train.Result, error) {
	t, err := l.trainer(o)
	if err != nil {
		return nil, err
	}
	in := &train.Rounds{Trainer: *t, Workers: workers, Rounds: r}
	result, err := in.Fit(ctx)
	return result, fitted(o.Name, t.Dir, err)
}

// trainer returns what makes a training.
func (l *Lab) trainer(o FitOptions) (*train.Trainer, error) {
	d := o.Data
	if d == nil {
		d = l.Data
	}
	parts := *d
	parts.Test = nil
	dir := l.path(o.Name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("cki: %w", err)
	}
	var callbacks []train.Callback
	if l.Begin != nil {
		var err error
		if callbacks, err = l.Begin(o.Name, dir, o.Options); err != nil {
			return nil, err
		}
	}
	return &train.Trainer{
		Options: o.Options, Model: l.Model, Task: l.Task, Data: &parts, Params: o.Params, Seed: o.Seed, Dir: dir,
		Digest: l.Digest, Resume: true, Compile: o.Compile, Teacher: o.Teacher, Distill: o.Distill, Callbacks: callbacks,
	}, nil
}

// fitted returns the error of a training in a directory; nil if it has none.
func fitted(name, dir string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, train.ErrResume) && !run.OfMachine(err):
		return run.BadInput(fmt.Errorf("cki: %s: %w. If you remove %s, it is trained anew", name, err, dir))
	}
	return fmt.Errorf("cki: %s: %w", name, err)
}

// path returns the directory of a training.
func (l *Lab) path(name string) string { return filepath.Join(l.Dir, name) }

// statisticsRows is the largest number of training rows that batch norm's statistics are recomputed on.
const statisticsRows = 1 << 20

// RecomputeBatchNorm sets the running statistics of p's batch norms to those of the training rows. A merge needs that, since
// merged weights have other statistics. A model without batch norm stays as it is.
func (l *Lab) RecomputeBatchNorm(ctx context.Context, p *nn.Params) error {
	err := train.RecomputeBatchNorm(ctx, l.Model, p, l.Data.Train,
		train.RecomputeOptions{Batch: l.Options.Program(), Rows: statisticsRows, Seed: l.Seed, Precision: l.Options.Precision})
	if err != nil {
		return fmt.Errorf("cki: batch norm: %w", err)
	}
	return nil
}

// Monitor returns the metric that selection goes by.
func (l *Lab) Monitor() string {
	if l.Options.Monitor != "" {
		return l.Options.Monitor
	}
	if ms, err := l.Task.Metrics(); err == nil && len(ms) > 0 {
		return ms[0].Name()
	}
	return ""
}

// Metrics returns the names of the task's metrics, the one that selection goes by first.
func (l *Lab) Metrics() ([]string, error) {
	ms, err := l.Task.Metrics()
	if err != nil {
		return nil, err
	}
	names := []string{l.Monitor()}
	for _, m := range ms {
		if m.Name() != names[0] {
			names = append(names, m.Name())
		}
	}
	return names, nil
}

// Better reports whether a is a better value of the monitored metric than b. A number is better than NaN.
func (l *Lab) Better(a, b float64) bool { return metric.Better(l.Monitor(), a, b) }

// CheckMetrics reports that the metric that selection goes by is undefined on the validation rows. It logs which others are undefined
// on the validation or test rows: their values are NaN.
func (l *Lab) CheckMetrics(ctx context.Context) error {
	if err := train.CheckMetrics(ctx, l.Data, l.Task, l.Options); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		rows data.Source
	}{{"valid", l.Data.Valid}, {"test", l.Data.Test}} {
		if part.rows == nil {
			continue
		}
		undefined, err := train.Undefined(ctx, part.rows, l.Task, l.Options.BatchSize)
		if err != nil {
			return fmt.Errorf("cki: %s: %w", part.name, err)
		}
		for _, u := range undefined {
			l.Log.Warn("a metric is undefined", "metric", u.Metric, "rows", part.name, "reason", u.Reason)
		}
	}
	return nil
}
