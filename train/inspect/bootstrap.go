package inspect

import (
	"errors"
	"math"
	"slices"

	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/train/metric"
)

// Estimate is a metric with its 95 % bootstrap interval; ends are NaN where there is none.
type Estimate struct{ Value, Low, High float64 }

const (
	// replicates is how many bootstrap samples are drawn.
	replicates = 400
	// sampleRows is how many rows a bootstrap draws from, at most.
	sampleRows = 5000
	// mostUndefined is the share of the samples in which a metric may be undefined, as an AUC without a positive, and still have an interval.
	mostUndefined = 0.05
)

// Sample keeps rows for a bootstrap, at most sampleRows of those that it is given, drawn without replacement. With groups it keeps whole ones,
// as long as they are no larger.
type Sample struct {
	groups  bool
	key     uint64
	rows    metric.Rows // logits, labels, weights and groups of the rows that are kept
	width   int         // logits of a row
	numbers []float64   // of the rows: the least ones are kept
	limit   float64     // rows of such a number and above are left out
	seen    int64
}

// NewSample returns a sample that draws by the stream of a key, groups of rows if that is wanted.
func NewSample(key uint64, groups bool) *Sample { return &Sample{key: key, groups: groups, limit: 1} }

// Add gives the sample rows. Whether a row is kept depends on its place among all that were added, or on its group.
func (s *Sample) Add(r metric.Rows) {
	if len(r.Labels) == 0 {
		return
	}
	s.width = len(r.Logits) / len(r.Labels)
	for i, y := range r.Labels {
		at := s.seen
		s.seen++
		if s.groups && r.Group != nil {
			at = r.Group[i]
		}
		u := rng.Float(s.key, at)
		if u >= s.limit {
			continue
		}
		if len(s.numbers) == 2*sampleRows {
			s.prune()
			if u >= s.limit {
				continue
			}
		}
		s.numbers = append(s.numbers, u)
		s.rows.Logits = append(s.rows.Logits, r.Logits[i*s.width:(i+1)*s.width]...)
		s.rows.Labels = append(s.rows.Labels, y)
		if r.Weights != nil {
			s.rows.Weights = append(s.rows.Weights, r.Weights[i])
		}
		if r.Group != nil {
			s.rows.Group = append(s.rows.Group, r.Group[i])
		}
	}
}

// prune leaves at most sampleRows rows.
func (s *Sample) prune() {
	if len(s.numbers) <= sampleRows {
		return
	}
	order := slices.Clone(s.numbers)
	slices.Sort(order)
	s.limit = order[sampleRows]
	n := 0
	for i, u := range s.numbers {
		if u >= s.limit {
			continue
		}
		s.numbers[n] = u
		copy(s.rows.Logits[n*s.width:(n+1)*s.width], s.rows.Logits[i*s.width:])
		s.rows.Labels[n] = s.rows.Labels[i]
		if s.rows.Weights != nil {
			s.rows.Weights[n] = s.rows.Weights[i]
		}
		if s.rows.Group != nil {
			s.rows.Group[n] = s.rows.Group[i]
		}
		n++
	}
	s.numbers, s.rows.Logits, s.rows.Labels = s.numbers[:n], s.rows.Logits[:n*s.width], s.rows.Labels[:n]
	s.rows.Weights, s.rows.Group = s.rows.Weights[:min(n, len(s.rows.Weights))], s.rows.Group[:min(n, len(s.rows.Group))]
}

// Rows returns the rows that are kept, which are those of a bootstrap.
func (s *Sample) Rows() metric.Rows {
	s.prune()
	return s.rows
}

// units returns the rows that are drawn together: those of a group, or each alone.
func (s *Sample) units() (list [][]int) {
	if !s.groups || s.rows.Group == nil {
		for i := range s.rows.Labels {
			list = append(list, []int{i})
		}
		return list
	}
	at := map[int64]int{}
	for i, g := range s.rows.Group {
		k, ok := at[g]
		if !ok {
			k = len(list)
			at[g], list = k, append(list, nil)
		}
		list[k] = append(list[k], i)
	}
	return list
}

// Resample calls do with bootstrap samples of the rows that are kept: as many as these, drawn with replacement (Efron and Tibshirani 1993, section
// 6). With groups, whole groups are drawn, and one that is drawn twice is two. The rows are valid until the next call.
func (s *Sample) Resample(do func(r metric.Rows) error) error {
	s.prune()
	units := s.units()
	var r metric.Rows
	for k := range replicates {
		g := rng.New(rng.Key(s.key, "bootstrap", k))
		r.Logits, r.Labels, r.Weights, r.Group = r.Logits[:0], r.Labels[:0], r.Weights[:0], r.Group[:0]
		for at := range units {
			for _, i := range units[g.IntN(len(units))] {
				r.Logits = append(r.Logits, s.rows.Logits[i*s.width:(i+1)*s.width]...)
				r.Labels = append(r.Labels, s.rows.Labels[i])
				if s.rows.Weights != nil {
					r.Weights = append(r.Weights, s.rows.Weights[i])
				}
				if s.rows.Group != nil {
					r.Group = append(r.Group, int64(at))
				}
			}
		}
		out := r
		if len(out.Weights) == 0 {
			out.Weights = nil
		}
		if len(out.Group) == 0 {
			out.Group = nil
		}
		if err := do(out); err != nil {
			return err
		}
	}
	return nil
}

// Interval returns the 95 % interval of a number whose value is that of all rows, and that of the rows that are kept is kept. drawn are those of
// the bootstrap samples, NaN where it is undefined. It is the percentile interval less the bias that the bootstrap finds (Efron and Tibshirani 1993,
// section 10.3), since errors of calibration are greater in every sample. Of a sample of a share p of all rows, the distances of its ends are
// multiplied by the square root of p, since the error of a mean falls with the number of rows. A number that is never negative, or never above 1,
// has no such end.
func (s *Sample) Interval(value, kept float64, drawn []float64) Estimate {
	e := Estimate{value, math.NaN(), math.NaN()}
	defined := slices.DeleteFunc(slices.Clone(drawn), func(v float64) bool { return v != v })
	if value != value || kept != kept || len(s.units()) < 2 || float64(len(drawn)-len(defined)) > mostUndefined*float64(len(drawn)) {
		return e
	}
	slices.Sort(defined)
	var mean float64
	for _, v := range defined {
		mean += v / float64(len(defined))
	}
	cut, last := max(len(defined)/40, 1), len(defined)-1
	narrow := math.Sqrt(s.limit)
	e.Low, e.High = value+narrow*(defined[cut-1]-mean), value+narrow*(defined[last-cut+1]-mean)
	if value >= 0 && defined[0] >= 0 {
		e.Low = max(0, e.Low)
	}
	if value <= 1 && defined[last] <= 1 {
		e.High = min(1, e.High)
	}
	return e
}

// Estimates returns metrics of rows with their intervals. ms have been given all rows, and fresh are metrics of the same names.
func (s *Sample) Estimates(ms, fresh []metric.Metric) ([]Estimate, error) {
	values := func(ms []metric.Metric) ([]float64, error) {
		list := make([]float64, len(ms))
		for i, m := range ms {
			v, err := m.Value()
			if errors.As(err, new(*metric.Undefined)) {
				v, err = math.NaN(), nil
			}
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	}
	of := func(r metric.Rows) ([]float64, error) {
		for _, m := range fresh {
			m.Reset()
			if len(r.Labels) == 0 {
				continue
			}
			if err := r.Add(m); err != nil {
				return nil, err
			}
		}
		return values(fresh)
	}
	all, err := values(ms)
	if err != nil {
		return nil, err
	}
	kept, err := of(s.Rows())
	if err != nil {
		return nil, err
	}
	drawn := make([][]float64, len(ms))
	err = s.Resample(func(r metric.Rows) error {
		list, err := of(r)
		for i, v := range list {
			drawn[i] = append(drawn[i], v)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]Estimate, len(ms))
	for i := range ms {
		out[i] = s.Interval(all[i], kept[i], drawn[i])
	}
	return out, nil
}
