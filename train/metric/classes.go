package metric

import "fmt"

// Ignored is the label of a row that no metric of classes counts. Such a row has no label, or is a token that a masked language
// model need not guess.
const Ignored = -1

// width returns the number of logits of a row, given those of all rows and the rows' labels.
func (r *rows) width(logits, labels []float32) (int, error) {
	if len(labels) == 0 || len(logits) == 0 || len(logits)%len(labels) != 0 {
		return 0, fmt.Errorf("metric: %s: %d logits, %d labels", r.name, len(logits), len(labels))
	}
	return len(logits) / len(labels), nil
}

// class checks a label of C classes. It reports false if the row does not count.
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

// each calls f with the predicted and the true class of each row that counts. The predicted class is that of the greatest logit.
// With one logit a row it is 1 if the logit is above 0, which is a probability above ½.
func (r *rows) each(logits, labels, weights []float32, f func(predicted, label int, weight float64)) error {
	C, err := r.width(logits, labels)
	if err != nil {
		return err
	}
	if err := r.weigh(labels, weights); err != nil {
		return err
	}
	for i, y := range labels {
		p, ok := 0, true
		z := logits[i*C : (i+1)*C]
		if C > 1 {
			counts, err := r.class(y, C)
			if err != nil {
				return err
			}
			if !counts {
				continue
			}
			p, ok = greatest(z)
		} else {
			if err := r.binary(y); err != nil {
				return err
			}
			ok = z[0] == z[0]
			if z[0] > 0 {
				p = 1
			}
		}
		r.n++
		r.total += at(weights, i)
		if !ok {
			r.nans++
		}
		f(p, int(y), at(weights, i))
	}
	return nil
}
