package report

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/splice-ml/splice/train/metric"
)

// Table lays the rows of a comparison out for a terminal. Each has a line with the named metrics on validation and test rows in their
// order, or with all metrics by name if none is named. What is missing is "-". The text ends in a newline.
func Table(rows []Row, metrics []string) string {
	head, body := cells(rows, metrics)
	return Align(head, body)
}

// cells returns the head and the lines of a comparison: name, metrics, seconds and note.
func cells(rows []Row, metrics []string) (head []string, body [][]string) {
	if len(metrics) == 0 {
		metrics = metricNames(rows)
	}
	test := false
	for _, r := range rows {
		test = test || len(r.Test) > 0
	}
	head = []string{"row"}
	for _, m := range metrics {
		head = append(head, "valid "+m)
	}
	if test {
		for _, m := range metrics {
			head = append(head, "test "+m)
		}
	}
	head = append(head, "seconds", "note")
	for _, r := range rows {
		line := []string{r.Name}
		for _, m := range metrics {
			line = append(line, r.Valid.cell(m))
		}
		if test {
			for _, m := range metrics {
				line = append(line, r.Test.cell(m))
			}
		}
		body = append(body, append(line, fmt.Sprintf("%.1f", r.Seconds), r.Note))
	}
	return head, body
}

// cell formats a metric. It is "-" if the metric is missing or infinite, and "n/a" if it is undefined.
func (m Metrics) cell(name string) string {
	v, ok := m[name]
	switch {
	case !ok:
		return "-"
	case math.IsNaN(v):
		return metric.Format(v, 5)
	}
	return number(v, 5)
}

func number(v float64, digits int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

// Align lays lines of cells out in columns two spaces apart, with numbers to the right. A line may be shorter than the head, but not
// longer.
func Align(head []string, body [][]string) string {
	all := append([][]string{head}, body...)
	width := make([]int, len(head))
	for _, line := range all {
		for i, c := range line {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	right := numeric(len(head), body)
	var b strings.Builder
	for _, line := range all {
		var s strings.Builder
		for i, c := range line {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if i > 0 {
				s.WriteString("  ")
			}
			if right[i] {
				s.WriteString(pad + c)
			} else {
				s.WriteString(c + pad)
			}
		}
		b.WriteString(strings.TrimRight(s.String(), " ") + "\n")
	}
	return b.String()
}

// numeric reports which columns hold numbers, "n/a" or "-": all of their cells that are not empty, and there are some. The first one names
// the lines, whatever it holds.
func numeric(columns int, body [][]string) []bool {
	out := make([]bool, columns)
	for i := 1; i < columns; i++ {
		some, all := false, true
		for _, line := range body {
			if i < len(line) && line[i] != "" {
				some, all = true, all && (line[i] == "n/a" || strings.ContainsRune("0123456789+-", rune(line[i][0])))
			}
		}
		out[i] = some && all
	}
	return out
}

// Markdown lays lines of cells out as a Markdown table, with numbers to the right.
func Markdown(head []string, body [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for i := range head {
			c := ""
			if i < len(cells) {
				c = escape(cells[i])
			}
			b.WriteString("| " + c + " ")
		}
		b.WriteString("|\n")
	}
	line(head)
	for _, right := range numeric(len(head), body) {
		if right {
			b.WriteString("|---:")
		} else {
			b.WriteString("|---")
		}
	}
	b.WriteString("|\n")
	for _, c := range body {
		line(c)
	}
	return b.String()
}

// escape keeps a cell's text from being read as markup or as the end of the cell.
func escape(s string) string {
	return strings.NewReplacer("\n", " ", "|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "`", "\\`").Replace(s)
}
