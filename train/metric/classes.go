package metric

import (
	"fmt"
	"math"
)

// Ignored is the label of a row that no metric of classes counts: one without a label, or a token that a masked language model
// need not guess.
const Ignored = -1

// width returns the logits of a row, given those of all rows and the rows' labels.
func (r *rows) width(logits, labels []float32) (int, error) {
	if len(labels) == 0 || len(logits) == 0 || len(logits)%len(labels) != 0 {
		return 0, fmt.Errorf("metric: %s: %d logits, %d labels", r.name, len(logits), len(labels))
	}
	return len(logits) / len(labels), nil
}

// class checks a label of C classes; false: the row does not count.
func (r *rows) class(y float32, C int) (bool, error) {
	if y == Ignored {
		return false, nil
	}
	if !(y >= 0 && y < float32(C)) || y != float32(int(y)) {
		return false, fmt.Errorf("metric: %s: label %v is no class from 0 to %d, nor %d", r.name, y, C-1, Ignored)
	}
	return true, nil
}

// greatest returns the index of the greatest logit, the first one if there are several, and whether none is NaN.
func greatest(z []float32) (best int, ok bool) {
	ok = true
	for c, v := range z {
		if v != v {
			ok = false
		}
		if v > z[best] {
			best = c
		}
	}
	return best, ok
}

// each calls f with the predicted and the true class of each row that counts: the greatest logit's, or of one logit a row whether
// it is above 0 (a probability above ½).
func (r *rows) each(logits, labels []float32, f func(predicted, label int)) error {
	C, err := r.width(logits, labels)
	if err != nil {
		return err
	}
	for i, y := range labels {
		p, ok := 0, true
		if z := logits[i*C : (i+1)*C]; C > 1 {
			if counts, err := r.class(y, C); err != nil {
				return err
			} else if !counts {
				continue
			}
			p, ok = greatest(z)
		} else {
			if err := r.binary(y); err != nil {
				return err
			}
			if ok = z[0] == z[0]; z[0] > 0 {
				p = 1
			}
		}
		if r.n++; !ok {
			r.nans++
		}
		f(p, int(y))
	}
	return nil
}

// Accuracy is the share of the rows whose class is predicted right. The predicted class is that of the greatest logit, the first
// one of several; with one logit a row it is 1 if the logit is above 0 (a probability above ½), else 0.
type Accuracy struct {
	rows
	right int64
}

func newAccuracy(name string, _ int) Metric { return &Accuracy{rows: rows{name: name}} }

// Add implements [Metric].
func (m *Accuracy) Add(logits, labels []float32, _ []int64) error {
	return m.each(logits, labels, func(p, y int) {
		if p == y {
			m.right++
		}
	})
}

// Value implements [Metric].
func (m *Accuracy) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	return float64(m.right) / float64(m.n), nil
}

// Reset implements [Metric].
func (m *Accuracy) Reset() {
	m.reset()
	m.right = 0
}

// Confusion is a number made of how often each class was predicted (p_k), was the label (t_k), and both (r_k), with s rows:
//
//   - f1: 2r/(p + t) of class 1 if there are two classes, else macro_f1; 0 if it was neither predicted nor a label;
//   - macro_f1: the mean of 2r_k/(p_k + t_k) over the classes that were predicted or a label;
//   - mcc: Matthews' correlation (Gorodkin 2004): (s·Σr − Σp·t) / √((s² − Σp²)(s² − Σt²)); 0 if the root is.
//
// They are scikit-learn's f1_score and matthews_corrcoef.
type Confusion struct {
	rows
	predicted, label, right []int64
	of                      func(m *Confusion) float64
}

func newConfusion(of func(m *Confusion) float64) func(string, int) Metric {
	return func(name string, _ int) Metric { return &Confusion{rows: rows{name: name}, of: of} }
}

// Add implements [Metric].
func (m *Confusion) Add(logits, labels []float32, _ []int64) error {
	C, err := m.width(logits, labels)
	if err != nil {
		return err
	}
	if C = max(2, C); m.label == nil {
		m.predicted, m.label, m.right = make([]int64, C), make([]int64, C), make([]int64, C)
	}
	if C != len(m.label) {
		return fmt.Errorf("metric: %s: %d classes after %d", m.name, C, len(m.label))
	}
	return m.each(logits, labels, func(p, y int) {
		m.predicted[p]++
		if m.label[y]++; p == y {
			m.right[y]++
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

func f1(m *Confusion) float64 {
	if len(m.label) > 2 {
		return macroF1(m)
	}
	return m.f1(1)
}

func (m *Confusion) f1(class int) float64 {
	return 2 * float64(m.right[class]) / float64(max(1, m.predicted[class]+m.label[class]))
}

func macroF1(m *Confusion) float64 {
	sum, n := 0.0, 0.0
	for k := range m.label {
		if m.predicted[k]+m.label[k] > 0 {
			sum += m.f1(k)
			n++
		}
	}
	return sum / n
}

func mcc(m *Confusion) float64 {
	s := float64(m.n)
	cov, p2, t2 := 0.0, s*s, s*s
	for k := range m.label {
		p, t := float64(m.predicted[k]), float64(m.label[k])
		cov += s*float64(m.right[k]) - p*t
		p2 -= p * p
		t2 -= t * t
	}
	if p2 == 0 || t2 == 0 {
		return 0
	}
	return cov / math.Sqrt(p2) / math.Sqrt(t2)
}
