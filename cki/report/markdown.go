package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

// WriteMarkdown writes the report as Markdown, atomically. The text links the figures that Figures makes beside it.
func (r *Report) WriteMarkdown(path string) error {
	var b strings.Builder
	r.markdown(&b)
	return writeFile(path, []byte(b.String()))
}

func (r *Report) markdown(b *strings.Builder) {
	title := r.Title
	if title == "" {
		title = "Merge"
	}
	fmt.Fprintf(b, "# %s\n\n", escape(title))
	r.verdict(b)
	r.comparison(b)
	r.made(b)
	r.groups(b)
	r.barriers(b)
	r.tensors(b)
}

// verdict says what is passed on.
func (r *Report) verdict(b *strings.Builder) {
	if r.Synthetic {
		b.WriteString("The rows are synthetic: the numbers show that everything runs, not what a merge is worth.\n\n")
	}
	if r.Protocol != "" {
		fmt.Fprintf(b, "The metrics rank %s.\n\n", escape(r.Protocol))
	}
	m := "the metric"
	if o := r.order(); len(o) > 0 {
		m = o[0]
	}
	g := r.Guard
	if g.Passed == "" {
		return
	}
	values := fmt.Sprintf("%s %s on the validation rows, the best parent has %s",
		m, number(float64(g.Result), 5), number(float64(g.Parent), 5))
	if g.Result-g.Result != 0 || g.Parent-g.Parent != 0 {
		values = "" // not known
	}
	switch {
	case g.Kept:
		b.WriteString("**The merge did not help, and is not passed on.** ")
		if values != "" {
			fmt.Fprintf(b, "It has %s. ", values)
		}
		fmt.Fprintf(b, "What is passed on is the row *%s*, unchanged.\n\n", escape(g.Passed))
	default:
		fmt.Fprintf(b, "**Passed on: the row *%s*.** ", escape(g.Passed))
		if values != "" {
			fmt.Fprintf(b, "It has %s. ", values)
		}
		if r.worse() {
			b.WriteString("It is **worse than the best parent**; `guard` is off, so it is passed on all the same. ")
		}
		b.WriteString("One seed says little about small differences: compare several.\n\n")
	}
}

// worse reports whether the result is worse than the best parent.
func (r *Report) worse() bool {
	o := r.order()
	if len(o) == 0 {
		return false
	}
	if metric.HigherIsBetter(o[0]) {
		return r.Guard.Result < r.Guard.Parent
	}
	return r.Guard.Result > r.Guard.Parent
}

func (r *Report) comparison(b *strings.Builder) {
	if len(r.Rows) == 0 {
		return
	}
	b.WriteString("## Comparison\n\nEverything is chosen on the validation rows. The test columns are for reading alone. " +
		"An ensemble costs the inference of all its models; every other row is one model.\n\n")
	b.WriteString(Markdown(cells(r.Rows, r.order())))
	r.link(b, run.RowsFigure)
}

// made says what was merged, and how.
func (r *Report) made(b *strings.Builder) {
	b.WriteString("\n## Parents and method\n\n")
	if len(r.Parents) > 0 {
		head := []string{"parent"}
		for _, m := range r.order() {
			head = append(head, "valid "+m)
		}
		var body [][]string
		for i, p := range r.Parents {
			line := []string{p.Name}
			if i == 0 {
				line[0] += " (base)"
			}
			for _, m := range r.order() {
				line = append(line, p.Valid.cell(m))
			}
			body = append(body, append(line, p.Digest))
		}
		b.WriteString(Markdown(append(head, "digest"), body) + "\n")
	}
	if r.Method != "" {
		fmt.Fprintf(b, "Method: %s.", escape(r.Method))
		if r.Model != "" {
			fmt.Fprintf(b, " Model: %s.", escape(r.Model))
		}
		if r.Data != "" {
			fmt.Fprintf(b, " Data: %s.", escape(r.Data))
		}
		fmt.Fprintf(b, " Seed: %d.\n\n", r.Seed)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(b, "- %s\n", escape(n))
	}
	if r.Settings != "" {
		fmt.Fprintf(b, "\n```yaml\n%s\n```\n", strings.TrimRight(strings.ReplaceAll(r.Settings, "```", "'''"), "\n"))
	}
}

func (r *Report) groups(b *strings.Builder) {
	if len(r.Groups) == 0 {
		return
	}
	b.WriteString("\n## Alignment\n\nUnits of the other parents were moved to where those of the base are; " +
		"what each parent computes stayed the same. Cosine of the parents along a group's weights:\n\n")
	var body [][]string
	for _, g := range r.Groups {
		name := g.Name
		if g.Other != "" {
			name = g.Other + ": " + name
		}
		body = append(body, []string{name, fmt.Sprint(g.Size), fmt.Sprint(g.Moved), number(g.Before, 3), number(g.After, 3)})
	}
	b.WriteString(Markdown([]string{"group", "units", "moved", "before", "after"}, body))
}

func (r *Report) barriers(b *strings.Builder) {
	for i, l := range r.Barriers {
		m := r.lineMetric(l)
		if m == "" {
			continue
		}
		fmt.Fprintf(b, "\n## Line to %s\n\nThe models (1 - alpha) · base + alpha · other on the validation rows, %s:\n\n",
			escape(l.Other), m)
		var body [][]string
		for j, p := range l.Before {
			line := []string{number(p.Alpha, 2), p.Valid.cell(m)}
			if len(l.After) == len(l.Before) {
				line = append(line, l.After[j].Valid.cell(m))
			}
			body = append(body, line)
		}
		head := []string{"alpha", m}
		if len(l.After) == len(l.Before) {
			head = append(head, m+", aligned")
		}
		b.WriteString(Markdown(head, body))
		up := metric.HigherIsBetter(m)
		fmt.Fprintf(b, "\nBarrier, the worst excess over the straight line between the ends: %s", number(Height(l.Before, m, up), 5))
		if len(l.After) > 0 {
			fmt.Fprintf(b, "; after alignment %s", number(Height(l.After, m, up), 5))
		}
		b.WriteString(".\n")
		r.link(b, run.BarrierFigure(i+1))
	}
}

func (r *Report) tensors(b *strings.Builder) {
	if len(r.Tensors) == 0 {
		return
	}
	b.WriteString("\n## Tensors\n\n*Weight* is that of the base in the result, found from the values: " +
		"mean, standard deviation and range over the values (with more than two parents: over the rows) that determine it. " +
		"*Shares*: of the result's values, by the parent that they are nearest to. " +
		"*Off*: distance of the result from the nearest combination of the parents with weights of sum 1, over the result's norm. " +
		"*Gate*: what the published entropy gate gives the base, for comparison. " +
		"*Cosine* and *L2*: of base and other parents, as they were merged; *before*: before alignment.\n\n")
	var body [][]string
	for _, t := range r.Tensors {
		mean, sd, span := "-", "-", "-"
		if w := t.Weight; w != nil {
			mean, sd, span = number(w.Mean, 3), number(w.SD, 3), number(w.Min, 2)+" to "+number(w.Max, 2)
		}
		g := "-"
		if len(t.Gates) > 0 {
			g = number(t.Gates[0], 3)
		}
		body = append(body, []string{
			t.Name, shape(t.Shape), list(t.Entropies, 3), g, mean, sd, span, list(t.Shares, 2), number(float64(t.Residual), 4),
			cosines(t.Before), cosines(t.Parents), lengths(t.Parents),
		})
	}
	head := []string{"tensor", "shape", "entropies", "gate", "weight", "sd", "range", "shares", "off", "cosine before", "cosine", "L2"}
	b.WriteString(Markdown(head, body))
	r.link(b, run.GatesFigure)
	r.link(b, run.CosineFigure)
	body = nil
	for _, t := range r.Tensors {
		for i, u := range t.Units {
			if i < 3 && u.Distance > 0 {
				body = append(body, []string{t.Name, fmt.Sprint(u.Row), number(u.Distance, 3)})
			}
		}
	}
	if len(body) > 0 {
		fmt.Fprintf(b, "\n### Most incompatible units\n\nThe rows in which the parents differ most, relative to their length: "+
			"0 for equal rows, %s for orthogonal ones, 2 for opposite ones.\n\n", number(math.Sqrt2, 2))
		b.WriteString(Markdown([]string{"tensor", "row", "distance"}, body))
	}
}

// link shows a figure, if the report has it.
func (r *Report) link(b *strings.Builder, name string) {
	for _, f := range r.figures() {
		if f.name == name {
			fmt.Fprintf(b, "\n![%s](%s)\n", f.title, name)
		}
	}
}

func shape(s []int) string {
	var out []string
	for _, d := range s {
		out = append(out, fmt.Sprint(d))
	}
	return strings.Join(out, " x ")
}

func list(x []float64, digits int) string {
	var out []string
	for _, v := range x {
		out = append(out, number(v, digits))
	}
	return strings.Join(out, " / ")
}

func cosines(p []Pair) string {
	var out []float64
	for _, v := range p {
		out = append(out, float64(v.Cosine))
	}
	if len(out) == 0 {
		return "-"
	}
	return list(out, 3)
}

func lengths(p []Pair) string {
	var out []float64
	for _, v := range p {
		out = append(out, v.L2)
	}
	return list(out, 3)
}
