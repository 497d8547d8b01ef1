package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/start"
)

// ground is what a training stands on: its data, the weights it starts from, its teachers.
type ground struct {
	data     *data.Splits
	params   *nn.Params
	teachers *ensemble.Teachers
	record   *start.Record // nil if there are neither a start nor teachers
	digest   string        // of all that decides the result: --resume refuses another one
}

// ground opens what the experiment is trained on. Nothing of the run's directory is touched. digest is the config's.
func (s *Session) ground(ctx context.Context, digest string) (*ground, error) {
	g := &ground{digest: digest}
	target := start.Target{Options: s.Init, Dir: s.Dir, Model: s.Model, Seed: s.Seed, ModelOf: modelOf, Log: s.Log}
	w, err := target.Find()
	if err != nil {
		return nil, cli.BadInput(err)
	}
	var m *data.FeatureMap
	if w != nil {
		if m, err = w.FeatureMap(); err != nil {
			return nil, cli.BadInput(err)
		}
	}
	if g.data, err = s.Data.Open(ctx, data.OpenOptions{Seed: s.Seed, Threads: s.Threads, Log: s.Log, Map: m}); err != nil {
		if m != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w\n(the data is read with the feature map of %s; set init.features to data to fit a new one)", err, s.Init.From)
		}
		return nil, cli.BadInput(err)
	}
	if w == nil {
		g.params, err = models.NewParams(s.Model, g.data.Schema, s.Seed)
	} else {
		g.params, g.record, err = w.Load(g.data)
	}
	if err != nil {
		return nil, cli.BadInput(err)
	}
	if err := train.CheckFreeze(s.Experiment.Train.Freeze, g.params); err != nil {
		return nil, cli.BadInput(err)
	}
	pupil := ensemble.Pupil{Dir: s.Dir, Model: s.Model, Task: s.Task, Data: g.data, Batch: s.Experiment.Train.BatchSize, Params: g.params}
	if g.record != nil {
		pupil.Digest = g.record.Digest
	}
	if g.teachers, err = ensemble.OpenTeachers(s.Experiment.Teacher, pupil, openRun); err != nil {
		return nil, cli.BadInput(err)
	}
	if len(g.teachers.Records) > 0 {
		if g.record == nil {
			g.record = &start.Record{}
		}
		g.record.Teachers = g.teachers.Records
	}
	if g.record != nil {
		h := sha256.New()
		fmt.Fprintln(h, digest, g.record.Digest)
		if g.data.Map != nil {
			fmt.Fprintln(h, g.data.Map.Digest())
		}
		for _, t := range g.record.Teachers {
			fmt.Fprintln(h, t.Digest)
		}
		g.digest = hex.EncodeToString(h.Sum(nil)[:8])
	}
	return g, nil
}

// modelOf returns the model of a run's config.
func modelOf(config string) (models.Model, error) {
	e, err := configs.Load(config, nil)
	if err != nil {
		return nil, err
	}
	return e.Model, nil
}

// openRun opens a run to teach.
func openRun(dir string) (*ensemble.Run, error) {
	e, m, err := readRun(dir, nil)
	if err != nil {
		return nil, err
	}
	return asMember(e, dir, m), nil
}

// asMember is a run as an ensemble needs it.
func asMember(e *configs.Experiment, dir string, m *data.FeatureMap) *ensemble.Run {
	return &ensemble.Run{Model: e.Model, Task: e.Task, Map: m, Seed: e.Seed, Path: filepath.Join(dir, run.ModelFile)}
}

// checkStart reports a run in the directory that started from other weights, or learned from other teachers. What that run
// measured of them is taken over.
func (s *Session) checkStart(now *start.Record) error {
	path := filepath.Join(s.Dir, run.StartFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || now == nil {
		return nil // the trainer compares the digests
	} else if err != nil {
		return err
	}
	var was start.Record
	if err := json.Unmarshal(b, &was); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	const help = "put them back, or start another run"
	if was.Digest != now.Digest {
		return fmt.Errorf("train: resume: %s started from other weights (digest %s of %s, now %s of %s): %s", s.Dir, was.Digest, was.File, now.Digest, now.File, help)
	}
	if !slices.EqualFunc(was.Teachers, now.Teachers, func(a, b ensemble.TeacherRecord) bool { return a.Digest == b.Digest }) {
		return fmt.Errorf("train: resume: %s learned from other teachers (%v, now %v): %s", s.Dir, was.Teachers, now.Teachers, help)
	}
	now.Valid = was.Valid
	return nil
}

// measureStart evaluates the weights that training starts from on the validation rows, if there are any and the head is not a fresh
// one.
func (s *Session) measureStart(ctx context.Context, g *ground) error {
	if g.record == nil || g.record.File == "" || g.record.Valid != nil || g.data.Valid == nil || g.record.Imported {
		return nil
	}
	prog, err := models.Compile(s.Model, g.params, g.data.Schema, models.CompileOptions{Batch: s.Experiment.Train.BatchSize})
	if err != nil {
		return cli.BadInput(err)
	}
	defer prog.Close()
	m, _, err := train.Evaluate(ctx, prog, g.data.Valid, s.Task, nil)
	if err != nil {
		return cli.BadInput(fmt.Errorf("train: starting weights: %w", err))
	}
	g.record.Valid = m
	return nil
}

// loaded returns the parameters that the starting weights gave: a head that they lack is not among them, so that each of
// several trainings starts it afresh.
func (g *ground) loaded() *nn.Params {
	p := nn.NewParams(g.params.Seed)
	for _, q := range g.params.All() {
		if g.record == nil || !slices.Contains(g.record.Missing, q.Name) {
			_ = p.Add(q) // names are distinct, and shapes full
		}
	}
	return p
}
