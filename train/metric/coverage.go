package metric

import "fmt"

func init() {
	Register("coverage", Kind{New: newCoverage, Cutoff: true, Better: Neither, Reads: Ranks})
}

// coverage is coverage@k: how many items are among the first k of any ranking.
type coverage struct {
	rows
	k     int
	items map[int32]struct{}
}

func newCoverage(name string, k int) Metric {
	return &coverage{rows: rows{name: name}, k: k, items: map[int32]struct{}{}}
}

// Add implements [Metric].
func (m *coverage) Add(logits, labels []float32, _ []int64) error {
	if len(labels) == 0 {
		return nil
	}
	C := len(logits) / len(labels)
	if C < RankWidth+m.k {
		return fmt.Errorf("metric: %s: the rankings have %d items at the top, want %d", m.name, C-RankWidth, m.k)
	}
	for i := range labels {
		m.n++
		for _, id := range logits[i*C+RankWidth:][:m.k] {
			m.items[int32(id)] = struct{}{}
		}
	}
	return nil
}

// Value implements [Metric].
func (m *coverage) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	return float64(len(m.items)), nil
}

// Reset implements [Metric].
func (m *coverage) Reset() {
	m.reset()
	clear(m.items)
}
