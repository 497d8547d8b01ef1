package table

import (
	"fmt"
	"io"
	"strings"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/train/metric"
)

// print writes the summary as text or Markdown.
func (s *summary) print(w io.Writer, markdown bool) error {
	head := []string{s.Metric + ", test", "mean", "sd", "minus best parent", string(s.Recipe) + " minus this", "share of ensemble's gain"}
	gap := false
	for _, x := range s.Rows {
		gap = gap || x.Gap != nil
	}
	if gap {
		head[5] = "share of gap to all data"
	}
	var body [][]string
	leftOut := false
	for _, x := range s.Rows {
		last := x.Ensemble
		if gap {
			last = x.Gap
		}
		if len(s.Passed) > 1 && last != nil && finite(last.Mean) && !finite(last.Low) { // a share of something around 0 can have any size
			last, leftOut = nil, true
		}
		body = append(body, []string{
			string(x.Name), metric.Format(float64(x.Mean), 5), x.deviation(), x.Parent.text("%+.5f", 1, ""), x.Recipe.text("%+.5f", 1, ""),
			last.text("%.0f", 100, " %"),
		})
	}
	label := ""
	if s.Synthetic {
		label = " (synthetic rows)"
	}
	if s.Protocol != "" {
		label += ", ranking " + s.Protocol
	}
	layout := report.Align
	if markdown {
		layout = func(head []string, body [][]string) string { return "\n" + report.Markdown(head, body) }
	}
	seeds := fmt.Sprintf("%d seeds", len(s.Passed))
	if len(s.Passed) == 1 {
		seeds = "1 seed"
	}
	_, err := fmt.Fprintf(w, "%s%s, %s; differences are paired, with 95 %% intervals\n%s%s\n", s.Name, label, seeds, layout(head, body),
		s.footnote(leftOut))
	return err
}

// footnote says what was passed on, and which shares are left out.
func (s *summary) footnote(leftOut bool) string {
	n := 0
	for _, p := range s.Passed {
		if p == compare.RowBestParent {
			n++
		}
	}
	var b strings.Builder
	if n > 0 {
		fmt.Fprintf(&b, "\nThe best parent was passed on in %d of %d seeds, since no merge was better on validation.\n", n, len(s.Passed))
	}
	if leftOut {
		b.WriteString("\nShares are left out where what they are of is not clearly above or below 0 itself.\n")
	}
	return b.String()
}

// text is the mean times a factor with its interval in brackets, or nothing.
func (i *interval) text(format string, factor report.Float, unit string) string {
	if i == nil || !finite(i.Mean) {
		return ""
	}
	f := func(v report.Float) string {
		s := fmt.Sprintf(format, float64(factor*v))
		if strings.Trim(s, "-0.") == "" { // no minus before 0
			s = fmt.Sprintf(format, 0.)
		}
		return s
	}
	if !finite(i.Low) || !finite(i.High) {
		return f(i.Mean) + unit
	}
	return f(i.Mean) + unit + " [" + f(i.Low) + ", " + f(i.High) + "]"
}

// deviation is the standard deviation. It is n/a where the mean is, and - for one seed.
func (x *tabled) deviation() string {
	if finite(x.Mean) && !finite(x.SD) {
		return "-"
	}
	return metric.Format(float64(x.SD), 5)
}

func finite(v report.Float) bool { return v-v == 0 }
