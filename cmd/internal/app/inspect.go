package app

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/inspect"
	"github.com/splice-ml/splice/train/metric"
)

// PrintImportance prints the importances of columns as a table, and what is permuted together.
func PrintImportance(w io.Writer, im *job.Importances) error {
	p := &printer{w: w}
	p.printf("%s (%s%s): %s %s\n", im.Part, sampled(im.Rows, im.Of, im.Groups), protocolOf(im.Protocol), im.Metric, metric.Format(im.Value, 6))
	verb := "drops"
	if !im.Higher {
		verb = "rises"
	}
	p.printf("by how much %s %s when a column's values are permuted among the rows: mean of %d permutations, 95 %% interval\n\n", im.Metric, verb, im.Repeats)
	t := tabwriter.NewWriter(p, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s\tlow\thigh\t\n", map[bool]string{true: "drop", false: "rise"}[im.Higher])
	for _, c := range im.Columns {
		fmt.Fprintf(t, "%+.6f\t%s\t%s\t  %s\n", c.Drop, signed(c.Low), signed(c.High), c.Name)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range im.Columns {
		if c.Together != "" {
			p.printf("%s: %s are permuted together, since they are %s\n", c.Name, strings.Join(c.Features, ", "), c.Together)
		}
	}
	for _, c := range im.Columns {
		if len(c.Shares) > 0 {
			p.printf("%s: its embedding table is also that of %s, permuted apart\n", c.Name, strings.Join(c.Shares, ", "))
		}
	}
	return p.err
}

// PrintSlices prints the metrics of slices of rows, a table for each column.
func PrintSlices(w io.Writer, s *job.SliceScores) error {
	p := &printer{w: w}
	p.printf("%s (%d rows%s), 95 %% bootstrap intervals", s.Part, s.All.Rows, protocolOf(s.Protocol))
	for _, name := range s.Names {
		p.printf("; %s %s", name, estimate(s.All.Metrics, name))
	}
	p.printf("\n")
	for _, c := range s.Columns {
		switch c.Kind {
		case inspect.OfQuantiles:
			p.printf("\nby %s, in quantiles\n", c.Column)
		case inspect.OfLengths:
			p.printf("\nby the length of %s, in quantiles\n", c.Column)
		case inspect.OfTokens:
			p.printf("\nby %s (%d values; a row counts for each of its own)\n", c.Column, c.Found)
		default:
			p.printf("\nby %s (%d values)\n", c.Column, c.Found)
		}
		t := tabwriter.NewWriter(p, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(t, "rows\tshare\t%s\t  value\n", strings.Join(s.Names, "\t"))
		for _, one := range c.Slices {
			fmt.Fprintf(t, "%d\t%.1f %%\t", one.Rows, 100*one.Share)
			for _, name := range s.Names {
				fmt.Fprintf(t, "%s\t", estimate(one.Metrics, name))
			}
			fmt.Fprintf(t, "  %s\n", one.Value)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return p.err
}

// PrintCalibrated prints what a calibration is, and what it changes.
func PrintCalibrated(w io.Writer, c *job.Calibrated) error {
	p := &printer{w: w}
	for i, t := range c.Tasks {
		if i > 0 {
			p.printf("\n")
		}
		if t.Label != "" {
			p.printf("%s: ", t.Label)
		}
		switch m := t.Map; {
		case m.Temperature > 0:
			p.printf("temperature %.6g\n", m.Temperature)
		case m.Slope > 0:
			p.printf("platt: slope %.6g, intercept %.6g\n", m.Slope, m.Intercept)
		default:
			p.printf("isotonic: %d points\n", len(m.X))
		}
		for _, part := range t.Parts {
			p.printf("\n%s (%d rows), 95 %% bootstrap intervals\n", part.Part, part.Rows)
			if part.Rows == 0 {
				continue
			}
			table := tabwriter.NewWriter(p, 0, 0, 2, ' ', tabwriter.AlignRight)
			fmt.Fprint(table, "before\tafter\tchange\t\n")
			for k, name := range inspect.CalibrationErrors {
				one := part.Changes[k]
				fmt.Fprintf(table, "%s\t%s\t%s\t  %s\n", interval("%.5f", one.Before), interval("%.5f", one.After), interval("%+.5f", one.Change), name)
			}
			if err := table.Flush(); err != nil {
				return err
			}
		}
	}
	if len(c.Left) > 0 {
		p.printf("\nnot calibrated, since they are numbers: %s\n", strings.Join(c.Left, ", "))
	}
	p.printf("\nthe calibration and its figures are in %s; predictions are calibrated by evaluate, predict and serve with --calibrated\n", c.Dir)
	return p.err
}

// interval writes an estimate, its numbers by a format.
func interval(format string, e inspect.Estimate) string {
	if e.Low != e.Low {
		return fmt.Sprintf(format, e.Value)
	}
	return fmt.Sprintf(format+" ["+format+", "+format+"]", e.Value, e.Low, e.High)
}

// estimate writes a metric with its interval.
func estimate(m map[string]inspect.Estimate, name string) string {
	e, ok := m[name]
	switch {
	case !ok:
		return metric.Format(math.NaN(), 4)
	case e.Low != e.Low:
		return metric.Format(e.Value, 4)
	}
	return fmt.Sprintf("%s [%s, %s]", metric.Format(e.Value, 4), metric.Format(e.Low, 4), metric.Format(e.High, 4))
}

// signed writes a number with its sign, and n/a for one that is undefined.
func signed(v float64) string {
	if v != v {
		return metric.Format(v, 6)
	}
	return fmt.Sprintf("%+.6f", v)
}

// sampled says how many rows there are, and how many of them were drawn.
func sampled(rows, of int64, groups bool) string {
	switch {
	case rows == of:
		return fmt.Sprintf("%d rows", rows)
	case groups:
		return fmt.Sprintf("%d of %d rows, drawn in whole groups", rows, of)
	}
	return fmt.Sprintf("%d of %d rows, drawn", rows, of)
}

func protocolOf(protocol string) string {
	if protocol == "" {
		return ""
	}
	return "; " + protocol
}

// Write writes text, and keeps the first error.
func (p *printer) Write(b []byte) (int, error) {
	p.printf("%s", b)
	return len(b), p.err
}
