package runs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/train/run"
)

// compare prints the settings in which runs differ, and their metrics side by side.
func (o *options) compare(ctx context.Context, c *app.Command, dirs []string) error {
	if len(dirs) < 2 {
		return run.BadInput(errors.New("runs: compare wants two runs or more, such as runs compare runs/a runs/b"))
	}
	if err := areRuns(dirs); err != nil {
		return err
	}
	runs := read("", dirs)
	t := listing(runs, metricsOf(runs, o.metrics))
	settings := different(runs)
	if o.html != "" {
		f := curves(runs, metricsOf(runs, o.metrics))
		if err := o.page(ctx, c, t, settings, f, "Comparison of runs"); err != nil {
			return err
		}
	}
	if err := settings.print(c.Out); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c.Out); err != nil {
		return err
	}
	return t.print(c.Out)
}

// areRuns reports directories that are no runs.
func areRuns(dirs []string) error { return check(dirs, "run", run.IsRun) }

// check reports directories that are not what is wanted, and those that are given twice.
func check(dirs []string, want string, is func(string) bool) error {
	var errs []error
	for i, d := range dirs {
		switch {
		case !is(d):
			errs = append(errs, run.BadInput(fmt.Errorf("runs: %s is no %s", d, want)))
		case slices.ContainsFunc(dirs[:i], func(other string) bool { return run.Same(d, other) }):
			errs = append(errs, run.BadInput(fmt.Errorf("runs: %s is given twice", d)))
		}
	}
	return errors.Join(errs...)
}

// different returns the keys of the configs that have not the same value in all runs, in the order of their names.
func different(runs []*found) *sheet {
	t := &sheet{caption: "Settings that differ", head: []string{"setting"}}
	keys := map[string]bool{}
	for _, r := range runs {
		t.head = append(t.head, r.name)
		r.key("")
		for k := range r.config {
			keys[k] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if k == "run" || k == "threads" { // they change no result
			continue
		}
		row, differs := []string{k}, false
		for _, r := range runs {
			v, ok := r.config[k]
			w, has := runs[0].config[k]
			differs = differs || v != w || ok != has
			row = append(row, v)
		}
		if differs {
			t.rows = append(t.rows, row)
		}
	}
	return t
}

// curves returns the figure of the metrics on validation rows by step, nil if no run tells of any.
func curves(runs []*found, metrics []string) *figure.Figure {
	f := &figure.Figure{Name: "curves", Title: "Validation rows", Size: "full"}
	courses := make([][]evaluation, len(runs))
	for i, r := range runs {
		courses[i] = evaluations(filepath.Join(r.dir, run.MetricsFile))
	}
	for _, m := range metrics {
		p := &figure.Panel{X: figure.Axis{Label: "step"}, Y: figure.Axis{Label: m}}
		for i, r := range runs {
			s := &figure.Series{Name: r.name, Line: true}
			for _, e := range courses[i] {
				if v, ok := e.metrics[m]; ok {
					s.Points = append(s.Points, figure.At(e.step, v))
				}
			}
			if len(s.Points) > 0 {
				p.Series = append(p.Series, s)
			}
		}
		if len(p.Series) > 0 {
			f.Panels = append(f.Panels, p)
		}
	}
	if len(f.Panels) == 0 {
		return nil
	}
	return f
}

// evaluation is a line of metrics.jsonl on validation rows.
type evaluation struct {
	step    float64
	metrics map[string]float64
}

// evaluations reads the evaluations of a training. A line that is cut off, as of a run that was killed, is left out.
func evaluations(path string) (out []evaluation) {
	b, err := bound.ReadFile(path, bound.JSON)
	if err != nil {
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		if !strings.Contains(lines.Text(), `"split":"valid"`) {
			continue
		}
		var values map[string]any
		if json.Unmarshal(lines.Bytes(), &values) != nil {
			continue
		}
		e := evaluation{metrics: map[string]float64{}}
		for k, v := range values {
			if n, ok := v.(float64); ok && k == "step" {
				e.step = n
			} else if ok {
				e.metrics[k] = n
			}
		}
		out = append(out, e)
	}
	return out
}
