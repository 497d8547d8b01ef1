package app

import (
	"fmt"
	"io"
	"strings"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/memory"
	"github.com/splice-ml/splice/train/metric"
)

// PrintResult prints what a training came to.
func PrintResult(w io.Writer, r *job.Result) error {
	p := &printer{w: w}
	note := ""
	if r.Synthetic {
		note = " (synthetic)"
	}
	p.printf("%s on %s%s, seed %d: %d steps, %.1f s of training, %.0f samples/s, best at epoch %d; run in %s\n",
		r.Model, r.Data, note, r.Seed, r.Steps, r.Train.Seconds, r.Train.SamplesPerSec, r.BestEpoch, r.Dir)
	if r.Protocol != "" {
		p.printf("ranked are %s\n", r.Protocol)
	}
	if r.Start != nil {
		p.printf("valid%s before, the starting weights:%s\n", note, values(r.Start, r.Metrics))
	}
	if r.Valid != nil {
		p.printf("valid%s:%s\n", note, values(r.Valid, r.Metrics))
	}
	if r.Worse() {
		p.printf("training made %s on the validation rows worse: the starting weights, %s, are the better model\n", r.Monitor, r.From)
	}
	if r.Test != nil {
		p.printf("test%s:%s\n", note, values(r.Test, r.Metrics))
	}
	if best := r.Reachable; best != nil {
		p.printf("best reachable on these test rows, by their true probabilities: auc %.6f logloss %.6f\n", best["auc"], best["logloss"])
		if auc, ok := r.Test["auc"]; ok && auc == auc {
			p.printf("the model's auc is %.1f %% of the way from 0.5 to it\n", 100*(auc-0.5)/(best["auc"]-0.5))
		}
	}
	return p.err
}

// PrintMerged prints what a merge came to: the rows that matter most of its comparison, and what they say in words.
func PrintMerged(w io.Writer, m *job.Merged) error {
	p := &printer{w: w}
	if m.Table == nil {
		p.printf("merged %d checkpoints, %d tensors, into %s; it was not evaluated: the config has no data and model\n",
			m.Counts.Parents, m.Counts.Tensors, m.Model)
		return p.err
	}
	t := m.Table
	label, more := "", ""
	if t.Synthetic {
		label = " (synthetic)"
	}
	rows := t.Short()
	if len(rows) < len(t.Rows) {
		more = fmt.Sprintf("; all %d rows are in %s", len(t.Rows), m.Rows)
	}
	if t.Protocol != "" {
		label += ", ranking " + t.Protocol
	}
	p.printf("%s on %s%s, seed %d%s\n%s", t.Model, t.Data, label, t.Seed, more, report.Table(rows.Report(), m.Metrics))
	if len(t.Reachable) > 0 {
		p.printf("best reachable on these test rows, by their true probabilities: auc %.5f logloss %.5f\n",
			t.Reachable["auc"], t.Reachable["logloss"])
	}
	if words := t.Words(m.Dir); len(words) > 0 {
		p.printf("\n%s\n", strings.Join(words, "\n"))
	}
	return p.err
}

// PrintScores prints the metrics of a model on some rows. mode says how an ensemble's predictions become one; it is empty for a run
// alone. Metrics that are undefined are n/a, and a line each says why.
func PrintScores(w io.Writer, s job.Scores, mode string) error {
	model := ""
	switch {
	case s.Model != "":
		model = ", " + s.Model
	case mode != "":
		model = fmt.Sprintf(", ensemble (mean of %s)", mode)
	}
	p := &printer{w: w}
	protocol := ""
	if s.Protocol != "" {
		protocol = "; " + s.Protocol
	}
	switch s.Tables {
	case "":
	case job.Difference:
		p.printf("%s%s, int8 less float32:%s\n", s.Part, model, changes(s.Metrics, s.Names))
		return p.err
	default:
		model += ", " + s.Tables + " tables"
	}
	p.printf("%s (%d rows%s)%s:%s\n", s.Part, s.Rows, protocol, model, values(s.Metrics, s.Names))
	for _, u := range s.Undefined {
		p.printf("%s is undefined on %s: %s\n", u.Metric, s.Part, u.Reason)
	}
	return p.err
}

// values writes metrics in the given order: " auc 0.812345 logloss 0.441234".
func values(m map[string]float64, order []string) string {
	var b strings.Builder
	for _, k := range order {
		if v, ok := m[k]; ok {
			fmt.Fprintf(&b, " %s %s", k, metric.Format(v, 6))
		}
	}
	return b.String()
}

// changes writes differences of metrics in the given order, with their signs: " auc -0.000012".
func changes(m map[string]float64, order []string) string {
	var b strings.Builder
	for _, k := range order {
		v, ok := m[k]
		switch {
		case !ok:
		case v != v:
			fmt.Fprintf(&b, " %s %s", k, metric.Format(v, 6))
		default:
			fmt.Fprintf(&b, " %s %+.6f", k, v)
		}
	}
	return b.String()
}

// PrintTables prints how the tables of runs are held. It prints nothing of runs without int8 tables.
func PrintTables(w io.Writer, e *job.Ensemble) error {
	p := &printer{w: w}
	for i, t := range e.Tables {
		if len(t.Int8) == 0 {
			continue
		}
		kept := t.Kept()
		if kept != "" {
			kept = "; " + kept
		}
		p.printf("tables of %s: %s as float32, %s with %d of %d as int8%s\n", e.Runs[i].Dir, memory.Format(t.Float32), memory.Format(t.Held),
			len(t.Int8), t.All, kept)
	}
	return p.err
}

// printer keeps the first error of what it prints.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// PrintParents prints the parents of a merge, which fit together.
func PrintParents(w io.Writer, parents []*cki.Parent) error {
	p := &printer{w: w}
	if len(parents) == 0 {
		p.printf("no parents are given: the regime makes them, so they fit\n")
		return p.err
	}
	for _, q := range parents {
		p.printf("%s: %d tensors\n", q.Name, len(q.Tensors()))
	}
	p.printf("the parents fit together\n")
	return p.err
}

// PrintData prints how many rows the parts of a data set have, and how many ids its tables.
func PrintData(w io.Writer, d *data.Splits) error {
	p := &printer{w: w}
	for i, src := range []data.Source{d.Train, d.Valid, d.Test} {
		if src != nil {
			p.printf("%s: %d rows\n", data.Part(i), src.Rows())
		}
	}
	for _, t := range d.Map.Tables {
		if t.Hash > 0 {
			p.printf("%s: %d buckets\n", t.Name, t.Hash)
		} else {
			p.printf("%s: %d tokens\n", t.Name, len(t.Tokens))
		}
	}
	return p.err
}
