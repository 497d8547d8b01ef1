package export

import (
	"fmt"
	"math"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/run"
)

// escaped is a cell of a table of Markdown.
var escaped = strings.NewReplacer("|", `\|`, "\n", " ", "`", "'", "<", "&lt;")

// writeData describes the rows and the columns.
func (c *card) writeData(b *strings.Builder) {
	fmt.Fprintf(b, "## Data\n\nVocabularies and statistics are of %d train rows. ", c.Map.Rows)
	if c.measured != nil {
		fmt.Fprintf(b, "There are %d test rows. ", c.measured.rows)
	}
	b.WriteString("The section `data` of `" + run.ConfigFile + "` says how rows are read and split.\n\n")
	if t := c.Map.Text; t != nil {
		fmt.Fprintf(b, "Rows are texts of up to %d of %d tokens.", t.Lengths[len(t.Lengths)-1], t.Vocab)
		if len(t.Labels) > 0 {
			fmt.Fprintf(b, " Labels: %s.", escaped.Replace(strings.Join(t.Labels, ", ")))
		}
		b.WriteString("\n\n")
	}
	if len(c.Map.Features) == 0 {
		return
	}
	b.WriteString("| column | kind | values |\n|---|---|---|\n")
	for i := range c.Map.Features {
		f := &c.Map.Features[i]
		what := "numbers"
		switch t := c.Map.Table(f.Table); {
		case f.Count > 0:
			what = fmt.Sprintf("%d numbers", f.Count)
		case f.Kind == data.Numeric:
		case t.Hash > 0:
			what = fmt.Sprintf("%d hash buckets", t.Hash)
		default:
			what = fmt.Sprintf("%d tokens", len(t.Tokens))
		}
		if f.Transform != "" {
			what += ", " + f.Transform
		}
		fmt.Fprintf(b, "| %s | %v | %s |\n", escaped.Replace(f.Name), f.Kind, what)
	}
	b.WriteString("\n")
}

// writeMetrics writes the metrics, with intervals where there are some.
func (c *card) writeMetrics(b *strings.Builder) {
	names := c.order(c.result.Test)
	if len(names) == 0 {
		names = c.order(c.result.Valid)
	}
	if len(names) == 0 {
		return
	}
	value := func(m run.Metrics, name string) string {
		if v, ok := m[name]; ok && !math.IsNaN(v) {
			return fmt.Sprintf("%.6f", v)
		}
		return "n/a"
	}
	b.WriteString("## Metrics\n\n| metric | validation | test | 95 % |\n|---|---|---|---|\n")
	for _, name := range names {
		interval := ""
		if c.measured != nil {
			if v, ok := c.measured.intervals[name]; ok {
				interval = fmt.Sprintf("%.6f to %.6f", v.Low, v.High)
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", escaped.Replace(name), value(c.result.Valid, name), value(c.result.Test, name), interval)
	}
	b.WriteString("\n")
	if c.result.Protocol != "" {
		fmt.Fprintf(b, "Ranked are %s.\n\n", c.result.Protocol)
	}
	switch {
	case c.measured == nil:
	case c.measured.why != "":
		fmt.Fprintf(b, "There are no intervals: %s.\n\n", c.measured.why)
	case len(c.measured.intervals) > 0:
		b.WriteString("Intervals are of the test rows, taken for independent: of an AUC by DeLong's variance, of means by their standard error.\n\n")
	}
}

// writeLimits says what the model cannot know.
func (c *card) writeLimits(b *strings.Builder) {
	b.WriteString("## Limits\n\nThe model knows what its train rows had: tokens that they did not have, or too rarely, are all one unknown token.\n")
	if c.measured == nil {
		b.WriteString("\n")
		return
	}
	listed := false
	for _, u := range c.measured.unknown {
		if u.share == 0 {
			continue
		}
		if !listed {
			b.WriteString("\n| column | tokens of the test rows | unknown |\n|---|---|---|\n")
			listed = true
		}
		fmt.Fprintf(b, "| %s | %.0f | %.2f %% |\n", escaped.Replace(u.column), u.tokens, 100*u.share)
	}
	if !listed && len(c.measured.unknown) > 0 {
		b.WriteString("The test rows have no unknown token.\n")
	}
	b.WriteString("\n")
}
