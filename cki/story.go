package cki

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
)

// Row is a model of the comparison, or an ensemble of several.
type Row struct {
	Name    string             `json:"name"`
	Note    string             `json:"note,omitempty"`
	Valid   map[string]float64 `json:"valid"`
	Test    map[string]float64 `json:"test,omitempty"`
	Seconds float64            `json:"seconds"`         // of merging and training this row, the parents' training not counted
	Steps   int64              `json:"steps,omitempty"` // optimizer steps of this row's own training
}

// Outcome is what a merge came to.
type Outcome struct {
	Rows    []Row
	Passed  string     // name of the row whose model is passed on
	Guarded bool       // the result was worse than the best parent, which is passed on in its place
	Params  *nn.Params // what is passed on
	Counts  Counts     // the sum of the parents'
	Family  *Family
	Aligned []*align.Report // by parent after the base; empty without alignment
	Stats   any             // of the method, for the report
	Merged  []*Member       // the parents as they were merged: aligned
	Result  *nn.Params      // the merge, before rounds and training
}

// recipeRow is the row of the configured merge, before further rounds and training.
const recipeRow = "merge"

// story runs one merge with its comparison.
type story struct {
	*Lab
	o        Options
	f        *Family
	sel      func(string) bool
	head     func(string) bool
	base     *Member
	plain    []*Member // not aligned
	aligned  []*Member
	models   map[string]*nn.Params // by row
	rowIndex map[string]int
	tunings  []tuning // of [story.tuned]
	out      *Outcome
	progress func(Row)
}

// Run makes the parents' comparison, the merge, the training after it and the choice of what is passed on. each, if not
// nil, hears of every row when it is done.
func Run(ctx context.Context, l *Lab, o Options, f *Family, each func(Row)) (*Outcome, error) {
	s := &story{Lab: l, o: o, f: f, base: f.Members[0], plain: f.Members, models: map[string]*nn.Params{}, rowIndex: map[string]int{}, progress: each}
	s.out = &Outcome{Family: f}
	var err error
	if s.sel, err = Selection(o.Select, Memory(s.base.Params)); err != nil {
		return nil, err
	}
	if s.head, err = nn.Match(o.Head); err != nil {
		return nil, fmt.Errorf("cki: merge.head: %w", err)
	}
	if err := s.parents(ctx); err != nil {
		return nil, err
	}
	if err := s.align(ctx); err != nil {
		return nil, err
	}
	if o.Controls {
		if err := s.others(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.recipe(ctx); err != nil {
		return nil, err
	}
	if o.Controls {
		if err := s.controls(ctx); err != nil {
			return nil, err
		}
	}
	s.guard()
	return s.out, nil
}

// row evaluates a model, unless another row has the same one, and adds it to the comparison.
func (s *story) row(ctx context.Context, name, note string, p *nn.Params, since time.Time, steps int64) error {
	r := Row{Name: name, Note: note, Seconds: time.Since(since).Seconds(), Steps: steps}
	for _, other := range s.out.Rows {
		if q := s.models[other.Name]; q != nil && equal(q, p, all) {
			r.Valid, r.Test = maps.Clone(other.Valid), maps.Clone(other.Test)
			s.models[name] = q
			s.add(r)
			return nil
		}
	}
	var err error
	if r.Valid, err = s.Evaluate(ctx, p, s.Data.Valid); err != nil {
		return fmt.Errorf("cki: %s: %w", name, err)
	}
	if s.Data.Test != nil {
		if r.Test, err = s.Evaluate(ctx, p, s.Data.Test); err != nil {
			return fmt.Errorf("cki: %s: %w", name, err)
		}
	}
	s.models[name] = p
	s.add(r)
	return nil
}

func (s *story) add(r Row) {
	s.rowIndex[r.Name] = len(s.out.Rows)
	s.out.Rows = append(s.out.Rows, r)
	if s.progress != nil {
		s.progress(r)
	}
}

// parents adds the rows of the parents and of their ensemble.
func (s *story) parents(ctx context.Context) error {
	for k, m := range s.plain {
		name, note := "base", m.Name
		if k > 0 {
			if name = "other"; len(s.plain) > 2 {
				name = fmt.Sprintf("other %d", k)
			}
		}
		if err := s.row(ctx, name, note, m.Params, time.Now(), m.Steps); err != nil {
			return err
		}
		s.out.Rows[len(s.out.Rows)-1].Seconds = m.Seconds
	}
	best := s.best(len(s.plain))
	r := s.out.Rows[best]
	r.Name, r.Note, r.Seconds, r.Steps = "best parent", "on validation: "+r.Name, 0, 0
	s.models[r.Name] = s.plain[best].Params
	s.add(r)
	return s.ensemble(ctx)
}

// ensemble adds the rows of the parents' mean logits, which cost as many models as there are parents.
func (s *story) ensemble(ctx context.Context) error {
	if len(s.plain) > 2 {
		if err := s.ensembleOf(ctx, "ensemble of two", s.plain[:2]); err != nil {
			return err
		}
	}
	return s.ensembleOf(ctx, "ensemble", s.plain)
}

func (s *story) ensembleOf(ctx context.Context, name string, members []*Member) error {
	begin := time.Now()
	r := Row{Name: name, Note: fmt.Sprintf("mean logits, %d models' cost", len(members))}
	var params []*nn.Params
	for _, m := range members {
		params = append(params, m.Params)
	}
	evaluate := func(src data.Source) (map[string]float64, error) {
		model, src, err := s.heads(ctx, src, params...)
		if err != nil {
			return nil, err
		}
		e, done, err := s.team(model, members, s.Lab.Options.BatchSize)
		if err != nil {
			return nil, err
		}
		defer done()
		m, _, err := train.Evaluate(ctx, e, src, s.Task, nil)
		return m, err
	}
	var err error
	if r.Valid, err = evaluate(s.Data.Valid); err == nil && s.Data.Test != nil {
		r.Test, err = evaluate(s.Data.Test)
	}
	if err != nil {
		return fmt.Errorf("cki: %s: %w", name, err)
	}
	r.Seconds = time.Since(begin).Seconds()
	s.add(r)
	return nil
}

// best returns the best of the first n rows on validation.
func (s *story) best(n int) int {
	at := 0
	for i := range s.out.Rows[:n] {
		if s.Better(s.out.Rows[i].Valid[s.Monitor()], s.out.Rows[at].Valid[s.Monitor()]) {
			at = i
		}
	}
	return at
}

// align makes aligned copies of the parents.
func (s *story) align(ctx context.Context) error {
	s.aligned = s.plain
	if s.o.Align.Match == "none" {
		return nil
	}
	s.aligned = []*Member{s.base}
	for _, m := range s.plain[1:] {
		c := *m
		c.Params, c.Mixed = clone(m.Merged()), nil
		r, err := align.Align(ctx, s.Model, s.Data.Schema, s.base.Merged(), c.Params, s.base.Data.Train, s.o.Align)
		if err != nil {
			return fmt.Errorf("cki: align %s: %w", m.Name, err)
		}
		s.out.Aligned = append(s.out.Aligned, r)
		s.aligned = append(s.aligned, &c)
	}
	return nil
}

// merge merges members by a method and recomputes the statistics of batch norm.
func (s *story) merge(ctx context.Context, name string, members []*Member, sel func(string) bool, m Method) (*nn.Params, error) {
	in := &Input{Select: sel, Lab: s.at(name, members[0]), Seed: rng.Key(s.Seed, "merge", name), Log: s.Log}
	for _, p := range members {
		in.Parents = append(in.Parents, p.Parent(s.Data.Map))
	}
	merged, err := m.Merge(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("cki: %s: %w", name, err)
	}
	p, err := s.NewParams(0)
	if err != nil {
		return nil, err
	}
	if err := in.Fill(merged, p); err != nil {
		return nil, fmt.Errorf("cki: %s: %w", name, err)
	}
	if merged.Stats != nil && name == recipeRow {
		s.out.Stats = merged.Stats()
	}
	if !s.o.BatchNorm {
		return p, nil
	}
	return p, in.Lab.RecomputeBatchNorm(ctx, p)
}

// at returns the Lab of one row: its own directory, and the base's training rows.
func (s *story) at(row string, base *Member) *Lab {
	l := *s.Lab
	l.Dir = filepath.Join(l.Dir, slug(row))
	l.Data = base.Data
	return &l
}

// slug returns a directory's name for a row.
func slug(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, name), "_")
}

// tune trains from start as the options of Finetune say. The model is the last one: the start and the training are
// compared as rows of their own.
func (s *story) tune(ctx context.Context, name string, start *nn.Params, base *Member, f Finetune) (*nn.Params, int64, error) {
	o := s.Lab.Options
	o.Epochs, o.MaxSteps, o.LearningRate, o.Schedule, o.Freeze, o.Patience = f.Epochs, 0, f.LearningRate, f.Schedule, f.Freeze, 0
	d, err := s.reordered(base.Data, rng.Key(s.Seed, "finetune"))
	if err != nil {
		return nil, 0, err
	}
	p := clone(start)
	fo := FitOptions{Name: "training", Params: p, Options: o, Data: d, Seed: rng.Key(s.Seed, "finetune")}
	members := s.plain
	switch f.Teacher {
	case "self":
		members = []*Member{{Name: "start", Params: clone(start)}}
		fallthrough
	case "parents":
		e, done, err := s.team(s.Model, members, o.BatchSize)
		if err != nil {
			return nil, 0, err
		}
		defer done()
		fo.Teacher, fo.Distill = e, f.Distill
	}
	r, err := s.at(name, base).Fit(ctx, fo)
	if err != nil {
		return nil, 0, err
	}
	return p, r.Steps, nil
}

// longer trains the base's recipe for k times the epochs.
func (s *story) longer(ctx context.Context, name string, k int) (*Member, error) {
	o := s.Lab.Options
	o.Epochs *= k
	o.MaxSteps *= int64(k)
	var from *nn.Params
	if s.f.Apart && s.f.Trunk != nil {
		from = s.f.Trunk.Params
	}
	return s.at(name, s.base).grow(ctx, start{name: "training", params: from, init: s.Seed, seed: s.base.Seed, data: s.base.Data, options: o})
}

func (s *story) all(ctx context.Context, name string) (*Member, error) {
	return s.at(name, s.base).grow(ctx, start{name: "training", init: s.Seed, seed: s.Seed, data: s.Data, options: s.Lab.Options})
}

// Selection returns the match of the patterns of merge.select, each of which must match one of the tensors.
func Selection(patterns []string, r Reader) (func(string) bool, error) {
	m, err := nn.Match(patterns)
	if err != nil {
		return nil, fmt.Errorf("cki: merge.select: %w", err)
	}
	var names []string
	for _, t := range r.Tensors() {
		names = append(names, t.Name)
	}
	if u := nn.Unmatched(patterns, names); len(u) > 0 {
		return nil, fmt.Errorf("cki: merge.select: no tensor matches %s; the model has %s", strings.Join(u, ", "), strings.Join(names, ", "))
	}
	return m, nil
}
