package inspect

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/task"
)

// Slice is some of the rows, and the metrics on them.
type Slice struct {
	Value   string
	Rest    bool // it has the rows of all values that have no slice of their own
	Rows    int64
	Share   float64             // of all rows
	Metrics map[string]Estimate // by name
}

// Sliced are the slices of a column, in the order of their values: the most frequent first, numbers ascending.
type Sliced struct {
	Column string
	Kind   string // of slices, such as OfValues
	Found  int    // values that there are; 0 of numbers
	Slices []Slice
}

// Slicer measures a model on slices of rows.
type Slicer struct {
	columns []*Values
	all     *slot
	slots   [][]*slot // by column and slice
	task    task.Task
	schema  *data.Schema
	options SlicerOptions
	list    []int // the slices of a row
	scratch []int
}

// SlicerOptions say how slices are measured.
type SlicerOptions struct {
	Seed     uint64   // what is drawn for the intervals of slice v of column c is drawn by streams (Seed, "slice", c, v)
	Metrics  []string // of the task's; none: all
	Evaluate train.EvaluateOptions
}

// slot is a slice while it is measured.
type slot struct {
	rows    int64
	at      []int // rows of the batch
	batch   *data.Batch
	logits  []float32
	measure *task.Measure
	key     uint64
	metrics []metric.Metric
	parts   []partOf
	err     error
	found   map[string]Estimate
}

// partOf are the metrics of one of the tasks, and the rows of its intervals.
type partOf struct {
	metrics []metric.Metric
	sample  *Sample
}

// NewSlicer returns what measures rows of a schema, by columns whose slices are planned.
func NewSlicer(t task.Task, sc *data.Schema, columns []*Values, o SlicerOptions) (*Slicer, error) {
	s := &Slicer{columns: columns, task: t, schema: sc, options: o}
	var err error
	if s.all, err = s.slot(rng.Key(o.Seed, "slice")); err != nil {
		return nil, err
	}
	for _, c := range columns {
		var list []*slot
		for k := range c.Names {
			one, err := s.slot(rng.Key(o.Seed, "slice", c.Column, k))
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		s.slots = append(s.slots, list)
	}
	return s, nil
}

func (s *Slicer) slot(key uint64) (*slot, error) {
	one := &slot{key: key}
	ms, err := s.task.Metrics()
	if err != nil {
		return nil, err
	}
	if len(s.options.Metrics) > 0 {
		ms = slices.DeleteFunc(ms, func(m metric.Metric) bool { return !slices.Contains(s.options.Metrics, m.Name()) })
	}
	one.metrics = ms
	s.options.Evaluate.SpillMetrics(ms)
	one.measure, err = task.NewMeasure(s.task, s.schema, ms, task.MeasureOptions{Candidates: s.options.Evaluate.Candidates})
	return one, err
}

// Add measures the rows of a batch. cells are those of a row in columns of the file, by column; nil of features.
func (s *Slicer) Add(z []float32, b *data.Batch, cells func(row, column int) []byte) error {
	for i := range b.N {
		s.all.at = append(s.all.at, i)
		for c, v := range s.columns {
			s.list = v.Slices(b, cells(i, c), i, s.list[:0], s.scratch)
			for _, k := range s.list {
				s.slots[c][k].at = append(s.slots[c][k].at, i)
			}
		}
	}
	for one := range s.each() {
		if err := one.add(z, b); err != nil {
			return err
		}
	}
	return nil
}

func (s *Slicer) each() func(func(*slot) bool) {
	return func(yield func(*slot) bool) {
		if !yield(s.all) {
			return
		}
		for _, list := range s.slots {
			for _, one := range list {
				if !yield(one) {
					return
				}
			}
		}
	}
}

// add measures the rows of a batch that are the slot's.
func (o *slot) add(z []float32, b *data.Batch) error {
	if len(o.at) == 0 {
		return nil
	}
	if o.batch == nil || o.batch.Size < b.Size {
		o.batch = &data.Batch{Size: b.Size, Label: make([]float32, b.Size)}
	}
	width := len(z) / b.N
	of := o.batch
	of.N, of.LastOnly = len(o.at), b.LastOnly
	o.logits = o.logits[:0]
	for k, i := range o.at {
		of.Label[k] = b.Label[i]
		o.logits = append(o.logits, z[i*width:(i+1)*width]...)
	}
	of.Group, of.Weight, of.Seen = picked(of.Group[:0], b.Group, o.at), picked(of.Weight[:0], b.Weight, o.at), picked(of.Seen[:0], b.Seen, o.at)
	of.Labels = nil
	for _, labels := range b.Labels {
		of.Labels = append(of.Labels, picked(nil, labels, o.at))
	}
	o.rows += int64(len(o.at))
	o.at = o.at[:0]
	return o.measure.Each(o.logits, of, func(part int, ms []metric.Metric, r metric.Rows) error {
		for part >= len(o.parts) {
			o.parts = append(o.parts, partOf{})
		}
		p := &o.parts[part]
		if p.sample == nil {
			groups := slices.ContainsFunc(ms, func(m metric.Metric) bool { return metric.ByGroup(m.Name()) })
			p.metrics, p.sample = ms, NewSample(rng.Key(o.key, "part", part), groups && r.Group != nil)
		}
		p.sample.Add(r)
		for _, m := range ms {
			if err := r.Add(m); err != nil {
				return err
			}
		}
		return nil
	})
}

// picked appends the values of rows; nil of none.
func picked[T any](to, from []T, rows []int) []T {
	if from == nil {
		return nil
	}
	for _, i := range rows {
		to = append(to, from[i])
	}
	return to
}

// Close forgets the rows.
func (s *Slicer) Close() {
	for one := range s.each() {
		for _, m := range one.metrics {
			m.Reset()
		}
	}
}

// estimate finds the metrics with their intervals. Those of a task without rows are missing.
func (o *slot) estimate() error {
	o.found = map[string]Estimate{}
	for _, p := range o.parts {
		if p.sample == nil {
			continue
		}
		var fresh []metric.Metric
		for _, m := range p.metrics {
			f, err := metric.New(m.Name())
			if err != nil {
				return err
			}
			fresh = append(fresh, f)
		}
		list, err := p.sample.Estimates(p.metrics, fresh)
		if err != nil {
			return err
		}
		for i, m := range p.metrics {
			o.found[m.Name()] = list[i]
		}
	}
	return nil
}

// Result returns the metrics of all rows, and those of the slices of each column. Slices without rows are left out.
func (s *Slicer) Result() (all Slice, columns []Sliced, err error) {
	list := slices.Collect(s.each())
	kernel.Parallel(len(list), func(i int) { list[i].err = list[i].estimate() })
	var errs []error
	for _, one := range list {
		errs = append(errs, one.err)
	}
	if err := errors.Join(errs...); err != nil {
		return all, nil, err
	}
	all = Slice{Rows: s.all.rows, Share: 1, Metrics: s.all.found}
	for c, v := range s.columns {
		out := Sliced{Column: v.Column, Kind: v.Kind, Found: v.Found}
		for k, one := range s.slots[c] {
			if one.rows > 0 {
				out.Slices = append(out.Slices, Slice{v.Names[k], v.number == nil && k == mostSlices, one.rows, float64(one.rows) / float64(max(1, s.all.rows)), one.found})
			}
		}
		columns = append(columns, out)
	}
	return all, columns, nil
}

// BySize orders slices by their rows, the largest first.
func BySize(a, b Slice) int { return cmp.Compare(b.Rows, a.Rows) }

// ByMetric returns what orders slices by a metric, the worst first, and those last whose metric is undefined.
func ByMetric(name string) func(a, b Slice) int {
	sign := -1
	if metric.HigherIsBetter(name) {
		sign = 1
	}
	value := func(s Slice) float64 {
		if e, ok := s.Metrics[name]; ok {
			return e.Value
		}
		return math.NaN()
	}
	return func(a, b Slice) int {
		x, y := value(a), value(b)
		switch {
		case x != x && y != y:
			return 0
		case x != x:
			return 1
		case y != y:
			return -1
		}
		return sign * cmp.Compare(x, y)
	}
}
