package search

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/cmd/internal/webpage"
	"github.com/splice-ml/splice/configs/search"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

func pagePath(r *search.Result) string { return filepath.Join(r.Dir, search.PageFile) }

// write writes the figure of the trials and the page of the study.
func write(r *search.Result, config string, set []string) error {
	f := draw(r)
	f.Command = command(config, set)
	if err := f.Write(r.Dir); err != nil {
		return err
	}
	svg, err := f.SVG()
	if err != nil {
		return err
	}
	d, err := document(r, f.Command, svg)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := d.Write(&b); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(pagePath(r), b.Bytes()); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	return nil
}

// command returns the command that makes the study again.
func command(config string, set []string) string {
	var text strings.Builder
	text.WriteString("go run ./cmd/search --config " + filepath.ToSlash(config))
	for _, s := range set {
		text.WriteString(" --set '" + s + "'")
	}
	return text.String()
}

// draw returns the figure of the trials: their values in their order with the best one so far, and what the keys matter.
func draw(r *search.Result) *figure.Figure {
	name, higher := r.Monitor()
	points := map[search.State]*figure.Series{search.Complete: {Name: "trained to the end"}, search.Stopped: {Name: "stopped early"}}
	best := &figure.Series{Name: "best so far", Line: true}
	so := math.NaN()
	for _, t := range r.Trials {
		v, x := t.Value(), float64(t.Number)
		if s := points[t.State]; s != nil { // else it diverged
			p := figure.At(x, v)
			p.Label = fmt.Sprintf("trial %d: %s", t.Number, r.Settings(t.Values))
			s.Points = append(s.Points, p)
		}
		if t.State == search.Complete && (so != so || higher && v > so || !higher && v < so) {
			so = v
		}
		if so == so {
			best.Points = append(best.Points, figure.At(x, so))
		}
	}
	trials := &figure.Panel{X: figure.Axis{Label: "trial"}, Y: figure.Axis{Label: name + " on validation rows"}, Series: []*figure.Series{points[search.Complete]}}
	if s := points[search.Stopped]; len(s.Points) > 0 {
		trials.Series = append(trials.Series, s)
	}
	trials.Series = append(trials.Series, best)
	f := &figure.Figure{Name: search.FigureName, Title: "Trials", Size: "full", Panels: []*figure.Panel{trials}}
	keys := &figure.Panel{X: figure.Axis{Label: "share of the variance of " + name}, Series: []*figure.Series{{}}}
	for _, i := range sorted(r.Importances) {
		if i.Share == i.Share {
			keys.Series[0].Points = append(keys.Series[0].Points, figure.At(i.Share, float64(len(keys.Rows))))
			keys.Rows = append(keys.Rows, i.Path)
		}
	}
	if len(keys.Rows) > 0 {
		f.Panels = append(f.Panels, keys)
	}
	return f
}

// document returns the page of a study.
func document(r *search.Result, command string, svg []byte) (*webpage.Document, error) {
	inline, err := webpage.Inline(svg)
	if err != nil {
		return nil, err
	}
	name, _ := r.Monitor()
	best := []string{
		fmt.Sprintf("Trial %d is the best by %s on validation rows: %s.", r.Best.Number, name, r.Settings(r.Best.Values)),
		"Validation rows:" + values(r.Metrics, []run.Metrics{r.Best.Metrics}) + ".",
	}
	if r.Test != nil {
		best = append(best, "Test rows, which were looked at for this trial alone:"+values(r.Metrics, r.Test)+".")
	}
	trials := &webpage.Table{ID: "trials-table", Caption: "Trials", Head: []string{"trial"}}
	for _, p := range r.Params {
		trials.Head = append(trials.Head, p.Path)
	}
	trials.Head = append(trials.Head, "state", "evaluations", name, "seconds")
	for _, t := range r.Trials {
		trials.Rows = append(trials.Rows, webpage.Row{Cells: cells(r, t)})
	}
	keys := &webpage.Table{ID: "keys-table", Caption: "Share of the variance of " + name + " between trials that goes with a key alone", Head: []string{"key", "share"}}
	for _, i := range sorted(r.Importances) {
		keys.Rows = append(keys.Rows, webpage.Row{Cells: []webpage.Cell{{Text: i.Path}, {Text: share(i.Share), Value: webpage.Number(i.Share)}}})
	}
	return &webpage.Document{
		Title: "Search: " + filepath.Base(r.Dir), Words: []string{count(r) + "."},
		Facts: []webpage.Fact{{Name: "command", Value: command, Code: true}},
		Chapters: []*webpage.Chapter{{ID: "study", Title: "Study", Wide: true, Sections: []*webpage.Section{
			{ID: "best", Title: "Best trial", Words: best, Details: []webpage.Detail{{Title: "Config, as in " + r.Config, Text: string(r.YAML)}}},
			{ID: "figure", Title: "Course", SVG: inline, Alt: "values of the trials in their order, the best one so far, and the share of each key"},
			{ID: "keys", Title: "Keys", Tables: []*webpage.Table{keys}},
			{ID: "trials", Title: "Trials", Tables: []*webpage.Table{trials}},
		}}},
	}, nil
}

// cells returns the cells of a trial on the page.
func cells(r *search.Result, t *search.Trial) []webpage.Cell {
	number := func(v float64, text string) webpage.Cell {
		return webpage.Cell{Text: text, Value: webpage.Number(v), Bold: t == r.Best}
	}
	out := []webpage.Cell{number(float64(t.Number), fmt.Sprint(t.Number))}
	for i, p := range r.Params {
		c := webpage.Cell{Text: p.Text(t.Values[i]), Bold: t == r.Best}
		if p.Values == nil {
			c.Value = webpage.Number(t.Values[i])
		}
		out = append(out, c)
	}
	value := number(t.Value(), metric.Format(t.Value(), 6))
	if len(t.Valid) > 1 {
		value.Hover = fmt.Sprint("by seed: ", t.Valid)
	}
	return append(out, webpage.Cell{Text: string(t.State)}, number(float64(t.Evaluations), evaluations(t)), value, number(t.Seconds, fmt.Sprintf("%.1f", t.Seconds)))
}
