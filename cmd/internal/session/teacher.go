package session

import (
	"errors"
	"fmt"
	"slices"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/task"
)

// teachers are the models of a `teacher:` section.
type teachers struct {
	train.Teacher // nil: none
	records       []teacherRecord
	progs         []*models.Program
}

// Close frees the models.
func (t *teachers) Close() error {
	var errs []error
	for _, p := range t.progs {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// openTeachers opens the teachers. p are the weights that training starts from, rec says where they are from, nil if they
// are fresh.
func (s *Session) openTeachers(d *data.Splits, p *nn.Params, rec *startRecord) (_ *teachers, err error) {
	t := &teachers{}
	if len(s.Experiment.Teacher.From) == 0 {
		return t, nil
	}
	defer func() {
		if err != nil {
			err = cli.BadInput(errors.Join(err, t.Close()))
		}
	}()
	var errs []error
	for _, from := range s.Experiment.Teacher.From {
		prog, digest, err := s.openTeacher(from, d, p, rec)
		if err != nil {
			errs = append(errs, fmt.Errorf("teacher.from: %w", err))
			continue
		}
		t.progs = append(t.progs, prog)
		t.records = append(t.records, teacherRecord{from, digest})
	}
	if len(errs) > 0 {
		return t, errors.Join(errs...)
	}
	var members []train.Scorer
	for _, prog := range t.progs {
		members = append(members, prog)
	}
	e, err := train.NewEnsemble(s.Experiment.Teacher.Mode, members...)
	if err != nil {
		return t, err
	}
	t.Teacher = e
	return t, nil
}

func (s *Session) openTeacher(from string, d *data.Splits, p *nn.Params, rec *startRecord) (*models.Program, string, error) {
	if from == configs.Self {
		if rec == nil {
			return nil, "", errors.New("self stands for the weights that training starts from, and there are none but fresh ones; set init.from")
		}
		self, err := clone(p)
		if err != nil {
			return nil, "", err
		}
		prog, err := models.Compile(s.Model, self, d.Schema, models.CompileOptions{Batch: s.Experiment.Train.BatchSize})
		return prog, rec.Digest, err
	}
	if sameDir(from, s.Dir) {
		return nil, "", fmt.Errorf("%s: is the directory of this run; give the new run another one with --run", from)
	}
	e, m, err := readRun(from, nil)
	if err != nil {
		return nil, "", err
	}
	have, _ := task.Registry.NameOf(e.Task)
	if want, _ := task.Registry.NameOf(s.Task); have != want {
		return nil, "", fmt.Errorf("%s: was trained for %s, this run is for %s", from, have, want)
	}
	if d.Map == nil || m.Digest() != d.Map.Digest() {
		return nil, "", fmt.Errorf("%s: reads rows with another feature map than this run, so that ids mean other tokens to it; "+
			"take runs of one map, or start from such a run (init.from with init.features: run), whose map is this run's then", from)
	}
	prog, q, err := program(e, from, d.Schema, s.Experiment.Train.BatchSize)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", from, err)
	}
	return prog, digestOf(q), nil
}

// clone returns parameters with values of their own.
func clone(p *nn.Params) (*nn.Params, error) {
	out := nn.NewParams(p.Seed)
	for _, q := range p.All() {
		c := *q
		c.Shape, c.Data = slices.Clone(q.Shape), slices.Clone(q.Data)
		if err := out.Add(&c); err != nil {
			return nil, err
		}
	}
	return out, nil
}
