// Package compare makes a merge together with everything it must be compared with. That is the parents and their ensemble, other
// ways to merge the same parents, and controls, which tell how much of a gain comes from the merge and how much from more
// training. Each is an entry of one list. The guard chooses the model that is passed on.
package compare

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/models/nn"
)

// Outcome is the result of a merge and its comparison.
type Outcome struct {
	Rows    Rows
	Passed  RowName    // the row whose model is passed on
	Guarded bool       // the result was worse than the best parent, which is passed on instead
	Params  *nn.Params // of the model that is passed on
	Counts  cki.Counts // the sum of the parents'
	Family  *cki.Family
	Aligned []*align.Report // by parent after the base; empty without alignment
	Stats   any             // what the method adds to the report
	Merged  []*cki.Member   // the parents as they were merged: aligned
	Result  *nn.Params      // the merge, before rounds and training; nil if one model was trained in rounds
	Start   *nn.Params      // what that training started from
}

// comparison is the state of one Run.
type comparison struct {
	lab       *cki.Lab
	options   cki.Options
	family    *cki.Family
	base      *cki.Member
	aligned   []*cki.Member
	selected  func(string) bool // which tensors are merged
	head      func(string) bool // which the published method splices
	entries   []*entry          // made so far, in the order of out.Rows
	trainings []training        // see trained
	counts    cki.Counts        // of the training in rounds
	out       *Outcome
}

// entry is a row of the comparison that is to be made.
type entry struct {
	name   RowName
	note   string
	result bool // the row is the merge, or comes from it as the options say, so that it may be passed on
	always bool // every comparison has the row
	make   maker
	after  []*entry   // the rows that it starts from
	params *nn.Params // once it is made; nil for a row of several models
}

// maker makes a row and returns its model. The model is measured unless the maker has set the row's metrics. A maker may set
// other fields of the row too.
type maker func(ctx context.Context, r *Row) (*nn.Params, error)

// model returns the entry's model, for rows that start from it.
func (e *entry) model(context.Context) (*nn.Params, error) {
	if e.params == nil {
		return nil, fmt.Errorf("the row %s is not made yet", e.name)
	}
	return e.params, nil
}

// Run makes every row of the comparison, among them the configured merge and the training after it. Then it chooses the model
// that is passed on. each, if not nil, is called with every row when it is done.
func Run(ctx context.Context, l *cki.Lab, o cki.Options, f *cki.Family, each func(Row)) (*Outcome, error) {
	c := &comparison{lab: l, options: o, family: f, out: &Outcome{Family: f}}
	if o.Rounds.Train() {
		if err := c.rows(ctx, c.listRounds(), each); err != nil {
			return nil, err
		}
		if c.guard(); c.out.Passed == RowRounds {
			c.out.Counts = c.counts
		}
		return c.out, nil
	}
	c.base = f.Members[0]
	var err error
	if c.selected, err = cki.Selection(o.Select, cki.Memory(c.base.Params)); err != nil {
		return nil, err
	}
	if c.head, err = nn.Match(o.Head); err != nil {
		return nil, fmt.Errorf("cki: merge.head: %w", err)
	}
	if o.Controls && !c.hasHead() {
		l.Log.Warn("cki: merge.head matches none of the model's weights: there are no rows of the published method, which splices heads",
			"head", o.Head)
	}
	if err := c.align(ctx); err != nil {
		return nil, err
	}
	if err := c.rows(ctx, c.list(), each); err != nil {
		return nil, err
	}
	c.guard()
	return c.out, nil
}

// rows makes the rows of a list.
func (c *comparison) rows(ctx context.Context, list []*entry, each func(Row)) error {
	for _, m := range c.family.Members {
		c.out.Counts = c.out.Counts.Plus(m.Counts)
	}
	list, err := c.wanted(list)
	if err != nil {
		return err
	}
	for _, e := range list {
		r, err := c.row(ctx, e)
		if err != nil {
			return fmt.Errorf("cki: %s: %w", e.name, err)
		}
		if each != nil {
			each(*r)
		}
	}
	return nil
}

// hasHead reports whether the model has weights that merge.head matches.
func (c *comparison) hasHead() bool {
	return slices.ContainsFunc(c.base.Params.All(), func(q *nn.Param) bool { return q.Kind != nn.Buffer && c.head(q.Name) })
}

// row makes an entry and measures its model, unless another row has the same one.
func (c *comparison) row(ctx context.Context, e *entry) (*Row, error) {
	r := Row{Name: e.name, Note: e.note}
	p, err := e.make(ctx, &r)
	if err != nil {
		return nil, err
	}
	if r.Valid == nil {
		if p, err = c.measure(ctx, p, &r); err != nil {
			return nil, err
		}
	}
	e.params = p
	c.entries, c.out.Rows = append(c.entries, e), append(c.out.Rows, r)
	return &r, nil
}

// measure sets the row's metrics to those of p. It returns p, or an equal model of another row, whose metrics these are.
func (c *comparison) measure(ctx context.Context, p *nn.Params, r *Row) (*nn.Params, error) {
	for i, other := range c.entries {
		if other.params != nil && other.params.Equal(p, nil) {
			r.Valid, r.Test = maps.Clone(c.out.Rows[i].Valid), maps.Clone(c.out.Rows[i].Test)
			return other.params, nil
		}
	}
	var err error
	if r.Valid, err = c.lab.Evaluate(ctx, p, c.lab.Data.Valid); err != nil {
		return nil, fmt.Errorf("valid: %w", err)
	}
	if c.lab.Data.Test == nil {
		return p, nil
	}
	if r.Test, err = c.lab.Evaluate(ctx, p, c.lab.Data.Test); err != nil {
		return nil, fmt.Errorf("test: %w", err)
	}
	return p, nil
}

// align makes aligned copies of the parents.
func (c *comparison) align(ctx context.Context) error {
	c.aligned = c.family.Members
	if c.options.Align.Match != align.None {
		c.aligned = []*cki.Member{c.base}
		for _, m := range c.family.Members[1:] {
			moved := *m
			moved.Params, moved.Mixed = m.Merged().Clone(), nil
			r, err := align.Align(ctx, c.lab.Model, c.lab.Data.Schema, c.base.Merged(), moved.Params, c.base.Data.Train, c.options.Align)
			if err != nil {
				return fmt.Errorf("cki: align %s: %w", m.Name, err)
			}
			c.out.Aligned = append(c.out.Aligned, r)
			c.aligned = append(c.aligned, &moved)
		}
	}
	c.out.Merged = c.aligned
	return nil
}

// better reports whether row a is better than row b on the validation rows.
func (c *comparison) better(a, b *Row) bool {
	m := c.lab.Monitor()
	return c.lab.Better(a.Valid[m], b.Valid[m])
}

// guard chooses the model that is passed on: the best result on the validation rows, or the best parent if that one is better and
// the guard is on.
func (c *comparison) guard() {
	best, parent := -1, -1
	for i, e := range c.entries {
		switch {
		case e.name == RowBestParent:
			parent = i
		case e.result && (best < 0 || c.better(&c.out.Rows[i], &c.out.Rows[best])):
			best = i
		}
	}
	if c.options.Guard && parent >= 0 && c.better(&c.out.Rows[parent], &c.out.Rows[best]) {
		best, c.out.Guarded = parent, true
	}
	c.out.Passed, c.out.Params = c.entries[best].name, c.entries[best].params
}

// at returns the Lab of one row: its own directory, and the training rows of the member that it goes on from.
func (c *comparison) at(row string, m *cki.Member) *cki.Lab {
	l := *c.lab
	l.Dir = filepath.Join(l.Dir, directory(row))
	l.Data = m.Data
	return &l
}

// directory returns the name of a row's directory.
func directory(row string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, row), "_")
}

// all selects every tensor.
func all(string) bool { return true }

// timed adds the seconds that a maker takes to the row's.
func timed(m maker) maker {
	return func(ctx context.Context, r *Row) (*nn.Params, error) {
		begin := time.Now()
		p, err := m(ctx, r)
		r.Seconds += time.Since(begin).Seconds()
		return p, err
	}
}
