package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/merge"
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

// OpenMerged merges finished runs in memory by a method of [cki.Registry], and opens the result as a run, which the first one's config
// describes. method is what the key merge.method has. The result knows the tokens of all runs. Its tables are float32.
func OpenMerged(ctx context.Context, dirs []string, method string) (*Run, *nn.Params, error) {
	if len(dirs) < 2 {
		return nil, nil, run.BadInput(errors.New("a merge needs at least two runs"))
	}
	r, err := Open(dirs[0], []string{"merge.method=" + method}, nil)
	if err != nil {
		return nil, nil, err
	}
	parents, err := merge.OpenParents(dirs, r.Model)
	if err != nil {
		return nil, nil, err
	}
	defer merge.CloseParents(parents)
	if r.Experiment.Serve.Calibrated {
		return nil, nil, run.BadInput(fmt.Errorf("serve.calibrated: the calibration of %s is of its own model, not of a merge", r.Dir))
	}
	if err := cki.Check(parents); err != nil {
		return nil, nil, run.BadInput(err)
	}
	if r.Map, err = merge.ResultMap(parents, cki.VocabularyUnion); err != nil {
		return nil, nil, err
	}
	e, err := r.Data.Encoder(r.Map)
	if err != nil {
		return nil, nil, run.BadInput(err)
	}
	p, err := models.BlankParams(r.Model, e.Schema())
	if err != nil {
		return nil, nil, run.BadInput(err)
	}
	for _, q := range p.All() {
		if q.Kind == nn.Buffer {
			return nil, nil, run.BadInput(fmt.Errorf("the model has running statistics (%s), which a merge has to compute on rows: merge the runs with cki, "+
				"and open the result", q.Name))
		}
	}
	in := &cki.Input{
		Parents: cki.Remap(parents, r.Map, cki.FillOther), Select: func(string) bool { return true }, Seed: r.Seed, Log: r.Log,
	}
	m, err := r.Experiment.Merge.Method.Merge(ctx, in)
	if err != nil {
		return nil, nil, run.BadInput(fmt.Errorf("merge: %w", err))
	}
	return r, p, run.BadInput(in.Fill(m, p))
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
