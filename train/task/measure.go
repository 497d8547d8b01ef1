package task

import (
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/metric"
)

// Measure hands the rows of batches to metrics, those of each of several tasks to its own. A row that lacks the label of a task, or has the
// weight 0, is not among those of the task.
type Measure struct {
	parts  []measured
	ranker Ranker // of a task that ranks a catalogue
	keep   bool
	ranked []float32 // logits for the ranker, if they are kept
}

// MeasureOptions are what a Measure may be told. The zero value is ready to use.
type MeasureOptions struct {
	Candidates int  // of a task that ranks a catalogue: see [Ranking]
	Keep       bool // logits are read after they were measured, and not overwritten
}

// measured is one task, its metrics, and the rows of a batch that it measures.
type measured struct {
	part    Part
	metrics []metric.Metric
	logits  []float32
	labels  []float32
	weights []float32
	group   []int64
}

// NewMeasure returns what hands rows of a schema to the metrics that the task has made.
func NewMeasure(t Task, sc *data.Schema, ms []metric.Metric, o MeasureOptions) (*Measure, error) {
	parts, err := Split(t, sc)
	if err != nil {
		return nil, err
	}
	m := &Measure{keep: o.Keep}
	if r, ok := t.(Ranking); ok {
		m.ranker = r.Ranker(o.Candidates)
	}
	if len(parts) == 1 {
		m.parts = []measured{{part: parts[0], metrics: ms}}
		return m, nil
	}
	for _, p := range parts {
		own, err := p.Task.Metrics()
		if err != nil {
			return nil, err
		}
		of := measured{part: p}
		for _, o := range own {
			for _, given := range ms {
				if given.Name() == metric.OfTask(o.Name(), p.Label) {
					of.metrics = append(of.metrics, given)
				}
			}
		}
		m.parts = append(m.parts, of)
	}
	return m, nil
}

// Add hands the rows of a batch, with their logits, to the metrics. Those of a catalogue are overwritten.
func (m *Measure) Add(z []float32, b *data.Batch) error {
	return m.Each(z, b, func(_ int, ms []metric.Metric, r metric.Rows) error {
		for _, to := range ms {
			if err := r.Add(to); err != nil {
				return err
			}
		}
		return nil
	})
}

// Each calls do with the rows of a batch that metrics read, for each task that has some: its number, its metrics, and the rows, which are valid
// until the next call. Logits of a catalogue are overwritten.
func (m *Measure) Each(z []float32, b *data.Batch, do func(part int, ms []metric.Metric, r metric.Rows) error) error {
	if m.ranker != nil {
		if m.keep {
			m.ranked = append(m.ranked[:0], z...)
			z = m.ranked
		}
		ranks, targets := m.ranker.Rank(z, b)
		return do(0, m.parts[0].metrics, metric.Rows{Logits: ranks, Labels: targets})
	}
	i := -1
	return m.each(z, b, func(p *measured, r metric.Rows) error {
		if i++; len(r.Labels) == 0 {
			return nil
		}
		return do(i, p.metrics, r)
	})
}

// Labels are what [metric.Labels] knows of the labels of each task.
type Labels struct {
	of []*metric.Labels // by part
	m  *Measure
}

// Labels returns what finds out which metrics are defined, from labels alone.
func (m *Measure) Labels() *Labels {
	l := &Labels{m: m}
	for range m.parts {
		l.of = append(l.of, &metric.Labels{})
	}
	return l
}

// Add counts the rows of a batch.
func (l *Labels) Add(b *data.Batch) {
	i := 0
	_ = l.m.each(nil, b, func(_ *measured, r metric.Rows) error { // which fails of nothing
		l.of[i].Add(r.Labels, r.Group)
		i++
		return nil
	})
}

// Undefined returns the metrics that are undefined for the rows so far.
func (l *Labels) Undefined() (list []*metric.Undefined) {
	for i, p := range l.m.parts {
		for _, m := range p.metrics {
			if u := l.of[i].Check(m.Name()); u != nil {
				list = append(list, u)
			}
		}
	}
	return list
}

// each calls do with the rows of each task. Without logits it has the labels alone.
func (m *Measure) each(z []float32, b *data.Batch, do func(p *measured, r metric.Rows) error) error {
	for i := range m.parts {
		p := &m.parts[i]
		r := metric.Rows{Logits: z, Labels: b.Targets()}
		if len(b.Labels) > 0 {
			r.Labels = b.Labels[i][:b.N]
		}
		if rows := len(r.Labels) == b.N; rows { // else they are masked words
			if b.Group != nil {
				r.Group = b.Group[:b.N]
			}
			if b.Weight != nil {
				r.Weights = b.Weight[:b.N]
			}
			if b.Weight != nil || len(b.Labels) > 0 {
				r = p.counting(r, len(z)/max(1, b.N))
			}
		}
		if err := do(p, r); err != nil {
			return err
		}
	}
	return nil
}

// counting returns those of the rows that count, with the task's own of their width logits.
func (p *measured) counting(r metric.Rows, width int) metric.Rows {
	lo, hi := p.part.Lo, p.part.Hi
	if hi < 0 {
		hi = width
	}
	p.logits, p.labels, p.weights, p.group = p.logits[:0], p.labels[:0], p.weights[:0], p.group[:0]
	for i, y := range r.Labels {
		if y != y || r.Weights != nil && r.Weights[i] == 0 {
			continue
		}
		p.labels = append(p.labels, y)
		if r.Logits != nil {
			p.logits = append(p.logits, r.Logits[i*width+lo:i*width+hi]...)
		}
		if r.Weights != nil {
			p.weights = append(p.weights, r.Weights[i])
		}
		if r.Group != nil {
			p.group = append(p.group, r.Group[i])
		}
	}
	out := metric.Rows{Logits: p.logits, Labels: p.labels}
	if r.Weights != nil {
		out.Weights = p.weights
	}
	if r.Group != nil {
		out.Group = p.group
	}
	return out
}
