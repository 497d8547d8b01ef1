package table

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/bound"
)

// grid is the content of a table file that has rows: methods by data sets, models and metrics, over pairs of runs.
type grid struct {
	Title    string    `yaml:"title,required"`    // what the table shows
	About    string    `yaml:"about"`             // what a reader must know, below the title
	Runs     string    `yaml:"runs"`              // directory of the runs and of what is kept of them
	Out      string    `yaml:"out"`               // JSON file of the result of the full size; empty: none
	Set      []string  `yaml:"set"`               // overrides of every config
	Datasets []dataset `yaml:"datasets,required"` // the table has a column for each of them with each of the models
	Models   []variety `yaml:"models"`            // empty: the configs' own
	Metrics  []string  `yaml:"metrics,required"`  // on test rows; of those that a column has, the first one is tested
	Rows     []method  `yaml:"rows,required"`     // of each column
	Costs    bool      `yaml:"costs"`             // show parameters, multiply-adds and times, too
	Gap      bool      `yaml:"gap"`               // show the share of the gap from the best parent to one model on all rows
	Quick    size      `yaml:"quick"`             // minutes: shows that everything runs
	Full     size      `yaml:"full"`              // what the results are from
}

// dataset is what a column is about.
type dataset struct {
	Name    string   `yaml:"name,required"`
	Config  string   `yaml:"config"`   // of cmd/cki; not needed where every row has a config of its own
	Set     []string `yaml:"set"`      // overrides
	Needs   []string `yaml:"needs"`    // files or globs without which there is no such data
	StandIn []string `yaml:"stand_in"` // overrides in place of missing files; empty: the columns are left out
	Quick   []string `yaml:"quick"`    // overrides of the quick size, where the files are there
	Large   bool     `yaml:"large"`    // too large for the quick size, which has the stand-in even if the files are there
	Models  []string `yaml:"models"`   // names of the models that this data is for; empty: all
}

// variety is a model, or a setting of several, which columns have.
type variety struct {
	Name  string   `yaml:"name,required"`
	Set   []string `yaml:"set"`   // overrides
	Quick []string `yaml:"quick"` // overrides of the quick size
}

// method is a row of the table. It has one of row, train, ensemble and best.
type method struct {
	Label string `yaml:"label"` // what the table calls it; empty: its row, or its name
	Name  string `yaml:"name"`  // by which other rows name it

	Row compare.RowName `yaml:"row"` // of the comparison of the merge
	Set []string        `yaml:"set"` // overrides: with some, the row is of a merge of its own, or of that training

	Quick []string `yaml:"quick"` // overrides of the quick size, behind those

	Train    string   `yaml:"train"`    // config of a training; {x} in an override is the run of the row that is called x
	Ensemble []string `yaml:"ensemble"` // rows of trainings whose mean logits it is
	Best     []string `yaml:"best"`     // rows of trainings of which it is the best on validation: what others are compared with
}

// size is how much is made.
type size struct {
	Seeds    int      `yaml:"seeds"`    // pairs of runs, with seeds 1, 2, ...
	Set      []string `yaml:"set"`      // overrides
	Datasets []string `yaml:"datasets"` // names of those that are made; empty: all
	Models   []string `yaml:"models"`   // names of those that are made; empty: all
	Without  []string `yaml:"without"`  // labels of rows that are left out
}

// label returns what the table calls the row.
func (m *method) label() string {
	switch {
	case m.Label != "":
		return m.Label
	case m.Name != "":
		return m.Name
	}
	return string(m.Row)
}

// Validate reports mistakes of one row.
func (m *method) Validate() error {
	kinds := 0
	for _, is := range []bool{m.Row != "", m.Train != "", len(m.Ensemble) > 0, len(m.Best) > 0} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return registry.Field("row", "a row is one of row, train, ensemble and best")
	case m.Row != "" && m.Row != rowPassed && !compare.KnownRow(m.Row):
		return registry.Field("row", "no comparison has such a row; want one such as %q (cki/compare/row.go has all)", compare.RowCKI)
	case m.Row == "" && m.label() == "":
		return registry.Field("name", "is missing: a row needs a name or a label")
	}
	return nil
}

// Validate reports mistakes of one size.
func (s *size) Validate() error {
	if s.Seeds < 1 {
		return registry.Field("seeds", "must be at least 1")
	}
	return nil
}

// Validate reports mistakes that concern several keys.
func (g *grid) Validate() error {
	var errs []error
	add := func(key, text string, args ...any) { errs = append(errs, registry.Field(key, text, args...)) }
	for key, n := range map[string]int{"datasets": len(g.Datasets), "metrics": len(g.Metrics), "rows": len(g.Rows)} {
		if n == 0 {
			add(key, "is empty")
		}
	}
	twice := func(key string, names []string) {
		for i, n := range names {
			if slices.Contains(names[:i], n) {
				add(key, "two are called %q", n)
			}
		}
	}
	twice("metrics", g.Metrics)
	names := func(list []variety) (out []string) {
		for _, v := range list {
			out = append(out, v.Name)
		}
		return out
	}
	models, sets, labels, named := names(g.Models), []string{}, []string{}, []string{}
	for _, d := range g.Datasets {
		sets = append(sets, d.Name)
		for _, m := range d.Models {
			if !slices.Contains(models, m) {
				add("datasets", "%s: there is no model %q", d.Name, m)
			}
		}
	}
	trained := map[string]bool{}
	for _, m := range g.Rows {
		labels = append(labels, m.label())
		if m.Name != "" {
			named = append(named, m.Name)
		}
		for _, other := range slices.Concat(m.Ensemble, m.Best) {
			if !trained[other] {
				add("rows", "%s: there is no row of a training before it that is called %q", m.label(), other)
			}
		}
		trained[m.Name] = m.Train != ""
		for _, d := range g.Datasets {
			if m.Row != "" && d.Config == "" {
				add("datasets", "%s: config is missing: the row %s is of a merge", d.Name, m.label())
			}
		}
	}
	twice("datasets", sets)
	twice("models", models)
	twice("rows", labels)
	twice("rows", named)
	for key, s := range map[string]size{"quick": g.Quick, "full": g.Full} {
		for _, list := range []struct{ want, have []string }{{s.Datasets, sets}, {s.Models, models}, {s.Without, labels}} {
			for _, n := range list.want {
				if !slices.Contains(list.have, n) {
					add(key, "there is no %q", n)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// hasSection reports whether a file has a section, such as rows:.
func hasSection(src []byte, name string) bool {
	for line := range strings.Lines(string(src)) {
		if strings.HasPrefix(line, name) {
			return true
		}
	}
	return false
}

// readGrid reads a table file that has rows, strictly. It returns nil if the file has none.
func readGrid(path string) (*grid, error) {
	src, err := bound.ReadFile(path, bound.Config)
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	if !hasSection(src, "rows:") {
		return nil, nil
	}
	p := &registry.Problems{File: path}
	g := &grid{Runs: filepath.Join("runs", "tables", "cells"), Costs: true, Quick: size{Seeds: 2}, Full: size{Seeds: 5}}
	root := registry.Parse(src, p)
	if p.Len() == 0 {
		registry.DecodeStruct(root, g, p, "")
	}
	return g, p.Err()
}
