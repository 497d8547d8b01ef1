package metric

import (
	"errors"
	"math"
	"slices"
)

// Interval is a metric of some rows with an interval of 95 %, which takes the rows for independent draws.
type Interval struct{ Value, Low, High float64 }

// normal95 is the 97.5 % quantile of the standard normal distribution.
const normal95 = 1.959963984540054

// around returns the interval of a value with a variance.
func around(value, variance float64) Interval {
	d := normal95 * math.Sqrt(variance)
	return Interval{value, value - d, value + d}
}

// MeanInterval returns the mean of one value a row, such as its log loss, with value ± 1.96·s/√n, where s is the standard deviation of the n
// values. It is undefined for fewer than two.
func MeanInterval(values []float64) (Interval, error) {
	n := float64(len(values))
	if n < 2 {
		return Interval{}, errors.New("metric: an interval needs two rows or more")
	}
	mean := 0.0
	for _, v := range values {
		mean += v
	}
	mean /= n
	sum := 0.0
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return around(mean, sum/(n-1)/n), nil
}

// AUCInterval returns the AUC of logits, whose labels are 0 or 1, with the variance of DeLong et al. ("Comparing the Areas under Two or More
// Correlated Receiver Operating Characteristic Curves", Biometrics 1988), by ranks as Sun and Xu compute it (2014). It is undefined for
// fewer than two rows of a label. Ends are within [0, 1].
func AUCInterval(logits, labels []float32) (Interval, error) {
	var pos, neg []float32
	for i, y := range labels {
		switch z := logits[i]; {
		case z != z:
			return Interval{}, errors.New("metric: a logit is NaN")
		case y > 0:
			pos = append(pos, z)
		default:
			neg = append(neg, z)
		}
	}
	if len(pos) < 2 || len(neg) < 2 {
		return Interval{}, errors.New("metric: an interval of an AUC needs two rows of each label or more")
	}
	slices.Sort(pos)
	slices.Sort(neg)
	above, below := shares(pos, neg), shares(neg, pos)
	for i := range below {
		below[i] = 1 - below[i]
	}
	p, err := MeanInterval(above)
	if err != nil {
		return Interval{}, err
	}
	n, err := MeanInterval(below)
	if err != nil {
		return Interval{}, err
	}
	a, b := (p.High-p.Value)/normal95, (n.High-n.Value)/normal95
	auc := around(p.Value, a*a+b*b)
	auc.Low, auc.High = max(auc.Low, 0), min(auc.High, 1)
	return auc, nil
}

// shares returns, for each x, the share of others that it is above; a tie counts half. Both lists ascend.
func shares(xs, others []float32) []float64 {
	out := make([]float64, len(xs))
	less, most := 0, 0
	for i, x := range xs {
		for less < len(others) && others[less] < x {
			less++
		}
		for most < len(others) && others[most] <= x {
			most++
		}
		out[i] = float64(less+most) / 2 / float64(len(others))
	}
	return out
}
