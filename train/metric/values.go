package metric

import (
	"fmt"
	"math"
)

// value checks the rows of a metric of numbers, and that the label is one.
func (r *rows) values(logits, labels []float32) error {
	for _, y := range labels {
		if y-y != 0 {
			return fmt.Errorf("metric: %s: label %v is not a number", r.name, y)
		}
	}
	return r.add(logits, labels)
}

// Deviation is a mean over the rows of what separates the predicted number x from the label y: mse, the mean of (x − y)²; rmse, its
// root; mae, the mean of |x − y|.
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
	if err := m.values(logits, labels); err != nil {
		return err
	}
	for i, x := range logits {
		m.sum += m.of(float64(x) - float64(labels[i]))
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
	return m.finished(m.sum / float64(m.n)), nil
}

// Reset implements [Metric].
func (m *Deviation) Reset() {
	m.reset()
	m.sum = 0
}

// Pearson is the correlation of the predictions with the labels:
//
//	Σ(x − x̄)(y − ȳ) / √(Σ(x − x̄)²·Σ(y − ȳ)²)
//
// It is 0 if all predictions are equal: they say nothing of the labels. Equal labels are an error.
type Pearson struct {
	rows
	x, y, xx, yy, xy float64 // means, and sums of products of deviations from them (Welford 1962)
}

func newPearson(name string, _ int) Metric { return &Pearson{rows: rows{name: name}} }

// Add implements [Metric].
func (m *Pearson) Add(logits, labels []float32, _ []int64) error {
	if err := m.values(logits, labels); err != nil {
		return err
	}
	n := float64(m.n - int64(len(labels)))
	for i, v := range logits {
		n++
		dx, dy := float64(v)-m.x, float64(labels[i])-m.y
		m.x += dx / n
		m.y += dy / n
		m.xx += dx * (float64(v) - m.x)
		m.yy += dy * (float64(labels[i]) - m.y)
		m.xy += dx * (float64(labels[i]) - m.y)
	}
	return nil
}

// Value implements [Metric].
func (m *Pearson) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	return m.correlation(m.xx, m.yy, m.xy)
}

// Reset implements [Metric].
func (m *Pearson) Reset() { *m = Pearson{rows: rows{name: m.name}} }

// correlation returns xy/√(xx·yy).
func (r *rows) correlation(xx, yy, xy float64) (float64, error) {
	switch v := xy / math.Sqrt(xx) / math.Sqrt(yy); {
	case yy == 0:
		return 0, fmt.Errorf("metric: %s: the labels of %d rows are all the same", r.name, r.n)
	case xx == 0:
		return 0, nil
	case v != v:
		return 0, fmt.Errorf("metric: %s: a prediction is infinite", r.name)
	default:
		return max(-1, min(1, v)), nil
	}
}
