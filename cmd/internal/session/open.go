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
	"github.com/splice-ml/splice/train/run"
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
	e, m, err := readRun(dir, set)
	if err != nil {
		return nil, cli.BadInput(fmt.Errorf("%s: %w", c.Name, err))
	}
	r := &Run{Session: New(c, e, dir), Map: m}
	return r, r.setup()
}

// readRun reads a run's config, with overrides, and its feature map.
func readRun(dir string, set []string) (*configs.Experiment, *data.FeatureMap, error) {
	file := filepath.Join(dir, run.ConfigFile)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s is not a run: it has no %s", dir, run.ConfigFile)
	}
	e, err := configs.Load(file, set)
	if err != nil {
		return nil, nil, err
	}
	m, err := data.LoadFeatureMap(filepath.Join(dir, run.FeatureFile))
	return e, m, err
}

// Program compiles the run's model for evaluation, in batches of that size, and loads its weights.
func (r *Run) Program(sc *data.Schema, batch int) (*models.Program, error) {
	prog, _, err := asMember(r.Experiment, r.Dir, r.Map).Program(sc, batch)
	return prog, cli.BadInput(err)
}

// Stream returns the rows of files in their order, encoded as the run's features. labels says that every row must have one.
func (r *Run) Stream(ctx context.Context, path string, labels bool) (data.Source, error) {
	return r.Data.Stream(ctx, path, r.Map, data.StreamOptions{Threads: r.Threads, Labels: labels}), nil
}
