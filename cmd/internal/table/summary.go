package table

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/origin"
)

// result is the JSON file of a table.
type result struct {
	Title    string          `json:"title"`
	Command  string          `json:"command"` // that makes it
	Seeds    int             `json:"seeds"`
	Made     []origin.Origin `json:"made,omitempty"` // when and on what the table was put together
	Variants []*summary      `json:"variants"`
}

// summary is one variant over its seeds.
type summary struct {
	Name      string            `json:"name"`
	Config    string            `json:"config"`
	Set       []string          `json:"set,omitempty"`
	Model     string            `json:"model,omitempty"`
	Data      string            `json:"data,omitempty"`
	Metric    string            `json:"metric"` // on the test rows
	Recipe    compare.RowName   `json:"recipe"` // the row that the others are compared with
	Synthetic bool              `json:"synthetic,omitempty"`
	Protocol  string            `json:"protocol,omitempty"` // what the metrics rank: see train.Protocol
	Digests   []string          `json:"digests"`            // by seed: of the config
	Passed    []compare.RowName `json:"passed"`             // by seed: the row whose model is passed on
	Rows      []*tabled         `json:"rows"`
}

// tabled is one row of the table, over all seeds. Differences are paired by seed.
type tabled struct {
	Name     compare.RowName            `json:"name"`
	Note     string                     `json:"note,omitempty"`
	Test     values                     `json:"test"`  // by seed
	Valid    values                     `json:"valid"` // by seed
	Mean     report.Float               `json:"mean"`  // of test
	SD       report.Float               `json:"sd"`
	Parent   *interval                  `json:"minus_best_parent,omitempty"`
	Recipe   *interval                  `json:"recipe_minus_this,omitempty"`
	Gap      *interval                  `json:"share_of_gap,omitempty"`      // of the way from the best parent to one model on all data
	Ensemble *interval                  `json:"share_of_ensemble,omitempty"` // of the gain of the ensemble of two parents over the best parent
	Metrics  map[string]report.Estimate `json:"metrics,omitempty"`           // all metrics on the test rows
	Seconds  float64                    `json:"seconds"`                     // mean
}

// values are numbers by seed. One of a metric that is undefined is NaN, and null in JSON.
type values []float64

// MarshalJSON writes the numbers, and NaN as null.
func (v values) MarshalJSON() ([]byte, error) {
	out := make([]report.Float, len(v))
	for i := range v {
		out[i] = report.Float(v[i])
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads numbers, and null as NaN.
func (v *values) UnmarshalJSON(b []byte) error {
	var in []report.Float
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*v = floats(in)
	return nil
}

// interval is a mean with its 95 % interval. The ends are null if there is no interval.
type interval struct {
	Mean report.Float `json:"mean"`
	Low  report.Float `json:"low"`
	High report.Float `json:"high"`
}

// rowPassed is a row that a table adds to those of the comparison: the model that each merge passed on.
const rowPassed compare.RowName = "passed on"

// summarise puts the seeds' comparisons together. Every seed must have the same rows.
func summarise(name string, recipe compare.RowName, tables []*compare.Table) (*summary, error) {
	first := tables[0]
	s := &summary{Name: name, Model: first.Model, Data: first.Data, Metric: first.Metric, Recipe: recipe, Synthetic: first.Synthetic, Protocol: first.Protocol}
	byName := map[compare.RowName]*tabled{}
	metrics := map[compare.RowName]map[string][]float64{}
	for i, t := range tables {
		if t.Metric != s.Metric || t.Synthetic != s.Synthetic || t.Protocol != s.Protocol {
			return nil, fmt.Errorf("table: %s: the seeds differ in their metric, in what it ranks or in whether their data are synthetic: "+
				"remove the runs and make them again", name)
		}
		s.Digests, s.Passed = append(s.Digests, t.Digest), append(s.Passed, t.Passed)
		for _, r := range append(t.Rows[:len(t.Rows):len(t.Rows)], passed(t)) {
			x := byName[r.Name]
			if x == nil {
				x = &tabled{Name: r.Name, Note: r.Note}
				byName[r.Name], metrics[r.Name] = x, map[string][]float64{}
				s.Rows = append(s.Rows, x)
			}
			if len(x.Test) != i {
				return nil, uneven(name, r.Name)
			}
			if x.Note != r.Note {
				x.Note = "" // it differs by seed
			}
			x.Test, x.Valid = append(x.Test, r.Test[t.Metric]), append(x.Valid, r.Valid[t.Metric])
			x.Seconds += r.Seconds / float64(len(tables))
			for m, v := range r.Test {
				metrics[r.Name][m] = append(metrics[r.Name][m], v)
			}
		}
	}
	for _, x := range s.Rows {
		if len(x.Test) != len(tables) {
			return nil, uneven(name, x.Name)
		}
		x.Metrics = map[string]report.Estimate{}
		for _, m := range slices.Sorted(maps.Keys(metrics[x.Name])) {
			x.Metrics[m] = report.Mean(metrics[x.Name][m])
		}
	}
	return s, s.compare(byName)
}

func uneven(variant string, row compare.RowName) error {
	return fmt.Errorf("table: %s: row %s is not in every seed, or twice in one: remove the runs and make them again", variant, row)
}

// compare fills in the rows' differences.
func (s *summary) compare(rows map[compare.RowName]*tabled) error {
	parent, all, recipe, two := rows[compare.RowBestParent], rows[compare.RowAllData], rows[s.Recipe], rows[compare.RowEnsembleOfTwo]
	if two == nil {
		two = rows[compare.RowEnsemble]
	}
	for _, x := range s.Rows {
		e := report.Mean(x.Test)
		x.Mean, x.SD = e.Mean, e.SD
		var errs [4]error
		if parent != nil && x != parent {
			x.Parent, errs[0] = difference(x, parent)
			x.Gap, errs[1] = share(x, parent, all)
			x.Ensemble, errs[2] = share(x, parent, two)
		}
		if recipe != nil && x != recipe {
			x.Recipe, errs[3] = difference(recipe, x)
		}
		for _, err := range errs {
			if err != nil {
				return fmt.Errorf("table: %s: %s: %w", s.Name, x.Name, err)
			}
		}
	}
	return nil
}

func difference(a, b *tabled) (*interval, error) {
	e, err := report.Paired(a.Test, b.Test)
	return &interval{e.Mean, report.Float(e.Low()), report.Float(e.High())}, err
}

// share returns the share of the gap from one row to another that x closes. It is nil if there is no row to go to.
func share(x, from, to *tabled) (*interval, error) {
	if to == nil {
		return nil, nil
	}
	s, err := report.GapShare(x.Test, from.Test, to.Test)
	return &interval{s.Mean, s.Low, s.High}, err
}

// passed returns the row of the model that a merge passed on.
func passed(t *compare.Table) (r compare.Row) {
	if x := t.Rows.Get(t.Passed); x != nil {
		r = *x
	}
	r.Name, r.Note, r.Seconds = rowPassed, "by the guard, on validation", 0
	return r
}

// write writes the result as JSON.
func (r *result) write(w io.Writer) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("table: %w", err)
	}
	return nil
}
