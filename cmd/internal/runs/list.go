package runs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/data/memory"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

// list prints the runs.
func (o *options) list(ctx context.Context, c *app.Command, args []string) error {
	if len(args) > 0 {
		return run.BadInput(errors.New("runs: list takes no arguments; say where runs are with --dir"))
	}
	var conditions []condition
	for _, w := range o.where {
		cond, err := parseCondition(w)
		if err != nil {
			return err
		}
		conditions = append(conditions, cond)
	}
	dirs, err := find(o.dir, o.trials)
	if err != nil {
		return err
	}
	runs := slices.DeleteFunc(read(o.dir, dirs), func(r *found) bool {
		return slices.ContainsFunc(conditions, func(c condition) bool { return !c.holds(r) })
	})
	order(runs, o.sort)
	t := listing(runs, metricsOf(runs, o.metrics))
	if o.html != "" {
		if err := o.page(ctx, c, t, nil, nil, "Runs in "+o.dir); err != nil {
			return err
		}
	}
	return t.print(c.Out)
}

// shownMetrics is how many metrics a table has, if nobody says which.
const shownMetrics = 3

// metricsOf returns the metrics that a table of runs has: those that were asked for, or those that most runs have. Of equally many, those
// come first that the task of a run has first.
func metricsOf(runs []*found, asked []string) []string {
	if len(asked) > 0 {
		return asked
	}
	count, place, seen := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, r := range runs {
		for _, of := range []run.Metrics{r.result.Valid, r.result.Test} {
			for name := range of {
				count[name]++
			}
		}
		if kind := r.result.Model + " " + r.result.Data; !seen[kind] { // the config of one of them says the order
			seen[kind] = true
			for i, name := range strings.Split(strings.Trim(r.key("task.metrics"), "[]"), ", ") {
				if name = strings.Trim(name, `"'`); place[name] == 0 {
					place[name] = i - 1000 // before those that no config has
				}
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(place[a], place[b]), cmp.Compare(a, b))
	})
	return names[:min(len(names), shownMetrics)]
}

// sheet is a table of texts.
type sheet struct {
	caption string
	head    []string
	rows    [][]string
	sort    map[string][]float64 // what the cells of a column are sorted by, if not by their text or number
}

// listing returns the table of runs.
func listing(runs []*found, metrics []string) *sheet {
	t := &sheet{caption: fmt.Sprintf("%d runs", len(runs)), head: []string{"name", "model", "data", "seed"}}
	for _, m := range metrics {
		t.head = append(t.head, "valid "+m, "test "+m)
	}
	t.head = append(t.head, "date", "size")
	t.sort = map[string][]float64{}
	for _, r := range runs {
		t.sort["size"] = append(t.sort["size"], float64(r.size))
		row := []string{r.name, r.result.Model, r.result.Data, fmt.Sprint(r.result.Seed)}
		if !r.done {
			row[0] += " (not finished)"
		}
		for _, m := range metrics {
			row = append(row, shown(r, "valid."+m), shown(r, "test."+m))
		}
		t.rows = append(t.rows, append(row, r.date.Local().Format(time.DateTime), memory.Format(float64(r.size))))
	}
	return t
}

func shown(r *found, name string) string {
	v, ok := r.metric(name)
	if !ok {
		return ""
	}
	return metric.Format(v, 6)
}

// print writes the table as Markdown.
func (t *sheet) print(w io.Writer) error {
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + strings.ReplaceAll(c, "|", `\|`) + " ")
		}
		b.WriteString("|\n")
	}
	line(t.head)
	line(slices.Repeat([]string{"---"}, len(t.head)))
	for _, r := range t.rows {
		line(r)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
