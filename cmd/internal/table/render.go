package table

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/train/metric"
)

// formats are how a table is printed, by name.
var formats = map[string]func(*gridResult) string{
	"markdown": (*gridResult).markdown, "csv": (*gridResult).csv, "latex": (*gridResult).latex,
}

// sheet is one printed table: a line for each row.
type sheet struct {
	title string
	head  []string
	body  [][]entry
}

// entry is one place in a table.
type entry struct {
	text  string
	bold  bool
	value *float64 // what it shows; nil for a name, and for nothing
	hover string   // more of it
}

// of sets the value that the entry shows.
func (e entry) of(v report.Float) entry {
	if v-v == 0 {
		x := float64(v)
		e.value = &x
	}
	return e
}

// Signs of a value whose difference is within noise, and of one that is not there.
const (
	noise   = "~"
	nothing = "-"
)

// words returns the sentences above a table.
func (r *gridResult) words() []string {
	var out []string
	if r.Size != "full" {
		out = append(out, "Quick size: few pairs, short trainings and little data. It shows that everything runs, and says nothing about the methods.")
	}
	if r.About != "" {
		out = append(out, strings.TrimSpace(r.About))
	}
	var standIns []string
	synthetic := false
	for _, c := range r.Columns {
		if c.StandIn && !slices.Contains(standIns, c.Dataset) {
			standIns = append(standIns, c.Dataset)
		}
		synthetic = synthetic || c.Synthetic && !c.StandIn
	}
	if len(standIns) > 0 {
		why := "are not there"
		if r.Size != "full" {
			why += ", or are too large for the quick size"
		}
		out = append(out, "Synthetic stand-in, since the files "+why+": "+strings.Join(standIns, "; ")+
			". Generated rows take the place of these data sets; the numbers say nothing about them.")
	}
	if synthetic {
		out = append(out, "Columns marked synthetic are of generated rows.")
	}
	if len(r.LeftOut) > 0 {
		out = append(out, "Left out, since the files are not there: "+strings.Join(r.LeftOut, "; ")+".")
	}
	if len(r.LeftOutRows) > 0 {
		out = append(out, "Rows that these comparisons do not have: "+strings.Join(r.LeftOutRows, "; ")+".")
	}
	pairs := fmt.Sprintf("%d pairs", r.Pairs)
	if r.Pairs == 1 {
		pairs = "1 pair"
	}
	s := pairs + " of runs: means (standard deviations) on test rows, and differences to the best single parent, which is chosen on validation rows"
	if r.Pairs > 1 {
		s += ", with 95 % bootstrap intervals over the pairs. p: paired t-test with Holm's correction over the rows. Bold: better, and the interval leaves out 0. " +
			noise + " and within noise: the interval has 0 in it"
	}
	out = append(out, s+".")
	if r.Costs {
		out = append(out, "Costs are of one row on one thread: multiply-adds of matrix products, milliseconds as measured; seconds are of training and merging, the parents' too.")
	}
	return out
}

// name returns what a table calls a column.
func (c *gridValues) name() string {
	name := c.Dataset
	switch {
	case c.StandIn:
		name += " (synthetic stand-in)"
	case c.Synthetic:
		name += " (synthetic)"
	}
	if c.Model != "" {
		name += ", " + c.Model
	}
	return name
}

// sheets returns the printed tables: all columns by the first metric, if there are several, and each column by itself.
func (r *gridResult) sheets() []sheet {
	var out []sheet
	if len(r.Columns) > 1 {
		out = append(out, r.overview())
	}
	for _, c := range r.Columns {
		out = append(out, r.detail(c))
	}
	return out
}

func (r *gridResult) overview() sheet {
	s := sheet{title: r.Columns[0].Metrics[0], head: []string{"method"}}
	one := !slices.ContainsFunc(r.Columns, func(c *gridValues) bool { return c.Metrics[0] != s.title })
	if !one {
		s.title = "All columns"
	}
	for _, c := range r.Columns {
		name := c.name()
		if !one {
			name += ": " + c.Metrics[0]
		}
		s.head = append(s.head, name)
	}
	for i, row := range r.Columns[0].Rows {
		line := []entry{{text: row.Label}}
		for _, c := range r.Columns {
			x := c.Rows[i].Values[c.Metrics[0]]
			e := entry{text: nothing}
			if x != nil && len(x.Test) > 0 {
				e = entry{text: number4(x.Mean) + mark(x.Gain), bold: better(c.Metrics[0], x.Gain), hover: seedsText(x.Test)}.of(x.Mean)
			}
			line = append(line, e)
		}
		s.body = append(s.body, line)
	}
	return s
}

func (r *gridResult) detail(c *gridValues) sheet {
	s := sheet{title: c.name(), head: []string{"method", c.Metrics[0], "minus best parent", "p"}}
	if c.Protocol != "" {
		s.title += ", ranking " + c.Protocol
	}
	if r.Gap {
		s.head = append(s.head, "share of the gap")
	}
	s.head = append(s.head, c.Metrics[1:]...)
	if r.Costs {
		s.head = append(s.head, "parameters", "multiply-adds", "ms a row", "seconds")
	}
	for _, row := range c.Rows {
		line := []entry{{text: row.Label}}
		x := row.Values[c.Metrics[0]]
		if row.Missing || x == nil {
			x = &gridMeasure{}
		}
		first := []entry{{text: mean(x), hover: seedsText(x.Test)}, {text: difference2(x.Gain), bold: better(c.Metrics[0], x.Gain)}, {text: pValue(x.Gain)}}
		if len(x.Test) > 0 {
			first[0] = first[0].of(x.Mean)
		}
		if x.Gain != nil {
			first[1], first[2] = first[1].of(x.Gain.Mean), first[2].of(x.Gain.Holm)
		}
		line = append(line, first...)
		if r.Gap {
			e := entry{text: gapText(row.Gap)}
			if e.text != "" {
				e = e.of(row.Gap.Mean)
			}
			line = append(line, e)
		}
		for _, name := range c.Metrics[1:] {
			e := entry{text: nothing}
			if y := row.Values[name]; y != nil && len(y.Test) > 0 {
				e = entry{text: mean(y), hover: seedsText(y.Test)}.of(y.Mean)
				if y.Gain != nil {
					e.text += "; " + sign4(y.Gain.Mean) + mark(y.Gain)
					e.bold = better(name, y.Gain)
				}
			}
			line = append(line, e)
		}
		if r.Costs {
			line = append(line, costEntries(row.Cost)...)
		}
		s.body = append(s.body, line)
	}
	return s
}

func costEntries(c *rowCost) []entry {
	if c == nil {
		return []entry{{text: nothing}, {text: nothing}, {text: nothing}, {text: nothing}}
	}
	return []entry{
		entry{text: strconv.FormatInt(c.Parameters, 10)}.of(report.Float(c.Parameters)),
		entry{text: strconv.FormatInt(c.MultiplyAdds, 10)}.of(report.Float(c.MultiplyAdds)),
		entry{text: strconv.FormatFloat(float64(c.Milliseconds), 'g', 3, 64)}.of(c.Milliseconds),
		entry{text: fmt.Sprintf("%.1f", float64(c.Seconds))}.of(c.Seconds),
	}
}

func number4(v report.Float) string { return metric.Format(float64(v), 4) }

// sign4 formats a difference; no minus stands before 0.
func sign4(v report.Float) string {
	if v != v {
		return "n/a"
	}
	s := fmt.Sprintf("%+.4f", float64(v))
	if strings.Trim(s, "+-0.") == "" {
		return "0.0000"
	}
	return s
}

// seedsText returns values by seed.
func seedsText(test []report.Float) string {
	var out []string
	for _, v := range test {
		out = append(out, metric.Format(float64(v), 5))
	}
	return strings.Join(out, ", ")
}

func mean(x *gridMeasure) string {
	switch {
	case len(x.Test) == 0:
		return nothing
	case x.SD != x.SD:
		return number4(x.Mean)
	}
	return number4(x.Mean) + " (" + number4(x.SD) + ")"
}

// difference2 is a difference with its interval, and whether it is within noise.
func difference2(d *report.Difference) string {
	switch {
	case d == nil:
		return ""
	case d.Low != d.Low:
		return sign4(d.Mean)
	}
	s := sign4(d.Mean) + " [" + sign4(d.Low) + ", " + sign4(d.High) + "]"
	if !d.Clear() {
		s += " within noise"
	}
	return s
}

// mark marks a difference that is within noise.
func mark(d *report.Difference) string {
	if d != nil && !d.Clear() {
		return " " + noise
	}
	return ""
}

// better reports whether a row is clearly better than the best parent.
func better(name string, d *report.Difference) bool {
	return d != nil && d.Clear() && (d.Mean > 0) == metric.HigherIsBetter(name)
}

func pValue(d *report.Difference) string {
	switch {
	case d == nil || d.Holm != d.Holm:
		return ""
	case d.Holm < .001:
		return "<.001"
	}
	return fmt.Sprintf("%.3f", float64(d.Holm))
}

func gapText(s *report.Share) string {
	switch {
	case s == nil || s.Mean != s.Mean || s.Low != s.Low:
		return ""
	}
	return fmt.Sprintf("%.0f %% [%.0f, %.0f]", 100*float64(s.Mean), 100*float64(s.Low), 100*float64(s.High))
}

// markdown returns the table as Markdown.
func (r *gridResult) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n", r.Title)
	for _, w := range r.words() {
		fmt.Fprintf(&b, "\n%s\n", w)
	}
	for _, s := range r.sheets() {
		var body [][]string
		for _, line := range s.body {
			body = append(body, nil)
			for _, e := range line {
				if e.bold {
					e.text = boldOpen + e.text + boldClose
				}
				body[len(body)-1] = append(body[len(body)-1], e.text)
			}
		}
		text := bolder.Replace(report.Markdown(s.head, body))
		fmt.Fprintf(&b, "\n%s\n\n%s", s.title, text)
	}
	return b.String()
}

// boldOpen and boldClose stand for Markdown's asterisks until cells are escaped.
const boldOpen, boldClose = "\x01", "\x02"

// bolder puts the asterisks in.
var bolder = strings.NewReplacer(boldOpen, "**", boldClose, "**")

// latex returns the table as LaTeX's tabulars.
func (r *gridResult) latex() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%% %s\n", r.Title)
	for _, w := range r.words() {
		fmt.Fprintf(&b, "%% %s\n", strings.ReplaceAll(w, "\n", "\n% "))
	}
	for _, s := range r.sheets() {
		fmt.Fprintf(&b, "\n%% %s\n\\begin{tabular}{l%s}\n\\hline\n", s.title, strings.Repeat("r", len(s.head)-1))
		line := func(cells []entry) {
			for i, e := range cells {
				text := latexEscape.Replace(e.text)
				if e.bold {
					text = `\textbf{` + text + `}`
				}
				if i > 0 {
					b.WriteString(" & ")
				}
				b.WriteString(text)
			}
			b.WriteString(" \\\\\n")
		}
		var head []entry
		for _, h := range s.head {
			head = append(head, entry{text: h})
		}
		line(head)
		b.WriteString("\\hline\n")
		for _, cells := range s.body {
			line(cells)
		}
		b.WriteString("\\hline\n\\end{tabular}\n")
	}
	return b.String()
}

// latexEscape keeps a cell's text from being read as commands.
var latexEscape = strings.NewReplacer(`\`, `\textbackslash{}`, `&`, `\&`, `%`, `\%`, `$`, `\$`, `#`, `\#`, `_`, `\_`, `{`, `\{`, `}`, `\}`, `~`, `$\sim$`,
	`^`, `\^{}`, `<`, `$<$`)

// csv returns all values, a line for each row and metric of each column.
func (r *gridResult) csv() string {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	write := func(cells ...string) { _ = w.Write(cells) } // a buffer has no errors
	write("dataset", "model", "stand_in", "size", "method", "metric", "pairs", "mean", "sd", "minus_best_parent", "low", "high", "p", "p_holm", "clear",
		"share_of_gap", "parameters", "multiply_adds", "milliseconds", "seconds")
	num := func(v report.Float) string {
		if v != v {
			return ""
		}
		return strconv.FormatFloat(float64(v), 'g', -1, 64)
	}
	for _, c := range r.Columns {
		for _, row := range c.Rows {
			for _, name := range c.Metrics {
				x := row.Values[name]
				if row.Missing || x == nil || len(x.Test) == 0 {
					continue
				}
				cells := []string{
					c.Dataset, c.Model, strconv.FormatBool(c.StandIn), r.Size, row.Label, name, strconv.Itoa(len(x.Test)), num(x.Mean), num(x.SD),
				}
				if d := x.Gain; d != nil {
					cells = append(cells, num(d.Mean), num(d.Low), num(d.High), num(d.P), num(d.Holm), strconv.FormatBool(d.Clear()))
				} else {
					cells = append(cells, "", "", "", "", "", "")
				}
				gap := ""
				if row.Gap != nil && name == c.Metrics[0] {
					gap = num(row.Gap.Mean)
				}
				cells = append(cells, gap)
				if k := row.Cost; k != nil {
					cells = append(cells, strconv.FormatInt(k.Parameters, 10), strconv.FormatInt(k.MultiplyAdds, 10), num(k.Milliseconds), num(k.Seconds))
				} else {
					cells = append(cells, "", "", "", "")
				}
				write(cells...)
			}
		}
	}
	w.Flush()
	return b.String()
}

// print prints the table in a format.
func (r *gridResult) print(w io.Writer, format string) error {
	_, err := io.WriteString(w, formats[format](r))
	return err
}
