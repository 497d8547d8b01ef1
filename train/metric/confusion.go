package metric

import "fmt"

// Confusion is a number that is computed from counts over the s rows: how often each class k was predicted (p_k), was the label
// (t_k), and was both (r_k). A row with a weight counts as so many.
type Confusion struct {
	rows
	predicted, label, right []float64
	of                      func(m *Confusion) float64
}

func newConfusion(of func(m *Confusion) float64) func(string, int) Metric {
	return func(name string, _ int) Metric { return &Confusion{rows: rows{name: name}, of: of} }
}

// Add implements [Metric].
func (m *Confusion) Add(logits, labels []float32, _ []int64) error {
	return m.AddWeighted(logits, labels, nil)
}

// AddWeighted implements [Weighted].
func (m *Confusion) AddWeighted(logits, labels, weights []float32) error {
	C, err := m.width(logits, labels)
	if err != nil {
		return err
	}
	C = max(2, C)
	if m.label == nil {
		m.predicted, m.label, m.right = make([]float64, C), make([]float64, C), make([]float64, C)
	}
	if C != len(m.label) {
		return fmt.Errorf("metric: %s: %d classes after %d", m.name, C, len(m.label))
	}
	return m.each(logits, labels, weights, func(p, y int, w float64) {
		m.predicted[p] += w
		m.label[y] += w
		if p == y {
			m.right[y] += w
		}
	})
}

// Value implements [Metric].
func (m *Confusion) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	return m.of(m), nil
}

// Reset implements [Metric].
func (m *Confusion) Reset() {
	m.reset()
	m.predicted, m.label, m.right = nil, nil, nil
}
