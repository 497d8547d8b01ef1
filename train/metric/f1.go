package metric

func init() {
	Register("f1", Kind{New: newConfusion(f1), Better: Higher, Reads: Logit | Classes})
	Register("macro_f1", Kind{New: newConfusion(macroF1), Better: Higher, Reads: Logit | Classes})
}

// f1 is 2r/(p + t) of class 1 if there are two classes, else macro_f1; 0 if it was neither predicted nor a label. It is
// scikit-learn's f1_score.
func f1(m *Confusion) float64 {
	if len(m.label) > 2 {
		return macroF1(m)
	}
	return m.f1(1)
}

func (m *Confusion) f1(class int) float64 {
	if m.right[class] == 0 {
		return 0
	}
	return 2 * m.right[class] / (m.predicted[class] + m.label[class])
}

// macroF1 is the mean of 2r_k/(p_k + t_k) over the classes that were predicted or a label.
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
