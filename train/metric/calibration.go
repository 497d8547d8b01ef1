package metric

func init() {
	Register("calibration", Kind{New: newCalibration, Better: Neither, Reads: Logit, Needs: APositive})
}

// Calibration is the sum of the predicted probabilities over the sum of the labels (He et al. 2014). It is 1 for a model that is
// right on average, and above 1 for one that promises too much. The best value is neither the greatest nor the least.
type Calibration struct {
	rows
	predicted, label float64
}

func newCalibration(name string, _ int) Metric { return &Calibration{rows: rows{name: name}} }

// Add implements [Metric].
func (m *Calibration) Add(logits, labels []float32, _ []int64) error {
	return m.AddWeighted(logits, labels, nil)
}

// AddWeighted implements [Weighted].
func (m *Calibration) AddWeighted(logits, labels, weights []float32) error {
	if err := m.addWeighted(logits, labels, weights); err != nil {
		return err
	}
	for i, x := range logits {
		if err := m.part(labels[i]); err != nil {
			return err
		}
		m.predicted += at(weights, i) * sigmoid(float64(x))
		m.label += at(weights, i) * float64(labels[i])
	}
	return nil
}

// Value implements [Metric].
func (m *Calibration) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	if m.label == 0 {
		return 0, &Undefined{m.name, noPositives(m.n)}
	}
	return m.predicted / m.label, nil
}

// Reset implements [Metric].
func (m *Calibration) Reset() {
	m.reset()
	m.predicted, m.label = 0, 0
}
