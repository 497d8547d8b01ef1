package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/cmd/internal/session"
	"github.com/splice-ml/splice/train"
)

// result is the JSON file of a table.
type result struct {
	Title    string     `json:"title"`
	Command  string     `json:"command"` // that makes it
	Seeds    int        `json:"seeds"`
	Variants []*summary `json:"variants"`
}

// summary is one variant over its seeds.
type summary struct {
	Name      string    `json:"name"`
	Config    string    `json:"config"`
	Set       []string  `json:"set,omitempty"`
	Metric    string    `json:"metric"` // on the test rows
	Recipe    string    `json:"recipe"` // the row that the others are compared with
	Synthetic bool      `json:"synthetic,omitempty"`
	Passed    []string  `json:"passed"` // by seed: the row whose model is passed on
	Rows      []*tabled `json:"rows"`
}

// tabled is one row over the seeds.
type tabled struct {
	Name     string    `json:"name"`
	Note     string    `json:"note,omitempty"`
	Test     []float64 `json:"test"`  // by seed
	Valid    []float64 `json:"valid"` // by seed
	Mean     float64   `json:"mean"`  // of test
	SD       float64   `json:"sd"`
	Parent   *interval `json:"minus_best_parent,omitempty"`
	Recipe   *interval `json:"recipe_minus_this,omitempty"`
	Gap      *interval `json:"share_of_gap,omitempty"`      // of the way from the best parent to one model on all data
	Ensemble *interval `json:"share_of_ensemble,omitempty"` // of the gain of the ensemble of two parents over the best parent
	Seconds  float64   `json:"seconds"`                     // mean
}

// summarise puts the seeds' comparisons together. Every seed must have the same rows.
func summarise(name, recipe string, tables []*session.Table) (*summary, error) {
	s := &summary{Name: name, Metric: tables[0].Metric, Recipe: recipe, Synthetic: tables[0].Synthetic}
	byName := map[string]*tabled{}
	for i, t := range tables {
		s.Passed = append(s.Passed, t.Passed)
		for _, r := range append(t.Rows[:len(t.Rows):len(t.Rows)], passed(t)) {
			x := byName[r.Name]
			if x == nil {
				x = &tabled{Name: r.Name, Note: r.Note}
				byName[r.Name] = x
				s.Rows = append(s.Rows, x)
			}
			if len(x.Test) != i {
				return nil, fmt.Errorf("table: %s: row %s is not in every seed: remove the runs and make them again", name, r.Name)
			}
			x.Test, x.Valid = append(x.Test, r.Test[t.Metric]), append(x.Valid, r.Valid[t.Metric])
			x.Seconds += r.Seconds / float64(len(tables))
		}
	}
	parent, all, ref := byName["best parent"], byName["all data"], byName[recipe]
	two := byName["ensemble of two"]
	if two == nil {
		two = byName["ensemble"]
	}
	if ref == nil {
		return nil, fmt.Errorf("table: %s: there is no row %q to compare with", name, recipe)
	}
	for _, x := range s.Rows {
		if len(x.Test) != len(tables) {
			return nil, fmt.Errorf("table: %s: row %s is not in every seed: remove the runs and make them again", name, x.Name)
		}
		x.Mean, x.SD = moments(x.Test)
		if parent != nil && x != parent {
			x.Parent = bounded(paired(x.Test, parent.Test))
			if all != nil {
				x.Gap = bounded(share(x.Test, parent.Test, all.Test))
			}
			if two != nil {
				x.Ensemble = bounded(share(x.Test, parent.Test, two.Test))
			}
		}
		if x != ref {
			x.Recipe = bounded(paired(ref.Test, x.Test))
		}
	}
	return s, nil
}

// bounded returns the interval, or nil if it has no bounds: JSON has no infinities.
func bounded(i interval) *interval {
	if math.IsNaN(i.Mean) || math.IsInf(i.Mean, 0) || math.IsInf(i.Low, 0) || math.IsNaN(i.Low) || math.IsNaN(i.High) {
		return nil
	}
	return &i
}

// passed is the row of what each merge passed on.
func passed(t *session.Table) (r session.Row) {
	for _, x := range t.Rows {
		if x.Name == t.Passed {
			r = x
		}
	}
	r.Name, r.Note, r.Seconds = "passed on", "by the guard, on validation", 0
	return r
}

// print writes the table as text or Markdown.
func (s *summary) print(w io.Writer, markdown bool) error {
	head := []string{s.Metric + ", test", "mean", "sd", "minus best parent", s.Recipe + " minus this", "share of ensemble's gain"}
	gap := false
	for _, x := range s.Rows {
		gap = gap || x.Gap != nil
	}
	if gap {
		head[5] = "share of gap to all data"
	}
	lines := [][]string{head}
	for _, x := range s.Rows {
		last := percent(x.Ensemble)
		if gap {
			last = percent(x.Gap)
		}
		lines = append(lines, []string{x.Name, fmt.Sprintf("%.5f", x.Mean), fmt.Sprintf("%.5f", x.SD), difference(x.Parent), difference(x.Recipe), last})
	}
	label := ""
	if s.Synthetic {
		label = " (synthetic)"
	}
	if _, err := fmt.Fprintf(w, "%s%s, %d seeds; differences are paired, with 95 %% intervals\n", s.Name, label, len(s.Passed)); err != nil {
		return err
	}
	width := make([]int, len(head))
	for _, l := range lines {
		for i, c := range l {
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	for i, l := range lines {
		var b strings.Builder
		for j, c := range l {
			pad := strings.Repeat(" ", width[j]-len([]rune(c)))
			switch {
			case markdown && j == 0:
				b.WriteString("| " + c + pad + " |")
			case markdown:
				b.WriteString(" " + c + pad + " |")
			default:
				b.WriteString(c + pad + "  ")
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
		if markdown && i == 0 {
			if _, err := fmt.Fprintln(w, strings.Repeat("|---", len(head))+"|"); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

func difference(i *interval) string {
	if i == nil {
		return ""
	}
	return fmt.Sprintf("%+.5f [%+.5f, %+.5f]", i.Mean, i.Low, i.High)
}

func percent(i *interval) string {
	if i == nil {
		return ""
	}
	return fmt.Sprintf("%.0f %% [%.0f, %.0f]", 100*i.Mean, 100*i.Low, 100*i.High)
}

// write writes the JSON file.
func (r *result) write(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("table: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	return train.WriteFile(path, append(b, '\n'))
}
