package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/metric"
)

// mostRows is the largest number of rows that a terminal shows in full.
const mostRows = 10

// Short returns the rows that matter most. A comparison of few rows is returned whole. Of a longer one, these are the best parent, the
// ensemble, the plain average, the published method, the merge, what was trained from it or in rounds, what is passed on, longer training, one run
// of equal compute and one model on all rows.
func (t *Table) Short() Rows {
	if len(t.Rows) <= mostRows {
		return t.Rows
	}
	names := []RowName{RowBestParent, RowEnsemble, RowAverage, RowCKI, RowMerge, RowMergeTrained, RowRounds, RowLonger, RowEqualCompute, RowAllData, t.Passed}
	return slices.DeleteFunc(slices.Clone(t.Rows), func(r Row) bool { return !slices.Contains(names, r.Name) })
}

// parents returns the rows of the parents.
func (rs Rows) parents() Rows {
	out := rs.named(RowBase, RowOther)
	for k := 1; ; k++ {
		r := rs.Get(numberedOther(k))
		if r == nil {
			return out
		}
		out = append(out, *r)
	}
}

// named returns the rows of these names, as far as there are such.
func (rs Rows) named(names ...RowName) Rows {
	var out Rows
	for _, name := range names {
		if r := rs.Get(name); r != nil {
			out = append(out, *r)
		}
	}
	return out
}

// results returns the rows of the merge: as configured, after the training that follows it, and of each further round.
func (rs Rows) results() Rows {
	out := rs.named(RowMerge, RowMergeTrained, RowRounds)
	for round := 2; ; round++ {
		r := rs.Get(RoundRow(round))
		if r == nil {
			return out
		}
		out = append(out, *r)
	}
}

// Words returns the result of the comparison in sentences. They say how good the parents are, what the merge gains over the best of
// them, what longer training and an ensemble gain, what the published method gains, and which model is passed on to the run in that
// directory. A sentence about rows that the comparison lacks is left out. The values are those of the test rows, or of the validation
// rows where there are no test rows or the metric is undefined for them.
func (t *Table) Words(run string) []string {
	w := words{Table: t, part: func(r *Row) report.Metrics { return r.Test }, label: "test " + t.Metric}
	parent := t.Rows.Get(RowBestParent)
	if parent == nil || len(t.Rows.results()) == 0 {
		return nil
	}
	if v, ok := parent.Test[t.Metric]; !ok || v != v {
		w.part, w.label = func(r *Row) report.Metrics { return r.Valid }, "valid "+t.Metric
	}
	if t.Synthetic {
		w.label += " (synthetic)"
	}
	merge := t.best(t.Rows.results())
	var out []string
	for _, s := range []string{w.parents(parent), w.merge(merge, parent), w.controls(merge), w.published(parent), w.passedOn(parent, run)} {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// best returns the row that is best on the validation rows.
func (t *Table) best(rows Rows) *Row {
	best := &rows[0]
	for i := range rows {
		if t.better(&rows[i], best) {
			best = &rows[i]
		}
	}
	return best
}

// better reports whether row a is better than row b on the validation rows.
func (t *Table) better(a, b *Row) bool {
	return metric.Better(t.Metric, a.Valid[t.Metric], b.Valid[t.Metric])
}

// words writes the sentences about a table.
type words struct {
	*Table
	part  func(*Row) report.Metrics // returns the metrics that the sentences quote: of the test rows, or of the validation rows
	label string                    // what the sentences call the metric
}

// value returns a row's value as it is shown, and whether there is one.
func (w words) value(r *Row) (float64, bool) {
	if r == nil {
		return 0, false
	}
	v, ok := w.part(r)[w.Metric]
	return math.Round(v*1e4) / 1e4, ok && v-v == 0
}

// gain returns by how much a is better than b.
func (w words) gain(a, b float64) float64 {
	if metric.HigherIsBetter(w.Metric) {
		return a - b
	}
	return b - a
}

// against says how a compares with b: "0.0012 better than", for example.
func (w words) against(a, b float64) string {
	switch g := w.gain(a, b); {
	case g > 0:
		return fmt.Sprintf("%.4f better than", g)
	case g < 0:
		return fmt.Sprintf("%.4f worse than", -g)
	default:
		return "as good as"
	}
}

// betterParent returns what a sentence calls the best parent.
func (w words) betterParent() string {
	if len(w.Rows.parents()) > 2 {
		return "the best parent"
	}
	return "the better parent"
}

func (w words) parents(parent *Row) string {
	v, ok := w.value(parent)
	rows := w.Rows.parents()
	if !ok || len(rows) < 2 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "The %d parents", len(rows))
	switch w.SplitBy {
	case "":
	case data.ByRows:
		b.WriteString(" saw other rows (split at random)")
	case data.ByOrder:
		b.WriteString(" saw other rows (split in their order)")
	default:
		fmt.Fprintf(&b, " saw other rows (split by %s)", w.SplitBy)
	}
	fmt.Fprintf(&b, ": %s on validation rows has %s %.4f", w.betterParent(), w.label, v)
	// The best parent's row is a copy of one of theirs.
	skip := slices.IndexFunc(rows, func(r Row) bool { return r.Valid[w.Metric] == parent.Valid[w.Metric] })
	var others []float64
	for i := range rows {
		if x, ok := w.value(&rows[i]); ok && i != skip {
			others = append(others, x)
		}
	}
	slices.Sort(others)
	switch n := len(others); {
	case n == 1:
		fmt.Fprintf(&b, ", the other one %.4f", others[0])
	case n > 1:
		fmt.Fprintf(&b, ", the others %.4f to %.4f", others[0], others[n-1])
	}
	return b.String() + "."
}

// subject names the row of a merge at the start of a sentence.
func (w words) subject(r *Row) string {
	switch r.Name {
	case RowMerge:
		return "The merge, one model of their size,"
	case RowRounds:
		return "The model that was trained on the shards in rounds, of their size,"
	case RowMergeTrained:
		return "The merge with the training after it, one model of their size,"
	}
	round := 2
	for RoundRow(round) != r.Name && round < len(w.Rows) {
		round++
	}
	return fmt.Sprintf("The merge (round %d), one model of their size,", round)
}

func (w words) merge(merge, parent *Row) string {
	v, ok := w.value(merge)
	p, ok2 := w.value(parent)
	if !ok || !ok2 {
		return ""
	}
	s := fmt.Sprintf("%s has %s %.4f: %s %s", w.subject(merge), w.label, v, w.against(v, p), w.betterParent())
	all, ok := w.value(w.Rows.Get(RowAllData))
	if !ok {
		return s + "."
	}
	gain, gap := w.gain(v, p), w.gain(all, p)
	switch {
	case gap <= 0:
		s += fmt.Sprintf("; one model trained on all rows has %.4f, which is no better than that parent", all)
	case gain <= 0:
		s += fmt.Sprintf("; one model trained on all rows has %.4f", all)
	case gain >= gap:
		s += fmt.Sprintf(", and no worse than one model trained on all rows (%.4f)", all)
	default:
		s += fmt.Sprintf(", %.0f %% of the way to one model trained on all rows (%.4f)", 100*gain/gap, all)
	}
	return s + "."
}

func (w words) controls(merge *Row) string {
	m, ok := w.value(merge)
	if !ok {
		return ""
	}
	n := len(w.Rows.parents())
	var parts []string
	if v, ok := w.value(w.Rows.Get(RowLonger)); ok {
		parts = append(parts, fmt.Sprintf("training one parent %d times as long gives %.4f, %s the merge", n, v, w.against(v, m)))
	}
	if v, ok := w.value(w.Rows.Get(RowEqualCompute)); ok {
		parts = append(parts, fmt.Sprintf("one run of as many steps as all of this, at the best of several rates, gives %.4f, %s the merge", v, w.against(v, m)))
	}
	if v, ok := w.value(w.Rows.Get(RowEnsemble)); ok {
		parts = append(parts, fmt.Sprintf("the ensemble of the parents, %d models to serve, has %.4f, %s the merge", n, v, w.against(v, m)))
	}
	return sentence(strings.Join(parts, "; "))
}

func (w words) published(parent *Row) string {
	v, ok := w.value(w.Rows.Get(RowCKI))
	p, ok2 := w.value(parent)
	if !ok || !ok2 {
		return ""
	}
	return fmt.Sprintf("The published CKI, which splices the heads alone, has %.4f: %s %s.", v, w.against(v, p), w.betterParent())
}

func (w words) passedOn(parent *Row, run string) string {
	why := ""
	switch passed := w.Rows.Get(w.Passed); {
	case w.Guarded:
		why = ", since no merge is better on the validation rows"
	case passed != nil && w.better(parent, passed):
		why = ", although " + w.betterParent() + " is better on the validation rows: merge.guard is off"
	}
	return fmt.Sprintf("The model passed on: %s%s; use it with `go run ./cmd/predict --run %s --in ROWS --out -`.", w.Passed, why, run)
}

// sentence returns a clause as a sentence. An empty clause stays empty.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
