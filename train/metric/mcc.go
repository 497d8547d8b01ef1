package metric

import "math"

func init() { Register("mcc", Kind{New: newConfusion(mcc), Better: Higher, Reads: Logit | Classes}) }

// mcc is Matthews' correlation (Gorodkin 2004): (s·Σr − Σp·t) / √((s² − Σp²)(s² − Σt²)); 0 if the root is. It is scikit-learn's
// matthews_corrcoef.
func mcc(m *Confusion) float64 {
	s := m.total
	cov, p2, t2 := 0.0, s*s, s*s
	for k := range m.label {
		p, t := m.predicted[k], m.label[k]
		cov += s*m.right[k] - p*t
		p2 -= p * p
		t2 -= t * t
	}
	if p2 == 0 || t2 == 0 {
		return 0
	}
	return cov / math.Sqrt(p2) / math.Sqrt(t2)
}
