package figures

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/splice-ml/splice/cki/assess"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/regime"
	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/configs/registry"
)

// limit is the figure of the training limit: one model that is trained longer and longer, against merges of several with a training after
// it, by all the passes over the training rows that each took.
type limit struct {
	Config   string   `yaml:"config,required"` // of cmd/cki, whose model and data are trained
	Times    []int    `yaml:"times,required"`  // lengths of the one run, in train.epochs, at least two; each is a run of its own with its schedule
	Finetune []int    `yaml:"finetune"`        // epochs of the training after the merges
	Merges   []merged `yaml:"merges,required"` // merges of parents that are trained train.epochs each
}

// merged is a merge.
type merged struct {
	Name string   `yaml:"name,required"` // in the legend
	Set  []string `yaml:"set"`           // overrides
}

// Validate reports empty lists.
func (l *limit) Validate() error {
	var errs []error
	if len(l.Times) < 2 {
		errs = append(errs, registry.Field("times", "give at least two"))
	}
	for _, n := range l.Times {
		if n < 1 {
			errs = append(errs, registry.Field("times", "must be at least 1"))
		}
	}
	for _, n := range l.Finetune {
		if n < 1 {
			errs = append(errs, registry.Field("finetune", "must be at least 1"))
		}
	}
	if len(l.Merges) == 0 {
		errs = append(errs, registry.Field("merges", "is empty"))
	}
	return errors.Join(errs...)
}

func (l *limit) name() string { return "limit" }

// alone turns off what a comparison has beside the parents and the merge.
var alone = []string{"merge.controls=false", "merge.guard=false", "merge.report=false"}

func (l *limit) cells(m *maker, ask asker) error {
	e, err := m.cell(true, l.Config, []string{"merge.controls=false"}, 1)
	if err != nil {
		return err
	}
	epochs := e.e.Train.Epochs
	delete(m.known, e.id) // nobody makes it
	m.cells = m.cells[:len(m.cells)-1]
	for _, k := range l.Times {
		if err := ask(false, l.Config, fmt.Sprintf("train.epochs=%d", k*epochs)); err != nil {
			return err
		}
	}
	for _, x := range l.Merges {
		for _, n := range l.lengths() {
			if err := ask(true, l.Config, append(append(append([]string{}, alone...), x.Set...), fmt.Sprintf("merge.finetune.epochs=%d", n))...); err != nil {
				return err
			}
		}
	}
	return nil
}

// lengths returns the epochs after a merge. A merge without training is a row of each.
func (l *limit) lengths() []int {
	if len(l.Finetune) == 0 {
		return []int{0}
	}
	return l.Finetune
}

func (l *limit) draw(_ *maker, got [][]*cell) (*figure.Figure, error) {
	first := got[0][0]
	metric := first.stored.Metric
	p := &figure.Panel{X: figure.Axis{Label: "passes over the training rows, of all trainings together"}, Y: figure.Axis{Label: "test " + metric}}
	f := &figure.Figure{Title: "Training longer, and merging: quality by compute", Panels: []*figure.Panel{p}}
	one := &figure.Series{Name: "one run, each length with its own schedule", Line: true}
	for _, seeds := range got[:len(l.Times)] {
		y, err := values(seeds, "", metric)
		if err != nil {
			return nil, err
		}
		one.Points = append(one.Points, figure.Over(float64(seeds[0].e.Train.Epochs), y))
	}
	p.Series = append(p.Series, one)
	rest := got[len(l.Times):]
	for i, x := range l.Merges {
		s := &figure.Series{Name: x.Name, Line: true}
		for k, n := range l.lengths() {
			seeds := rest[i*len(l.lengths())+k]
			passes, err := passesOf(seeds[0])
			if err != nil {
				return nil, err
			}
			if k == 0 {
				y, err := values(seeds, compare.RowMerge, metric)
				if err != nil {
					return nil, err
				}
				s.Points = append(s.Points, withLabel(figure.Over(passes, y), "merge alone"))
			}
			if n == 0 {
				continue
			}
			y, err := values(seeds, compare.RowMergeTrained, metric)
			if err != nil {
				return nil, err
			}
			s.Points = append(s.Points, withLabel(figure.Over(passes+float64(n), y), fmt.Sprintf("+ %d epochs", n)))
		}
		p.Series = append(p.Series, s)
	}
	f.About = []string{"A merge's passes are those of all parents, of what they branch from, of the assessors' learning and of the training after it. Early stops are not taken off."}
	return f, nil
}

func withLabel(p figure.Point, label string) figure.Point {
	p.Label = label
	return p
}

// passesOf returns the passes over the training rows that the parents of a merge and the merge itself take.
func passesOf(x *cell) (float64, error) {
	epochs := float64(x.e.Train.Epochs)
	var passes float64
	switch r := x.e.Merge.Regime.(type) {
	case regime.Branch:
		if r.Steps > 0 {
			return 0, errors.New("the passes of a trunk of steps are not known: set merge.regime.epochs in place of steps")
		}
		passes = float64(r.Count)*epochs + float64(cmp.Or(r.Epochs, 1))
	case regime.Independent:
		passes = float64(r.Count) * epochs
	case regime.SharedInit:
		passes = float64(r.Count) * epochs
	default:
		return 0, fmt.Errorf("the passes of parents by regime %T are not known: want branch, independent or shared_init", r)
	}
	if c, ok := x.e.Merge.Method.(assess.CKI); ok {
		passes += float64(c.Train.Epochs)
	}
	return passes, nil
}
