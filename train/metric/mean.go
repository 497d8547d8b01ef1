package metric

import (
	"fmt"
	"math"
)

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
	if err := m.add(logits, labels); err != nil {
		return err
	}
	for i, l := range logits {
		if err := m.part(labels[i]); err != nil {
			return err
		}
		x, y := float64(l), float64(labels[i])
		m.sum += max(x, 0) - x*y + math.Log1p(math.Exp(-math.Abs(x)))
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
	return m.sum / float64(m.n), nil
}

// Reset implements [Metric].
func (m *Logloss) Reset() {
	m.reset()
	m.sum = 0
}

// Calibration is the sum of the predicted probabilities over the sum of the labels: 1 for a model that is right on
// average, above 1 for one that promises too much (He et al. 2014).
type Calibration struct {
	rows
	predicted, label float64
}

func newCalibration(name string, _ int) Metric { return &Calibration{rows: rows{name: name}} }

// Add implements [Metric].
func (m *Calibration) Add(logits, labels []float32, _ []int64) error {
	if err := m.add(logits, labels); err != nil {
		return err
	}
	for i, x := range logits {
		if err := m.part(labels[i]); err != nil {
			return err
		}
		m.predicted += sigmoid(float64(x))
		m.label += float64(labels[i])
	}
	return nil
}

// Value implements [Metric].
func (m *Calibration) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	if m.label == 0 {
		return 0, fmt.Errorf("metric: %s: no positives in %d rows", m.name, m.n)
	}
	return m.predicted / m.label, nil
}

// Reset implements [Metric].
func (m *Calibration) Reset() {
	m.reset()
	m.predicted, m.label = 0, 0
}

// bins is the number of bins of [ECE], the paper's.
const bins = 15

// ECE is the expected calibration error (Guo et al. 2017) of the probability of the positive class: over 15 bins of equal
// width of the prediction, Σ_b (n_b/n)·|mean label of b − mean prediction of b|.
type ECE struct {
	rows
	predicted, label [bins]float64
}

func newECE(name string, _ int) Metric { return &ECE{rows: rows{name: name}} }

// Add implements [Metric].
func (m *ECE) Add(logits, labels []float32, _ []int64) error {
	if err := m.add(logits, labels); err != nil {
		return err
	}
	for i, x := range logits {
		if err := m.part(labels[i]); err != nil {
			return err
		}
		if x != x {
			continue // Value reports it
		}
		p := sigmoid(float64(x))
		b := min(int(p*bins), bins-1)
		m.predicted[b] += p
		m.label[b] += float64(labels[i])
	}
	return nil
}

// Value implements [Metric].
func (m *ECE) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	var sum float64
	for b := range bins {
		sum += math.Abs(m.predicted[b] - m.label[b]) // n_b·|mean − mean|
	}
	return sum / float64(m.n), nil
}

// Reset implements [Metric].
func (m *ECE) Reset() {
	m.reset()
	m.predicted, m.label = [bins]float64{}, [bins]float64{}
}
