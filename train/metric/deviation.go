package metric

import (
	"fmt"
	"math"
)

func init() {
	Register("mse", Kind{New: newDeviation(square, identity), Reads: Number})
	Register("rmse", Kind{New: newDeviation(square, math.Sqrt), Reads: Number})
	Register("mae", Kind{New: newDeviation(math.Abs, identity), Reads: Number})
}

// Deviation is a mean over the rows of what separates the predicted number x from the label y. It is mse, the mean of (x − y)²;
// rmse, the root of that; or mae, the mean of |x − y|.
type Deviation struct {
	rows
	sum      float64
	of       func(d float64) float64
	finished func(mean float64) float64
}

func newDeviation(of, finished func(float64) float64) func(string, int) Metric {
	return func(name string, _ int) Metric { return &Deviation{rows: rows{name: name}, of: of, finished: finished} }
}

func square(x float64) float64   { return x * x }
func identity(x float64) float64 { return x }

// Add implements [Metric].
func (m *Deviation) Add(logits, labels []float32, _ []int64) error {
	return m.AddWeighted(logits, labels, nil)
}

// AddWeighted implements [Weighted].
func (m *Deviation) AddWeighted(logits, labels, weights []float32) error {
	if err := m.values(logits, labels, weights); err != nil {
		return err
	}
	for i, x := range logits {
		m.sum += at(weights, i) * m.of(float64(x)-float64(labels[i]))
	}
	return nil
}

// Value implements [Metric].
func (m *Deviation) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	if math.IsInf(m.sum, 0) || math.IsNaN(m.sum) {
		return 0, fmt.Errorf("metric: %s: a prediction is infinite", m.name)
	}
	return m.finished(m.sum / m.total), nil
}

// Reset implements [Metric].
func (m *Deviation) Reset() {
	m.reset()
	m.sum = 0
}
