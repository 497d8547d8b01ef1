package metric

import (
	"fmt"
	"math"
)

func init() { Register("logloss", Kind{New: newLogloss, Reads: Logit}) }

// Logloss is the mean binary cross-entropy of the logits x and the labels y in [0, 1], without a clip:
//
//	−y·log σ(x) − (1−y)·log(1−σ(x)) = max(x, 0) − x·y + log(1 + e^−|x|)
type Logloss struct {
	rows
	sum float64
}

func newLogloss(name string, _ int) Metric { return &Logloss{rows: rows{name: name}} }

// Add implements [Metric].
func (m *Logloss) Add(logits, labels []float32, _ []int64) error {
	return m.AddWeighted(logits, labels, nil)
}

// AddWeighted implements [Weighted].
func (m *Logloss) AddWeighted(logits, labels, weights []float32) error {
	if err := m.addWeighted(logits, labels, weights); err != nil {
		return err
	}
	for i, l := range logits {
		if err := m.part(labels[i]); err != nil {
			return err
		}
		x, y := float64(l), float64(labels[i])
		m.sum += at(weights, i) * (max(x, 0) - x*y + math.Log1p(math.Exp(-math.Abs(x))))
	}
	return nil
}

// Value implements [Metric].
func (m *Logloss) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	if math.IsInf(m.sum, 0) || math.IsNaN(m.sum) {
		return 0, fmt.Errorf("metric: %s: a logit is infinite", m.name)
	}
	return m.sum / m.total, nil
}

// Reset implements [Metric].
func (m *Logloss) Reset() {
	m.reset()
	m.sum = 0
}
