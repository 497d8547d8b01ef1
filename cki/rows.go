package cki

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
)

// method returns a registered method: its defaults, with options as YAML, such as "{rows: counts}", laid over them.
func method(name, options string) (Method, error) {
	p := &registry.Problems{File: "method " + name}
	src := "type: " + name
	if options != "" {
		src += "\n" + options
	}
	m := Registry.Decode(registry.Parse([]byte(src+"\n"), p), p, "")
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("cki: %w", err)
	}
	return m, nil
}

// all selects every tensor.
func all(string) bool { return true }

// merged adds the row of a merge.
func (s *story) merged(ctx context.Context, name, note string, members []*Member, sel func(string) bool, m Method) error {
	begin := time.Now()
	p, err := s.merge(ctx, name, members, sel, m)
	if err != nil {
		return err
	}
	return s.row(ctx, name, note, p, begin, 0)
}

// tuned adds the row of a training from the model of another row.
func (s *story) tuned(ctx context.Context, name, note, from string, f Finetune) error {
	if f.Epochs == 0 {
		return nil
	}
	begin, start := time.Now(), s.models[from]
	for _, t := range s.tunings {
		if reflect.DeepEqual(t.f, f) && equal(t.start, start, all) { // the same training: its model is the same, bit for bit
			return s.row(ctx, name, note, t.params, begin.Add(-t.seconds), t.steps)
		}
	}
	p, steps, err := s.tune(ctx, name, start, s.base, f)
	if err != nil {
		return err
	}
	s.tunings = append(s.tunings, tuning{start, f, p, steps, time.Since(begin)})
	return s.row(ctx, name, note, p, begin, steps)
}

// tuning is a training of the base's rows that a row of the comparison made.
type tuning struct {
	start   *nn.Params
	f       Finetune
	params  *nn.Params
	steps   int64
	seconds time.Duration
}

// equal reports whether parameters of one model, those that of names, have equal values, bit for bit.
func equal(a, b *nn.Params, of func(name string) bool) bool {
	for _, q := range a.All() {
		if !of(q.Name) {
			continue
		}
		r := b.Get(q.Name)
		if r == nil || !slices.EqualFunc(q.Data, r.Data, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }) {
			return false
		}
	}
	return true
}

// heldOut are the options of gates that start where counts put them and learn on four fifths of the validation rows, until the
// rest says stop.
const heldOut = `perspective: local
granularity: unit
tables: row
start: counts
prior: 1
train: {rows: valid, share: 0.8, epochs: 40, learning_rate: 0.05, batch_size: 1024, patience: 3}`

// published returns the options of the published method: assessors alone learn, for some epochs; its form for text is another one.
func (s *story) published(epochs int) string {
	form := "recommendation"
	if s.Data.Schema.Text != nil {
		form = "language"
	}
	return fmt.Sprintf("form: %s\ntrain: {epochs: %d}", form, epochs)
}

// publishedEpochs are what the assessors of the comparison's rows learn for.
const publishedEpochs = 3

// others adds the rows of other ways to merge the same parents.
func (s *story) others(ctx context.Context) error {
	type entry struct {
		name, note, method, options string
		members                     []*Member
		sel                         func(string) bool
	}
	base := s.plain[:1]
	rows := []entry{
		{"average", "all weights", "average", "", s.plain, all},
		{"average of heads", "the base's encoder", "average", "", s.plain, s.head},
		{"counts", "embedding rows by how often each parent trained them", "average", "rows: counts", s.plain, all},
		{"greedy soup of the parents", "", "soup", "", s.plain, all},
		{"filter grafting", "heads; entropy gate alone", "graft", "", s.plain, s.head},
		{"pruning, signed", "heads; every weight <= 0.02 is zero, as published", "prune", "", base, s.head},
		{"pruning, magnitude", "heads", "prune", "form: magnitude", base, s.head},
		{"CKI untrained", "heads; assessors at their start", "cki", s.published(0), s.plain, s.head},
		{"CKI", "heads; as published", "cki", s.published(publishedEpochs), s.plain, s.head},
	}
	if s.o.Align.Match != "none" {
		rows = append(rows, entry{"average, aligned", "all weights", "average", "", s.aligned, all},
			entry{"CKI, aligned", "heads; as published", "cki", s.published(publishedEpochs), s.aligned, s.head})
	}
	if s.f.Apart {
		rows = append(rows, entry{"gates", "of rows and units, learned on held-out rows from the counts on", "cki", heldOut, s.plain, all})
	}
	for _, r := range rows {
		m, err := method(r.method, r.options)
		if err != nil {
			return err
		}
		if err := s.merged(ctx, r.name, r.note, r.members, r.sel, m); err != nil {
			return err
		}
	}
	return s.tuned(ctx, "CKI + training", "", "CKI", s.hard())
}

// hard is the training after the merge without soft labels.
func (s *story) hard() Finetune {
	f := s.o.Finetune
	f.Teacher = "none"
	return f
}

// recipe adds the rows of the configured merge, its rounds and the training after it.
func (s *story) recipe(ctx context.Context) error {
	if err := s.merged(ctx, recipeRow, "the configured method", s.aligned, s.sel, s.o.Method); err != nil {
		return err
	}
	last, members := recipeRow, s.aligned
	for round := 2; round <= s.o.Rounds; round++ {
		begin := time.Now()
		var next []*Member
		var steps int64
		name := fmt.Sprintf("merge, round %d", round)
		for k, m := range members {
			p, n, err := s.tune(ctx, filepath.Join(name, parentName(k)), s.models[last], m, s.o.Finetune)
			if err != nil {
				return err
			}
			c := *m
			c.Params, c.Mixed = p, nil
			next, steps = append(next, &c), steps+n
		}
		p, err := s.merge(ctx, name, next, s.sel, s.o.Method)
		if err != nil {
			return err
		}
		if err := s.row(ctx, name, "each parent trained on from the merge, on its own rows", p, begin, steps); err != nil {
			return err
		}
		last, members = name, next
	}
	s.out.Result, s.out.Merged = s.models[recipeRow], s.aligned
	for _, m := range s.plain {
		s.out.Counts = sum(s.out.Counts, m.Counts)
	}
	note := ""
	if t := s.o.Finetune.Teacher; t != "none" {
		note = "soft labels: " + t
	}
	return s.tuned(ctx, "merge + training", note, recipeRow, s.o.Finetune)
}

// controls adds the rows that tell a merge's gain from that of training on.
func (s *story) controls(ctx context.Context) error {
	f := s.o.Finetune
	if err := s.tuned(ctx, "base + training", "control: the same training", "base", f); err != nil {
		return err
	}
	if err := s.tuned(ctx, "average + training", "control: the same training", "average", f); err != nil {
		return err
	}
	if f.Teacher != "none" {
		if err := s.tuned(ctx, "merge + training, hard labels", "control: no teacher", recipeRow, s.hard()); err != nil {
			return err
		}
	}
	if f.Teacher == "parents" {
		f.Teacher = "self"
		if err := s.tuned(ctx, "merge + training, self-teacher", "control: its own soft labels", recipeRow, f); err != nil {
			return err
		}
		f.Teacher = "parents"
	}
	half, err := method("scale", "factor: 0.5")
	if err != nil {
		return err
	}
	p, err := s.merge(ctx, "head x 0.5", s.plain[:1], s.head, half)
	if err != nil {
		return err
	}
	s.models["head x 0.5"] = p
	if err := s.tuned(ctx, "head x 0.5 + training", "control: restart of the base's head", "head x 0.5", f); err != nil {
		return err
	}
	if p, err = s.permuted(ctx); err != nil {
		return err
	}
	s.models["permuted"] = p
	if err := s.tuned(ctx, "permuted average + training", "control: the base averaged with its own permuted copy", "permuted", f); err != nil {
		return err
	}
	begin := time.Now()
	m, err := s.longer(ctx, "longer training", len(s.plain))
	if err != nil {
		return err
	}
	if err := s.row(ctx, "longer training", fmt.Sprintf("control: %d times the epochs", len(s.plain)), m.Params, begin, m.Steps); err != nil {
		return err
	}
	if err := s.own(ctx); err != nil {
		return err
	}
	if !s.f.Apart {
		return nil
	}
	begin = time.Now()
	if m, err = s.all(ctx, "all data"); err != nil {
		return err
	}
	return s.row(ctx, "all data", "upper bound: one model on all rows", m.Params, begin, m.Steps)
}

// permuted returns the base averaged, as far as tensors are merged, with a copy of itself whose hidden units are permuted.
func (s *story) permuted(ctx context.Context) (*nn.Params, error) {
	c := *s.base
	c.Params = clone(s.base.Params)
	if err := align.Shuffle(s.Model, s.Data.Schema, c.Params, rng.Key(s.Seed, "permuted")); err != nil {
		return nil, err
	}
	m, err := method("average", "")
	if err != nil {
		return nil, err
	}
	return s.merge(ctx, "permuted average", []*Member{s.base, &c}, s.sel, m)
}

func sum(a, b Counts) Counts {
	if a == nil {
		return b
	}
	out := Counts{}
	for name, x := range a {
		y := b[name]
		if len(y) != len(x) {
			continue
		}
		z := make([]int64, len(x))
		for i := range x {
			z[i] = x[i] + y[i]
		}
		out[name] = z
	}
	return out
}

// guard chooses what is passed on: the best of the merge and what was trained from it on validation, or the best parent if
// that is better and the guard is on.
func (s *story) guard() {
	o := s.out
	at := -1
	for i, r := range o.Rows {
		if r.Name == recipeRow || r.Name == "merge + training" || s.isRound(r.Name) {
			if at < 0 || s.Better(r.Valid[s.Monitor()], o.Rows[at].Valid[s.Monitor()]) {
				at = i
			}
		}
	}
	parent := s.rowIndex["best parent"]
	if s.o.Guard && s.Better(o.Rows[parent].Valid[s.Monitor()], o.Rows[at].Valid[s.Monitor()]) {
		at, o.Guarded = parent, true
	}
	o.Passed, o.Params = o.Rows[at].Name, s.models[o.Rows[at].Name]
}

func (s *story) isRound(name string) bool {
	var n int
	_, err := fmt.Sscanf(name, "merge, round %d", &n)
	return err == nil
}
