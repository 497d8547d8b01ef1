package metric

import "math"

func init() { Register("ece", Kind{New: newECE, Reads: Logit}) }

// bins is the number of bins of [ECE] in the paper.
const bins = 15

// ECE is the expected calibration error of the probability of the positive class (Guo et al. 2017). Over 15 bins b of predictions,
// of equal width, it is
//
//	Σ_b (n_b/n)·|mean label of b − mean prediction of b|
type ECE struct {
	rows
	predicted, label [bins]float64
}

func newECE(name string, _ int) Metric { return &ECE{rows: rows{name: name}} }

// Add implements [Metric].
func (m *ECE) Add(logits, labels []float32, _ []int64) error {
	return m.AddWeighted(logits, labels, nil)
}

// AddWeighted implements [Weighted].
func (m *ECE) AddWeighted(logits, labels, weights []float32) error {
	if err := m.addWeighted(logits, labels, weights); err != nil {
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
		m.predicted[b] += at(weights, i) * p
		m.label[b] += at(weights, i) * float64(labels[i])
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
	return sum / m.total, nil
}

// Reset implements [Metric].
func (m *ECE) Reset() {
	m.reset()
	m.predicted, m.label = [bins]float64{}, [bins]float64{}
}
