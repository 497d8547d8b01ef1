package job

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/start"
)

// basis is what a training starts with: its data, the weights it starts from, its teachers.
type basis struct {
	data     *data.Splits
	params   *nn.Params
	given    []string // names of the tables of given embeddings
	teachers *ensemble.Teachers
	record   *start.Record      // nil if there are neither a start nor teachers
	start    string             // digest of the weights and the teachers; empty if there are neither
	prepare  run.PrepareOptions // of the run's directory
}

// basis opens what the experiment is trained on. Nothing of the run's directory is touched. check is called with the data before
// anything is loaded that depends on it, and its error ends it; it may be nil.
func (j *Job) basis(ctx context.Context, check func(*data.Splits) error) (*basis, error) {
	g := &basis{}
	// a training that goes on has all values in its last state
	goesOn := check != nil && bound.Exists(filepath.Join(j.Dir, run.LastDir, run.StateFile))
	target := start.Target{Options: j.Init, Dir: j.Dir, Model: j.Model, Seed: j.Seed, ModelOf: modelOf, Log: j.Log}
	w, err := target.Find()
	if err != nil {
		return nil, run.BadInput(err)
	}
	var m *data.FeatureMap
	if w != nil {
		if m, err = w.FeatureMap(); err != nil {
			return nil, run.BadInput(err)
		}
	}
	if g.data, err = j.Data.Open(ctx, data.OpenOptions{Seed: j.Seed, Threads: j.Threads, Log: j.Log, Map: m}); err != nil {
		if m != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w\n(the data is read with the feature map of %s; set init.features to data to fit a new one)", err, j.Init.From)
		}
		return nil, run.BadInput(err)
	}
	if j.holdOut {
		held := *g.data
		held.Test = nil
		g.data = &held
	}
	if check != nil {
		if err := check(g.data); err != nil {
			return nil, run.BadInput(err)
		}
	}
	if err := train.CheckGroups(g.data.Train.Schema(), j.Task); err != nil {
		return nil, run.BadInput(err)
	}
	if err := j.afford(g.data.Schema, uses{trains: true, loaded: len(j.Experiment.Teacher.From)}); err != nil {
		return nil, err
	}
	if err := data.CheckBatch(g.data.Train, j.Experiment.Train.Program()); err != nil {
		return nil, run.BadInput(err)
	}
	if err := train.CheckMetrics(ctx, g.data, j.Task, j.Experiment.Train); err != nil {
		return nil, run.BadInput(err)
	}
	if w == nil {
		if g.params, err = models.NewParams(j.Model, g.data.Schema, j.Seed); err == nil && !goesOn {
			g.given, err = start.Given(ctx, j.Data, g.data.Map, g.params, j.Log)
		}
	} else {
		g.params, g.record, err = w.Load(g.data)
	}
	if err != nil {
		return nil, run.BadInput(err)
	}
	j.Log.Info("model", "parameters", g.params.Count())
	if err := train.CheckFreeze(j.Experiment.Train.Freeze, g.params); err != nil {
		return nil, run.BadInput(err)
	}
	pupil := ensemble.Pupil{
		Dir: j.Dir, Model: j.Model, Task: j.Task, Data: g.data, Batch: j.Experiment.Train.Program(), Params: g.params,
		Precision: j.Experiment.Train.Precision,
	}
	if g.record != nil {
		pupil.Digest = g.record.Digest
	}
	if g.teachers, err = ensemble.OpenTeachers(j.Experiment.Teacher, pupil, openTeacher); err != nil {
		return nil, run.BadInput(err)
	}
	if len(g.teachers.Records) > 0 {
		if g.record == nil {
			g.record = &start.Record{}
		}
		g.record.Teachers = g.teachers.Records
	}
	if g.record != nil {
		h := sha256.New()
		fmt.Fprintln(h, g.record.Digest)
		for _, t := range g.record.Teachers {
			fmt.Fprintln(h, t.Digest)
		}
		g.start = hex.EncodeToString(h.Sum(nil)[:8])
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

// openTeacher opens a run to teach.
func openTeacher(dir string) (*ensemble.Run, error) {
	r, err := Open(dir, nil, nil)
	if err != nil {
		return nil, err
	}
	return r.member(), nil
}

// checkStart reports a run in the directory that started from other weights, or learned from other teachers. What that run
// measured of them is taken over.
func (j *Job) checkStart(now *start.Record) error {
	path := filepath.Join(j.Dir, run.StartFile)
	b, err := bound.ReadFile(path, bound.JSON)
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
		return fmt.Errorf("train: resume: %s started from other weights (digest %s of %s, now %s of %s): %s", j.Dir, was.Digest, was.File,
			now.Digest, now.File, help)
	}
	if !slices.EqualFunc(was.Teachers, now.Teachers, func(a, b ensemble.TeacherRecord) bool { return a.Digest == b.Digest }) {
		return fmt.Errorf("train: resume: %s learned from other teachers (%v, now %v): %s", j.Dir, was.Teachers, now.Teachers, help)
	}
	now.Valid = was.Valid
	return nil
}

// measureStart evaluates the weights that training starts from on the validation rows, if there are any and the head is not a fresh
// one.
func (j *Job) measureStart(ctx context.Context, g *basis) error {
	if g.record == nil || g.record.File == "" || g.record.Valid != nil || g.data.Valid == nil || g.record.Imported {
		return nil
	}
	prog, err := models.Compile(j.Model, g.params, g.data.Schema, models.CompileOptions{
		Batch: j.Experiment.Train.Program(), Precision: j.Experiment.Train.Precision, Blocks: true,
	})
	if err != nil {
		return run.BadInput(err)
	}
	defer prog.Close()
	s, err := train.Evaluate(ctx, prog, g.data.Valid, j.Task, train.EvaluateOptions{Dir: j.Dir})
	if err != nil {
		return run.BadInput(fmt.Errorf("train: starting weights: %w", err))
	}
	g.record.Valid = s.Metrics
	return nil
}

// givenTables returns the tables of given embeddings, for several trainings that start with them and are fresh else; nil if there are none.
func (g *basis) givenTables() *nn.Params {
	if len(g.given) == 0 {
		return nil
	}
	p := nn.NewParams(g.params.Seed)
	for _, name := range g.given {
		_ = p.Add(g.params.Get(name)) // names are distinct, and shapes full
	}
	return p
}

// loaded returns the parameters that the starting weights gave: a head that they lack is not among them, so that each of
// several trainings starts it afresh.
func (g *basis) loaded() *nn.Params {
	p := nn.NewParams(g.params.Seed)
	for _, q := range g.params.All() {
		if g.record == nil || !slices.Contains(g.record.Missing, q.Name) {
			_ = p.Add(q) // names are distinct, and shapes full
		}
	}
	return p
}
