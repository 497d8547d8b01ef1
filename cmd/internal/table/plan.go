package table

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cmd/internal/origin"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/run"
)

// asked is what the command line asks of a table.
type asked struct {
	full bool
	data string   // directory in which data sets are looked for before datasets/; may be empty
	set  []string // overrides of every config
	jobs int      // cells that are made at once

	datasets, models []string // names of those that are made, of the size's; empty: all
}

// gridColumn is a data set with a model.
type gridColumn struct {
	dataset *dataset
	model   *variety // nil for the config's own
	standIn bool     // the files are not there
	cells   [][]*cell
}

// plan is a table's columns, and the cells that their rows are from.
type plan struct {
	grid    *grid
	size    *size
	rows    []*method
	columns []*gridColumn
	leftOut []string // names of the data sets that are not there and have no stand-in
	cells   []*cell  // distinct; one stands behind those that it needs
}

// cell is what is made at once for one pair of runs: a merge with its comparison, a training or the evaluation of an ensemble. Its
// identity is that of its config and of the contents of the files that the config reads, wherever they lie.
type cell struct {
	kind    string // see kinds
	id      string
	seed    int
	config  string
	set     []string
	e       *configs.Experiment // nil for an ensemble; cells share what it points to
	fresh   func() (*configs.Experiment, error)
	digest  string  // of e with the seed 1
	inputs  string  // of the contents of its files
	making  string  // what decides the parents of a merge
	dir     string  // of its run; empty for an ensemble
	members []*cell // of an ensemble, or trainings that one starts from
	stored  *stored // what is known of it; nil until it is made
}

// The kinds of cells.
const (
	kindMerge    = "merge"
	kindTrain    = "train"
	kindEnsemble = "ensemble"
)

// plan finds the data and reads all configs, so that a mistake in the last one shows before anything is made.
func (g *grid) plan(a asked) (*plan, error) {
	p := &plan{grid: g, size: &g.Quick}
	if a.full {
		p.size = &g.Full
	}
	for i := range g.Rows {
		if !slices.Contains(p.size.Without, g.Rows[i].label()) {
			p.rows = append(p.rows, &g.Rows[i])
		}
	}
	if err := g.knows(a); err != nil {
		return nil, err
	}
	among := func(list []string, name string) bool { return len(list) == 0 || slices.Contains(list, name) }
	b := &planner{plan: p, asked: a, at: map[string]*cell{}, loads: map[string]*loaded{}, sums: origin.Checksums{}}
	for i := range g.Datasets {
		d := &g.Datasets[i]
		if !among(p.size.Datasets, d.Name) || !among(a.datasets, d.Name) {
			continue
		}
		missing := b.missing(d) || d.Large && !a.full
		if missing && len(d.StandIn) == 0 {
			p.leftOut = append(p.leftOut, d.Name)
			continue
		}
		models := []*variety{nil}
		if len(g.Models) > 0 {
			models = nil
			for k := range g.Models {
				if m := &g.Models[k]; among(p.size.Models, m.Name) && among(d.Models, m.Name) && among(a.models, m.Name) {
					models = append(models, m)
				}
			}
		}
		for _, m := range models {
			c := &gridColumn{dataset: d, model: m, standIn: missing}
			p.columns = append(p.columns, c)
			b.column(c)
		}
	}
	return p, errors.Join(b.errs...)
}

// knows reports names of data sets and models that were asked for and that the file does not have.
func (g *grid) knows(a asked) error {
	var errs []error
	sets, models := make([]string, len(g.Datasets)), make([]string, len(g.Models))
	for i, d := range g.Datasets {
		sets[i] = d.Name
	}
	for i, m := range g.Models {
		models[i] = m.Name
	}
	for _, c := range []struct {
		flag       string
		want, have []string
	}{{"dataset", a.datasets, sets}, {"model", a.models, models}} {
		for _, name := range c.want {
			switch {
			case len(c.have) == 0:
				errs = append(errs, fmt.Errorf("table: --%s: the file names no %ss", c.flag, c.flag))
			case !slices.Contains(c.have, name):
				errs = append(errs, fmt.Errorf("table: --%s %q: want one of %q", c.flag, name, c.have))
			}
		}
	}
	return errors.Join(errs...)
}

// planner makes a plan.
type planner struct {
	*plan
	asked asked
	at    map[string]*cell // by identity
	loads map[string]*loaded
	sums  origin.Checksums
	errs  []error
}

// column plans the cells of a column: for every row, one for each seed. After a mistake it stops, since others are likely to be the same.
func (b *planner) column(c *gridColumn) {
	c.cells = make([][]*cell, len(b.rows))
	for seed := 1; seed <= b.size.Seeds; seed++ {
		named := map[string]*cell{}
		for i, m := range b.rows {
			x, err := b.cell(c, m, seed, named)
			if err != nil {
				b.errs = append(b.errs, fmt.Errorf("table: %s, row %s: %w", c.name(), m.label(), err))
				return
			}
			if m.Name != "" {
				named[m.Name] = x
			}
			c.cells[i] = append(c.cells[i], x)
		}
	}
}

// cell plans what a row is from; nil for the best of other rows.
func (b *planner) cell(c *gridColumn, m *method, seed int, named map[string]*cell) (*cell, error) {
	x := &cell{kind: kindMerge, seed: seed, config: c.dataset.Config}
	var own []string
	switch {
	case len(m.Best) > 0:
		return nil, nil
	case len(m.Ensemble) > 0:
		x.kind, x.config = kindEnsemble, ""
		for _, n := range m.Ensemble {
			x.members = append(x.members, named[n])
			x.inputs += named[n].id + " "
		}
		x.digest = origin.Short(x.inputs)
	case m.Train != "":
		x.kind, x.config = kindTrain, m.Train
		for _, s := range b.overrides(m) {
			for _, name := range slices.Sorted(maps.Keys(named)) {
				if other := named[name]; other != nil && strings.Contains(s, "{"+name+"}") {
					s = strings.ReplaceAll(s, "{"+name+"}", filepath.ToSlash(other.dir))
					x.members = append(x.members, other)
				}
			}
			own = append(own, s)
		}
	case len(b.overrides(m)) > 0:
		var quoted []string
		for _, r := range b.sharing(m) {
			quoted = append(quoted, strconv.Quote(string(r)))
		}
		own = append(slices.Clone(b.overrides(m)), "merge.rows=["+strings.Join(quoted, ", ")+"]")
	}
	if x.kind != kindEnsemble {
		if err := b.load(x, c, own); err != nil {
			return nil, err
		}
	}
	x.id = fmt.Sprintf("%s-%s-%d", x.digest, origin.Short(x.inputs)[:8], seed)
	if same := b.at[x.id]; same != nil {
		return same, nil
	}
	if x.kind != kindEnsemble {
		x.dir = filepath.Join(b.grid.Runs, x.id)
	}
	b.at[x.id] = x
	b.cells = append(b.cells, x)
	return x, nil
}

// overrides returns a row's own overrides, in the size that is made.
func (b *planner) overrides(m *method) []string {
	if b.asked.full {
		return m.Set
	}
	return slices.Concat(m.Set, m.Quick)
}

// sharing returns the comparison's rows that have the same overrides as m, and so are from one merge.
func (b *planner) sharing(m *method) (out []compare.RowName) {
	for _, other := range b.rows {
		if other.Row != "" && slices.Equal(b.overrides(other), b.overrides(m)) && !slices.Contains(out, other.Row) {
			out = append(out, other.Row)
		}
	}
	slices.Sort(out)
	return out
}

// loaded is a config with its overrides, for any seed.
type loaded struct {
	e                      *configs.Experiment
	fresh                  func(seed int) (*configs.Experiment, error) // reads it again
	digest, inputs, making string                                      // of e with the seed 1
}

// load reads the config of a cell, with the overrides own behind those of the table.
func (b *planner) load(x *cell, c *gridColumn, own []string) error {
	d := c.dataset
	set := slices.Concat(b.grid.Set, d.Set)
	switch {
	case c.standIn:
		set = append(set, d.StandIn...)
	case !b.asked.full:
		set = append(set, d.Quick...)
	}
	if c.model != nil {
		set = append(set, c.model.Set...)
		if !b.asked.full {
			set = append(set, c.model.Quick...)
		}
	}
	set = append(set, b.size.Set...)
	x.set = append(append(set, own...), b.asked.set...)
	key := strings.Join(append([]string{x.kind, x.config}, x.set...), "\n")
	l := b.loads[key]
	if l == nil {
		var err error
		if l, err = b.read(x); err != nil {
			return err
		}
		b.loads[key] = l
	}
	e := *l.e
	e.Seed = uint64(x.seed)
	x.fresh = func() (*configs.Experiment, error) { return l.fresh(x.seed) }
	x.e, x.digest, x.inputs, x.making = &e, l.digest, l.inputs, l.making
	if x.making != "" {
		x.making += fmt.Sprintf("-%d-%s", x.seed, origin.Short(x.inputs)[:8])
	}
	return nil
}

// read reads the config of a cell with its overrides.
func (b *planner) read(x *cell) (*loaded, error) {
	set := append(slices.Clone(x.set), "seed=1")
	if b.asked.jobs > 1 {
		set = append(set, "threads=1")
	}
	read := configs.Load
	if x.kind == kindMerge {
		read = configs.LoadMerge
	}
	l := &loaded{}
	e, err := read(x.config, set)
	if err == nil && e.Model == nil {
		err = fmt.Errorf("%s: has no model and data, so its merge cannot be evaluated", x.config)
	}
	if err != nil {
		return nil, err
	}
	if l.digest, err = e.Digest(); err != nil { // before files are looked for elsewhere
		return nil, err
	}
	if x.kind == kindMerge {
		if l.making, err = job.Making(e); err != nil {
			return nil, err
		}
	}
	inputs, err := e.Inputs()
	if err != nil {
		return nil, err
	}
	config, at := x.config, b.located(inputs)
	l.fresh = func(seed int) (*configs.Experiment, error) {
		e, err := read(config, slices.Concat(set, at))
		if err == nil {
			e.Seed = uint64(seed)
		}
		return e, err
	}
	if len(at) > 0 {
		if e, err = l.fresh(1); err != nil {
			return nil, err
		}
	}
	l.e = e
	for _, in := range inputs {
		if strings.HasPrefix(filepath.Clean(in.Path), filepath.Clean(b.grid.Runs)+string(filepath.Separator)) {
			continue // the run of another cell, whose identity is its name
		}
		sum, err := b.sums.Of(b.locate(in.Path))
		if err != nil {
			return nil, err
		}
		l.inputs += sum + " "
	}
	return l, nil
}

// The directories that configs name.
const (
	datasetsDir   = "datasets/"
	pretrainedDir = "pretrained/"
)

// locate returns where a file or a glob that a config names is: in the directory that the command names, or where the config says.
func (b *planner) locate(path string) string {
	slashed := filepath.ToSlash(path)
	for _, prefix := range []string{datasetsDir, pretrainedDir} {
		if rest, ok := strings.CutPrefix(slashed, prefix); ok && b.asked.data != "" {
			if at := filepath.Join(b.asked.data, filepath.FromSlash(rest)); there(at) {
				return at
			}
		}
	}
	return path
}

// located returns overrides of those keys whose files are elsewhere than the config says.
func (b *planner) located(inputs []run.Input) (set []string) {
	var keys []string
	at, moved := map[string][]string{}, map[string]bool{}
	for _, in := range inputs {
		if len(at[in.Key]) == 0 {
			keys = append(keys, in.Key)
		}
		path := b.locate(in.Path)
		at[in.Key], moved[in.Key] = append(at[in.Key], strconv.Quote(path)), moved[in.Key] || path != in.Path
	}
	for _, k := range keys {
		switch {
		case !moved[k]:
		case len(at[k]) == 1:
			set = append(set, k+"="+at[k][0])
		default:
			set = append(set, k+"=["+strings.Join(at[k], ", ")+"]")
		}
	}
	return set
}

// missing reports whether a file that a data set needs is not there.
func (b *planner) missing(d *dataset) bool {
	return slices.ContainsFunc(d.Needs, func(path string) bool { return !there(b.locate(path)) })
}

// there reports whether there is a file of that name, or one that the glob matches.
func there(pattern string) bool {
	if _, err := os.Stat(pattern); err == nil {
		return true
	}
	list, err := filepath.Glob(pattern)
	return err == nil && len(list) > 0
}

// name returns what messages call a column.
func (c *gridColumn) name() string {
	name := c.dataset.Name
	if c.standIn {
		name += " (synthetic stand-in)"
	}
	if c.model != nil {
		name += ", " + c.model.Name
	}
	return name
}
