package metric

import (
	"fmt"
	"math"
)

func init() {
	Register("spearman", Kind{New: newSpearman, Better: Higher, Reads: Number, Needs: Varying})
}

// Spearman is the Pearson correlation of the ranks of predictions and labels, where equal ones have the mean of their ranks. It is 0
// if all predictions are equal. It is undefined if all labels are equal. Up to 4 million rows are held in memory, and the rows beyond
// them in temporary files. Rows of equal predictions are held in memory together.
type Spearman struct {
	rows
	pairs sorter[row] // prediction and label
}

func newSpearman(name string, _ int) Metric {
	return &Spearman{rows: rows{name: name}, pairs: sorter[row]{kind: &groups}}
}

// ordered returns a whole number that is greater for a greater x.
func ordered(x float32) int64 {
	b := math.Float32bits(x + 0) // −0 + 0 is 0
	if b>>31 == 1 {
		return int64(^b)
	}
	return int64(b | 1<<31)
}

// Add implements [Metric].
func (m *Spearman) Add(logits, labels []float32, _ []int64) error {
	if err := m.values(logits, labels, nil); err != nil {
		return err
	}
	for i, x := range logits {
		if err := m.pairs.add(row{ordered(x), uint64(ordered(labels[i]))}); err != nil {
			return fmt.Errorf("metric: %s: %w", m.name, err)
		}
	}
	return nil
}

// Value implements [Metric].
func (m *Spearman) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	byLabel := sorter[row]{kind: m.pairs.kind, temp: m.pairs.temp} // label and twice the rank of the prediction
	defer byLabel.reset()
	var failed error
	var tie []uint64
	err := tied(&m.pairs, func(r row) { tie = append(tie, r.key) }, func(_, twice uint64) {
		for _, label := range tie {
			if err := byLabel.add(row{int64(label), twice}); err != nil {
				failed = err
			}
		}
		tie = tie[:0]
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return 0, fmt.Errorf("metric: %s: %w", m.name, err)
	}
	mean := float64(m.n + 1) // twice the mean of the ranks
	var xx, yy, xy, sum float64
	err = tied(&byLabel, func(r row) {
		d := float64(r.key) - mean
		sum += d
		xx += d * d
	}, func(n, twice uint64) {
		d := float64(twice) - mean
		xy += d * sum
		yy += d * d * float64(n)
		sum = 0
	})
	if err != nil {
		return 0, fmt.Errorf("metric: %s: %w", m.name, err)
	}
	return m.correlation(xx, yy, xy)
}

// tied goes through rows by group: one is called for each, end after the n rows of a group with twice the mean of their ranks, from 1.
func tied(s *sorter[row], one func(row), end func(n, twice uint64)) error {
	var at, n uint64 // rows before the group, and of it
	var group int64
	err := s.each(func(r row) {
		if r.group != group && n > 0 {
			end(n, 2*at+n+1)
			at, n = at+n, 0
		}
		group = r.group
		n++
		one(r)
	})
	if n > 0 && err == nil {
		end(n, 2*at+n+1)
	}
	return err
}

func (m *Spearman) spillInto(s Spill) { m.pairs.temp = s }

// Reset implements [Metric].
func (m *Spearman) Reset() {
	m.reset()
	m.pairs.reset()
}
