package ensemble

import (
	"errors"
	"fmt"
	"slices"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// TeacherOptions is the `teacher:` section: models whose predictions count as soft labels beside the true ones.
type TeacherOptions struct {
	// directories of runs with the same feature map, or self for the weights that training starts from; several are an ensemble;
	// empty: none
	From                 []string `yaml:"from"`
	Mode                 string   `yaml:"mode"` // how several become one: logits or probabilities, of which the mean is taken
	train.DistillOptions `yaml:",inline"`
}

// Self is the entry of TeacherOptions.From that stands for the starting weights.
const Self = "self"

// TeacherDefaults returns the options of a config that leaves them out.
func TeacherDefaults() TeacherOptions {
	return TeacherOptions{Mode: MeanLogits, DistillOptions: train.DistillDefaults()}
}

// Validate reports every option out of range.
func (t TeacherOptions) Validate() error {
	errs := []error{t.DistillOptions.Validate()}
	for i, from := range t.From {
		switch {
		case from == "":
			errs = append(errs, registry.Field("from", "has an empty entry; want directories of runs, or self"))
		case slices.Contains(t.From[:i], from):
			errs = append(errs, registry.Field("from", "names %s twice; give each teacher once", from))
		}
	}
	return errors.Join(append(errs, registry.OneOf("mode", t.Mode, MeanLogits, MeanProbabilities))...)
}

// Run is a finished run, as its config describes it.
type Run struct {
	Model models.Model
	Task  task.Task
	Map   *data.FeatureMap
	Path  string // of its model

	Precision kernel.Precision    // of its products
	Serve     models.ServeOptions // how its tables are held
	Whole     bool                // it computes whole batches, no more rows than they have, in the place of blocks: to count what a row costs
}

// Pupil is the training that learns from teachers.
type Pupil struct {
	Dir    string
	Model  models.Model
	Task   task.Task
	Data   *data.Splits
	Batch  int
	Params *nn.Params // that training starts from
	Digest string     // of Params; empty if they are fresh

	Precision kernel.Precision
}

// Teachers are the models of a `teacher:` section. If there are none, the Teacher is nil.
type Teachers struct {
	train.Teacher
	Records []TeacherRecord
	progs   []*models.Program
}

// TeacherRecord is the entry of a teacher in start.json.
type TeacherRecord struct {
	From   string `json:"from"`
	Digest string `json:"digest"`
}

// Close frees the models.
func (t *Teachers) Close() error {
	var errs []error
	for _, p := range t.progs {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// OpenTeachers opens the teachers of a training. It calls open to read a run's config and feature map.
func OpenTeachers(o TeacherOptions, p Pupil, open func(dir string) (*Run, error)) (_ *Teachers, err error) {
	t := &Teachers{}
	if len(o.From) == 0 {
		return t, nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	var errs []error
	for _, from := range o.From {
		prog, digest, err := p.openTeacher(from, open)
		if err != nil {
			errs = append(errs, fmt.Errorf("teacher.from: %w", err))
			continue
		}
		t.progs = append(t.progs, prog)
		t.Records = append(t.Records, TeacherRecord{from, digest})
	}
	if len(errs) > 0 {
		return t, errors.Join(errs...)
	}
	var members []train.Predictor
	for _, prog := range t.progs {
		members = append(members, prog)
	}
	e, err := New(o.Mode, members...)
	if err != nil {
		return t, err
	}
	t.Teacher = e
	return t, nil
}

func (p Pupil) openTeacher(from string, open func(dir string) (*Run, error)) (*models.Program, string, error) {
	if from == Self {
		if p.Digest == "" {
			return nil, "", errors.New("self stands for the weights that training starts from, and there are none but fresh ones; set init.from")
		}
		prog, err := models.Compile(p.Model, p.Params.Clone(), p.Data.Schema, models.CompileOptions{Batch: p.Batch, Precision: p.Precision, Blocks: true})
		return prog, p.Digest, err
	}
	if run.Same(from, p.Dir) {
		return nil, "", run.Advise(fmt.Errorf("%s: is the directory of this run", from), run.Elsewhere)
	}
	r, err := open(from)
	if err != nil {
		return nil, "", err
	}
	have, _ := task.Registry.NameOf(r.Task)
	if want, _ := task.Registry.NameOf(p.Task); have != want {
		return nil, "", fmt.Errorf("%s: was trained for %s, this run is for %s", from, have, want)
	}
	if p.Data.Map == nil || r.Map.Digest() != p.Data.Map.Digest() {
		return nil, "", fmt.Errorf("%s: reads rows with another feature map than this run, so that ids mean other tokens to it; "+
			"take runs of one map, or start from such a run (init.from with init.features: run), whose map is this run's then", from)
	}
	prog, q, err := r.Program(p.Data.Schema, p.Batch)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", from, err)
	}
	return prog, q.Digest(), nil
}

// Program compiles the run's model for evaluation, in batches of a size, and loads its weights.
func (r *Run) Program(sc *data.Schema, batch int) (*models.Program, *nn.Params, error) {
	p, err := nn.BlankParams(), error(nil)
	if r.Serve.Int8() {
		if p, _, err = r.Serve.Params(r.Model, sc); err != nil {
			return nil, nil, err
		}
	}
	prog, err := models.Compile(r.Model, p, sc, models.CompileOptions{Batch: batch, Precision: r.Precision, Blocks: !r.Whole})
	if err != nil {
		return nil, nil, err
	}
	if err := train.LoadParams(r.Path, p); err != nil {
		return nil, nil, errors.Join(err, prog.Close())
	}
	return prog, p, nil
}
