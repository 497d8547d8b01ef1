package metric

func init() { Register("accuracy", Kind{New: newAccuracy, Better: Higher, Reads: Logit | Classes}) }

// Accuracy is the share of the rows whose class is predicted right. The predicted class is that of the greatest logit, and of
// equal ones the first. With one logit a row it is 1 if the logit is above 0, which is a probability above ½, else 0.
type Accuracy struct {
	rows
	right float64
}

func newAccuracy(name string, _ int) Metric { return &Accuracy{rows: rows{name: name}} }

// Add implements [Metric].
func (m *Accuracy) Add(logits, labels []float32, _ []int64) error {
	return m.AddWeighted(logits, labels, nil)
}

// AddWeighted implements [Weighted].
func (m *Accuracy) AddWeighted(logits, labels, weights []float32) error {
	return m.each(logits, labels, weights, func(p, y int, w float64) {
		if p == y {
			m.right += w
		}
	})
}

// Value implements [Metric].
func (m *Accuracy) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	return m.right / m.total, nil
}

// Reset implements [Metric].
func (m *Accuracy) Reset() {
	m.reset()
	m.right = 0
}
