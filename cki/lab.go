package cki

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
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
	Log     *slog.Logger // never nil
}

// FitOptions are one training in a Lab.
type FitOptions struct {
	Name    string                // of the training, for messages and its directory
	Params  *nn.Params            // starting values, changed in place; afterwards those of the best evaluation on validation
	Options train.Options         // how to train
	Data    *data.Splits          // nil: the Lab's
	Seed    uint64                // of dropout's masks
	Compile models.CompileOptions // Reparam and Freeze are used
}

// NewParams returns the model's parameters with fresh values of a seed.
func (l *Lab) NewParams(seed uint64) (*nn.Params, error) {
	p := nn.NewParams(seed)
	prog, err := models.Compile(l.Model, p, l.Data.Schema, models.CompileOptions{Batch: 1})
	if err != nil {
		return nil, err
	}
	return p, prog.Close()
}

// Evaluate returns the task's metrics of the model with these parameters on src, such as l.Data.Valid.
func (l *Lab) Evaluate(ctx context.Context, p *nn.Params, src data.Source) (map[string]float64, error) {
	prog, err := models.Compile(l.Model, p, src.Schema(), models.CompileOptions{Batch: l.Options.BatchSize})
	if err != nil {
		return nil, err
	}
	defer prog.Close()
	m, _, err := train.Evaluate(ctx, prog, src, l.Task, nil)
	return m, err
}

// Fit trains, selecting on the validation rows; it never reads test rows. The training's files are in a directory of its own
// under Dir, and a training that was interrupted goes on from there.
func (l *Lab) Fit(ctx context.Context, o FitOptions) (*train.Result, error) {
	d := o.Data
	if d == nil {
		d = l.Data
	}
	parts := *d
	parts.Test = nil
	dir := filepath.Join(l.Dir, o.Name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("cki: %w", err)
	}
	t := &train.Trainer{
		Options: o.Options, Model: l.Model, Task: l.Task, Data: &parts, Params: o.Params, Seed: o.Seed, Dir: dir,
		Resume: true, Compile: o.Compile, Log: l.Log,
	}
	r, err := t.Fit(ctx)
	if err != nil {
		return nil, fmt.Errorf("cki: %s: %w", o.Name, err)
	}
	return r, nil
}
