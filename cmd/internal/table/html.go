package table

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/cmd/internal/origin"
	"github.com/splice-ml/splice/cmd/internal/webpage"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

// webOptions are the flags for a page of stored results.
type webOptions struct {
	out  string
	from app.List
}

func (o *webOptions) flags(f *flag.FlagSet) {
	f.StringVar(&o.out, "html", "", "write one HTML `file` of the stored results that --from names")
	f.Var(&o.from, "from", "with --html: a `pattern` of JSON files of tables and figures, such as 'docs/results/*.json'; may be given several times")
}

func (o *webOptions) asked() bool { return o.out != "" || len(o.from) > 0 }

// write writes the page.
func (o *webOptions) write(ctx context.Context, c *app.Command) error {
	if o.out == "" || len(o.from) == 0 {
		return run.BadInput(errors.New("table: give --html with a file and --from with patterns of stored results"))
	}
	var files []string
	for _, pattern := range o.from {
		list, err := filepath.Glob(pattern)
		if err != nil {
			return run.BadInput(fmt.Errorf("table: --from %s: %w", pattern, err))
		}
		slices.Sort(list)
		files = append(files, list...)
	}
	if len(files) == 0 {
		return run.BadInput(fmt.Errorf("table: there are no files %s: make tables with scripts/table1.sh to table8.sh, or figures with scripts/figures.sh", strings.Join(o.from, ", ")))
	}
	d, err := webDocument(files)
	if err != nil {
		return run.BadInput(err)
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o777); err != nil {
		return run.BadInput(fmt.Errorf("table: %w", err))
	}
	w, err := c.Output(ctx, o.out, files...)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := d.Write(w); err != nil {
		return err
	}
	return w.Commit()
}

// webDocument reads stored results and lays them out.
func webDocument(files []string) (*webpage.Document, error) {
	here := origin.Here(kernel.Threads(), 1)
	d := &webpage.Document{
		Title: "Splice: results",
		Words: []string{"Everything here is from stored results: each table and figure names its command, its date and its machine. A click on the head of a column sorts a table; values by seed show where the pointer rests."},
		Facts: []webpage.Fact{{Name: "page made", Value: here.String()}, {Name: "Go", Value: here.Go}},
	}
	if here.Splice != "" {
		d.Facts = append(d.Facts, webpage.Fact{Name: "revision", Value: here.Splice})
	}
	chapters := []*webpage.Chapter{
		{ID: "figures", Title: "Figures"},
		{ID: "tables", Title: "Tables of the paper", Wide: true},
		{ID: "merges", Title: "Merges over seeds", Wide: true},
		{ID: "others", Title: "Other results", Wide: true},
	}
	for _, name := range files {
		at, s, err := webSection(name)
		if err != nil {
			return nil, err
		}
		chapters[at].Sections = append(chapters[at].Sections, s)
	}
	d.Chapters = slices.DeleteFunc(chapters, func(c *webpage.Chapter) bool { return len(c.Sections) == 0 })
	return d, nil
}

// webSection reads a stored result. It returns the chapter that it belongs to.
func webSection(name string) (int, *webpage.Section, error) {
	b, err := bound.ReadFile(name, bound.JSON)
	if err != nil {
		return 0, nil, fmt.Errorf("table: %w", err)
	}
	var kind struct {
		Panels, Columns, Variants json.RawMessage
	}
	if err := json.Unmarshal(b, &kind); err != nil {
		return 0, nil, fmt.Errorf("table: %s: %w", name, err)
	}
	path := filepath.ToSlash(name)
	switch {
	case kind.Panels != nil:
		f, svg, err := figure.Read(name)
		if err != nil {
			return 0, nil, err
		}
		s, err := webFigure(f, svg, path)
		return 0, s, err
	case kind.Columns != nil:
		r, err := readResult(name)
		if err != nil {
			return 0, nil, err
		}
		return 1, r.web(path), nil
	case kind.Variants != nil:
		r, err := readStored(name)
		if err != nil {
			return 0, nil, err
		}
		return 2, r.web(), nil
	}
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		return 0, nil, fmt.Errorf("table: %s: %w", name, err)
	}
	return 3, webOther(all, path), nil
}

// pathID returns an id for what a file has.
func pathID(path string, parts ...string) string {
	return webpage.ID(append([]string{strings.TrimSuffix(path, ".json")}, parts...)...)
}

func facts(path, command string, made []origin.Origin) []webpage.Fact {
	out := []webpage.Fact{{Name: "stored in", Value: path}}
	if command != "" {
		out = append(out, webpage.Fact{Name: "command", Value: command, Code: true})
	}
	return append(out, webpage.Fact{Name: "made", Value: origin.Line(made)})
}

// web returns the section of a table with rows.
func (r *gridResult) web(path string) *webpage.Section {
	s := &webpage.Section{ID: pathID(path), Title: r.Title, Words: r.words(), Facts: facts(path, r.Command, r.Made)}
	if r.Size != "full" {
		s.Title += " (quick size)"
	}
	sheets := r.sheets()
	first := len(sheets) - len(r.Columns)
	for i, x := range sheets {
		t := &webpage.Table{ID: pathID(path, "sheet", fmt.Sprint(i)), Caption: x.title, Head: x.head}
		for k, line := range x.body {
			var from []string
			for col := range r.Columns {
				if i < first || i-first == col {
					from = append(from, fmt.Sprintf("%s#/columns/%d/rows/%d", path, col, k))
				}
			}
			t.Rows = append(t.Rows, webpage.Row{From: strings.Join(from, " "), Cells: webCells(line)})
		}
		s.Tables = append(s.Tables, t)
	}
	if t := r.statistics(path); len(t.Rows) > 0 {
		s.Details = append(s.Details, webpage.Detail{Title: "Data", Table: t})
	}
	for _, c := range r.Columns {
		for i, x := range c.Cells {
			if x.Settings == "" {
				continue
			}
			var rows []string
			for _, row := range c.Rows {
				if row.Cell == i && !row.Missing {
					rows = append(rows, row.Label)
				}
			}
			s.Details = append(s.Details, webpage.Detail{
				Title: fmt.Sprintf("Settings of %s: %s", c.name(), strings.Join(rows, "; ")),
				Text:  fmt.Sprintf("# %s %s\n# cells %s\n%s", x.Config, strings.Join(x.Set, " "), strings.Join(x.IDs, ", "), x.Settings),
			})
		}
	}
	return s
}

func webCells(line []entry) []webpage.Cell {
	var out []webpage.Cell
	for _, e := range line {
		out = append(out, webpage.Cell{Text: e.text, Value: e.value, Hover: e.hover, Bold: e.bold})
	}
	return out
}

// statistics returns a table of the sizes of the data.
func (r *gridResult) statistics(path string) *webpage.Table {
	t := &webpage.Table{ID: pathID(path, "data"), Caption: "Data", Head: []string{"data", "training rows", "validation rows", "test rows", "features", "largest vocabularies"}}
	for i, c := range r.Columns {
		if c.Statistics == nil {
			continue
		}
		count := func(n int64) webpage.Cell {
			if n < 0 {
				return webpage.Cell{Text: nothing}
			}
			return webpage.Cell{Text: fmt.Sprint(n), Value: webpage.Number(float64(n))}
		}
		names := slices.SortedFunc(maps.Keys(c.Statistics.Tokens), func(a, b string) int {
			return cmp.Or(cmp.Compare(c.Statistics.Tokens[b], c.Statistics.Tokens[a]), cmp.Compare(a, b))
		})
		var largest []string
		for _, n := range names[:min(3, len(names))] {
			largest = append(largest, fmt.Sprintf("%s: %d", n, c.Statistics.Tokens[n]))
		}
		t.Rows = append(t.Rows, webpage.Row{From: fmt.Sprintf("%s#/columns/%d/statistics", path, i), Cells: []webpage.Cell{
			{Text: c.name()},
			count(c.Statistics.Train), count(c.Statistics.Valid), count(c.Statistics.Test), count(int64(c.Statistics.Features)),
			{Text: strings.Join(largest, ", ")},
		}})
	}
	return t
}

// web returns the section of a table with variants.
func (r *storedResult) web() *webpage.Section {
	s := &webpage.Section{ID: pathID(r.path), Title: r.Title, Facts: append(facts(r.path, r.Command, r.Made), webpage.Fact{Name: "digest", Value: r.sum})}
	if s.Title == "" {
		s.Title = r.path
	}
	s.Words = []string{fmt.Sprintf("%d seeds: means on test rows, standard deviations, and paired differences with 95 %% intervals by Student's t; shares of a gap with Fieller's.", r.Seeds)}
	for i, v := range r.Variants {
		t := &webpage.Table{
			ID: pathID(r.path, fmt.Sprint(i)), Caption: strings.Join(slices.DeleteFunc([]string{v.Name, v.Model, v.Data, v.Protocol}, func(x string) bool { return x == "" }), ", "),
			Head: []string{"row", v.Metric, "sd", "minus best parent", string(v.Recipe) + " minus this", "share of the gap", "seconds", "note"},
		}
		if v.Synthetic {
			t.Caption += " (synthetic rows)"
		}
		for k, x := range v.Rows {
			gain, behind := entry{text: x.Parent.text("%+.5f", 1, "")}, entry{text: x.Recipe.text("%+.5f", 1, "")}
			if x.Parent != nil {
				gain = gain.of(x.Parent.Mean)
				gain.bold = finite(x.Parent.Low) && (metric.HigherIsBetter(v.Metric) && x.Parent.Low > 0 || !metric.HigherIsBetter(v.Metric) && x.Parent.High < 0)
			}
			if x.Recipe != nil {
				behind = behind.of(x.Recipe.Mean)
			}
			gap := entry{}
			if x.Gap != nil && (len(v.Passed) < 2 || finite(x.Gap.Low)) {
				gap = entry{text: x.Gap.text("%.0f", 100, " %")}.of(x.Gap.Mean)
			}
			var test []string
			for _, y := range x.Test {
				test = append(test, metric.Format(y, 5))
			}
			t.Rows = append(t.Rows, webpage.Row{From: fmt.Sprintf("%s#/variants/%d/rows/%d", r.path, i, k), Cells: append(webCells([]entry{
				{text: string(x.Name)},
				entry{text: metric.Format(float64(x.Mean), 5), hover: strings.Join(test, ", ")}.of(x.Mean), entry{text: x.deviation()}.of(x.SD),
				gain, behind, gap,
			}), webpage.Cell{Text: fmt.Sprintf("%.1f", x.Seconds), Value: webpage.Number(x.Seconds)}, webpage.Cell{Text: x.Note})})
		}
		s.Tables = append(s.Tables, t)
		s.Details = append(s.Details, webpage.Detail{
			Title: "Settings of " + v.Name,
			Text:  fmt.Sprintf("config: %s\nset: %s\ndigests by seed: %s", v.Config, strings.Join(v.Set, "\n     "), strings.Join(v.Digests, ", ")),
		})
	}
	return s
}

// webFigure returns the section of a figure.
func webFigure(f *figure.Figure, svg []byte, path string) (*webpage.Section, error) {
	picture, err := webpage.Inline(svg)
	if err != nil {
		return nil, fmt.Errorf("table: %s: %w", path, err)
	}
	s := &webpage.Section{ID: pathID(path), Title: f.Title, Words: f.Words(), SVG: picture, Alt: f.Title, Facts: facts(path, f.Command, f.Made)}
	t := &webpage.Table{ID: pathID(path, "values"), Caption: "Values of the figure", Head: []string{"series", "x", "y", "low", "high", "panel"}}
	for _, v := range f.Values() {
		cells := []webpage.Cell{{Text: v.Series}}
		for _, x := range []figure.Number{v.X, v.Y, v.Low, v.High} {
			cells = append(cells, webpage.Cell{Text: figure.Text(x), Value: webpage.Number(float64(x))})
		}
		if v.Label != "" {
			cells[1].Text = v.Label
		}
		t.Rows = append(t.Rows, webpage.Row{From: path + "#" + v.Pointer, Cells: append(cells, webpage.Cell{Text: v.Panel})})
	}
	s.Details = append(s.Details, webpage.Detail{Title: "Values", Table: t})
	if f.Settings != "" {
		s.Details = append(s.Details, webpage.Detail{Title: "Settings", Text: f.Settings})
	}
	return s, nil
}

// webOther returns the section of a JSON file of another form: a table of each list of flat objects.
func webOther(all map[string]any, path string) *webpage.Section {
	s := &webpage.Section{ID: pathID(path), Title: path, Facts: []webpage.Fact{{Name: "stored in", Value: path}}}
	if title, ok := all["title"].(string); ok {
		s.Title = title
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list, ok := all[key].([]any)
		if !ok {
			continue
		}
		var columns []string
		for _, x := range list {
			switch x := x.(type) {
			case string:
				if key == "commands" {
					s.Facts = append(s.Facts, webpage.Fact{Name: "command", Value: x, Code: true})
				}
			case map[string]any:
				for _, k := range slices.Sorted(maps.Keys(x)) {
					if !slices.Contains(columns, k) {
						columns = append(columns, k)
					}
				}
			}
		}
		if len(columns) == 0 {
			continue
		}
		slices.SortStableFunc(columns, func(a, b string) int { return cmp.Compare(wordy(list, b), wordy(list, a)) }) // names first
		t := &webpage.Table{ID: pathID(path, key), Caption: key, Head: columns}
		for i, x := range list {
			row := webpage.Row{From: fmt.Sprintf("%s#/%s/%d", path, key, i)}
			values, _ := x.(map[string]any)
			for _, k := range columns {
				c := webpage.Cell{Text: nothing}
				switch v := values[k].(type) {
				case string:
					c.Text = v
				case float64:
					c = webpage.Cell{Text: strings.TrimSuffix(fmt.Sprintf("%.6g", v), ".0"), Value: webpage.Number(v)}
				}
				row.Cells = append(row.Cells, c)
			}
			t.Rows = append(t.Rows, row)
		}
		s.Tables = append(s.Tables, t)
	}
	return s
}

// wordy returns 1 if a key's value is a text in a list's first object.
func wordy(list []any, key string) int {
	first, _ := list[0].(map[string]any)
	if _, ok := first[key].(string); ok {
		return 1
	}
	return 0
}
