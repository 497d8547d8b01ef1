package job

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/run"
)

// Run is a finished run, opened to be used.
type Run struct {
	Job
	Map *data.FeatureMap
}

// Open opens a finished run. set overrides keys of its config.
func Open(dir string, set []string, log *slog.Logger) (*Run, error) {
	files, err := run.Open(dir)
	if err != nil {
		return nil, run.BadInput(err)
	}
	e, err := configs.Load(files.Config, set)
	if err != nil {
		return nil, run.BadInput(err)
	}
	r := &Run{Job: Job{Experiment: e, Dir: dir, Log: log}, Map: files.Map}
	if err := r.setup(); err != nil {
		return nil, err
	}
	return r, nil
}

// Params returns the run's parameters for rows of a schema, with embedding tables held as the config's serve section says.
func (r *Run) Params(sc *data.Schema) (*nn.Params, *models.Tables, error) {
	p, tables, err := r.Experiment.Serve.Params(r.Model, sc)
	if err != nil {
		return nil, nil, run.BadInput(err)
	}
	return p, tables, run.BadInput(train.LoadParams(filepath.Join(r.Dir, run.ModelFile), p))
}

// member is the run as an ensemble needs it.
func (r *Run) member() *ensemble.Run {
	return &ensemble.Run{Model: r.Model, Task: r.Task, Map: r.Map, Path: filepath.Join(r.Dir, run.ModelFile), Precision: r.Experiment.Train.Precision}
}

// stream returns the rows of files in their order, encoded as the run's features. labels says that every row must have one.
func (r *Run) stream(ctx context.Context, path string, labels bool) data.Source {
	return r.Data.Stream(ctx, path, r.Map, data.StreamOptions{Threads: r.Threads, Labels: labels, Log: r.Log})
}
