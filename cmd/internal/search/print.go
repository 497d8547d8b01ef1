package search

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/splice-ml/splice/configs/search"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

// show prints what a study came to, and writes its figure and its page.
func show(w io.Writer, r *search.Result, config string, set []string) error {
	text := markdown(r)
	if err := write(r, config, set); err != nil {
		return err
	}
	_, err := io.WriteString(w, text)
	return err
}

// markdown returns the table of trials, the best one, and what the keys matter.
func markdown(r *search.Result) string {
	var b strings.Builder
	name, _ := r.Monitor()
	head := []string{"trial"}
	for _, p := range r.Params {
		head = append(head, p.Path)
	}
	head = append(head, "evaluations", "state", name)
	if r.Seeds > 1 {
		head = append(head, "± sd")
	}
	line(&b, head)
	line(&b, slices.Repeat([]string{"---"}, len(head)))
	for _, t := range r.Trials {
		line(&b, row(r, t))
	}
	fmt.Fprintf(&b, "\n%s\n", count(r))
	fmt.Fprintf(&b, "best: trial %d, %s\n", r.Best.Number, r.Settings(r.Best.Values))
	fmt.Fprintf(&b, "valid:%s\n", values(r.Metrics, []run.Metrics{r.Best.Metrics}))
	if r.Test != nil {
		fmt.Fprintf(&b, "test, measured for this trial alone:%s\n", values(r.Metrics, r.Test))
	}
	fmt.Fprintf(&b, "\nshare of the variance of %s between trials that goes with a key alone:\n\n", name)
	line(&b, []string{"key", "share"})
	line(&b, []string{"---", "---"})
	for _, i := range sorted(r.Importances) {
		line(&b, []string{i.Path, share(i.Share)})
	}
	fmt.Fprintf(&b, "\nconfig %s, page %s\n", r.Config, pagePath(r))
	return b.String()
}

// row returns the cells of a trial.
func row(r *search.Result, t *search.Trial) []string {
	out := []string{fmt.Sprint(t.Number)}
	if t == r.Best {
		out[0] = "**" + out[0] + "**"
	}
	for i, p := range r.Params {
		out = append(out, p.Text(t.Values[i]))
	}
	out = append(out, evaluations(t), string(t.State), metric.Format(t.Value(), 6))
	if r.Seeds > 1 {
		out = append(out, metric.Format(deviation(t.Valid), 6))
	}
	return out
}

func evaluations(t *search.Trial) string {
	if t.Evaluations == 0 {
		return ""
	}
	return fmt.Sprint(t.Evaluations)
}

// count says how many trials ended in which way.
func count(r *search.Result) string {
	n := map[search.State]int{}
	for _, t := range r.Trials {
		n[t.State]++
	}
	return fmt.Sprintf("%d trials by %s: %d trained to their end, %d stopped early, %d diverged", len(r.Trials), r.Method, n[search.Complete],
		n[search.Stopped], n[search.Diverged])
}

// values returns the means of metrics over trainings, with their standard deviations if there are several.
func values(names []string, of []run.Metrics) string {
	var b strings.Builder
	for _, name := range names {
		var list []float64
		for _, m := range of {
			if v, ok := m[name]; ok {
				list = append(list, v)
			}
		}
		if len(list) == 0 {
			continue
		}
		sum := 0.0
		for _, v := range list {
			sum += v
		}
		fmt.Fprintf(&b, " %s %s", name, metric.Format(sum/float64(len(list)), 6))
		if len(list) > 1 {
			fmt.Fprintf(&b, " ± %s", metric.Format(deviation(list), 6))
		}
	}
	return b.String()
}

// deviation returns the standard deviation of a sample; NaN if it has fewer than two values.
func deviation(list []float64) float64 {
	if len(list) < 2 {
		return math.NaN()
	}
	mean, sum := 0.0, 0.0
	for _, v := range list {
		mean += v / float64(len(list))
	}
	for _, v := range list {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum / float64(len(list)-1))
}

// sorted returns importances, the greatest first.
func sorted(list []search.Importance) []search.Importance {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b search.Importance) int {
		switch x, y := a.Share, b.Share; {
		case x > y || x == x && y != y:
			return -1
		case x < y || x != x && y == y:
			return 1
		}
		return 0
	})
	return list
}

func share(v float64) string {
	if v != v {
		return "n/a"
	}
	return fmt.Sprintf("%.2f", v)
}

func line(b *strings.Builder, cells []string) {
	b.WriteByte('|')
	for _, c := range cells {
		b.WriteString(" " + strings.ReplaceAll(c, "|", `\|`) + " |")
	}
	b.WriteByte('\n')
}
