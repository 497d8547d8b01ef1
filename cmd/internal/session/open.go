package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
)

// Run is a finished run, opened to be used.
type Run struct {
	*Session
	Map *data.FeatureMap
}

// Open reads a run's config and feature map.
func Open(c *cli.Command, dir string, set []string) (*Run, error) {
	if dir == "" {
		return nil, cli.BadInput(fmt.Errorf("%s: --run is missing: give the directory of a run, such as --run runs/criteo_deepfm", c.Name))
	}
	file := filepath.Join(dir, ConfigFile)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, cli.BadInput(fmt.Errorf("%s: %s is not a run: it has no %s", c.Name, dir, ConfigFile))
	}
	e, err := configs.Load(file, set)
	if err != nil {
		return nil, cli.BadInput(err)
	}
	r := &Run{Session: New(c, e, dir)}
	if err := r.setup(); err != nil {
		return nil, err
	}
	if r.Map, err = data.LoadFeatureMap(filepath.Join(dir, data.MapFile)); err != nil {
		return nil, cli.BadInput(err)
	}
	return r, nil
}

// Program compiles the run's model for evaluation and loads its weights.
func (r *Run) Program(sc *data.Schema) (*models.Program, error) {
	p := nn.NewParams(r.Seed)
	prog, err := models.Compile(r.Model, p, sc, models.CompileOptions{Batch: r.Experiment.Train.BatchSize})
	if err != nil {
		return nil, cli.BadInput(err)
	}
	if err := train.LoadParams(filepath.Join(r.Dir, train.ModelFile), p); err != nil {
		return nil, cli.BadInput(errors.Join(err, prog.Close()))
	}
	return prog, nil
}

// Stream returns the rows of files in their order, encoded as the run's features. labels says that every row must have one.
func (r *Run) Stream(ctx context.Context, path string, labels bool) (data.Source, error) {
	s, ok := r.Data.(data.Scorer)
	if !ok {
		_, name := r.names()
		return nil, cli.BadInput(fmt.Errorf("data type %s cannot read rows of a file: use criteo, csv or libfm", name))
	}
	return s.Stream(ctx, path, r.Map, data.StreamOptions{Threads: r.Threads, Labels: labels}), nil
}
