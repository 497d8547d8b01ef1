package metric

import (
	"fmt"
	"math"
)

func init() {
	Register("pearson", Kind{New: newPearson, Better: Higher, Reads: Number, Needs: Varying})
}

// Pearson is the correlation of the predictions with the labels:
//
//	Σ(x − x̄)(y − ȳ) / √(Σ(x − x̄)²·Σ(y − ȳ)²)
//
// It is 0 if all predictions are equal, since they say nothing of the labels then. It is undefined if all labels are equal.
type Pearson struct {
	rows
	x, y, xx, yy, xy float64 // means, and sums of products of deviations from them (Welford 1962)
}

func newPearson(name string, _ int) Metric { return &Pearson{rows: rows{name: name}} }

// Add implements [Metric].
func (m *Pearson) Add(logits, labels []float32, _ []int64) error {
	if err := m.values(logits, labels, nil); err != nil {
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
		return 0, &Undefined{r.name, sameLabels(r.n)}
	case xx == 0:
		return 0, nil
	case v != v:
		return 0, fmt.Errorf("metric: %s: a prediction is infinite", r.name)
	default:
		return max(-1, min(1, v)), nil
	}
}
