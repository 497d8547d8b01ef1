package inspect

import (
	"cmp"
	"math"
	"slices"

	"github.com/splice-ml/splice/train/metric"
)

// Errors of probabilities on rows, in the order in which they are printed. Of labels 0 and 1 they are of the probability of 1. Of classes, the
// calibration errors are of the probability of the likeliest class and of how often it is the right one.
var CalibrationErrors = []string{"ece", "ece_equal_mass", "logloss", "brier"}

// reliabilityBins is how many bins of predictions the calibration errors have, as in Guo et al. 2017.
const reliabilityBins = 15

// Bin is some of the rows whose predictions are alike.
type Bin struct {
	Rows      int
	Predicted float64 // mean prediction
	Label     float64 // mean label, or how often the class is right
	Low, High float64 // 95 % interval of Label (Wilson 1927)
}

// predicted is a row's prediction and whether it came true, with its weight.
type predicted struct{ p, y, weight float64 }

// predictions returns those of rows, of one logit or of one for each class, and their mean log loss and Brier score.
func predictions(r metric.Rows) (list []predicted, logloss, brier float64) {
	width := len(r.Logits) / max(1, len(r.Labels))
	var total float64
	for i, y := range r.Labels {
		w := 1.0
		if r.Weights != nil {
			w = float64(r.Weights[i])
		}
		total += w
		if width == 1 {
			x, y := float64(r.Logits[i]), float64(y)
			p := float64(1 / (1 + math.Exp(-x)))
			list = append(list, predicted{p, y, w})
			logloss += w * (max(x, 0) - x*y + math.Log1p(math.Exp(-math.Abs(x))))
			brier += w * (p - y) * (p - y)
			continue
		}
		row := r.Logits[i*width : (i+1)*width]
		best := 0
		for k, z := range row {
			if z > row[best] {
				best = k
			}
		}
		below := func(k int) float64 { return float64(row[k]) - float64(row[best]) }
		var sum float64
		for k := range row {
			sum += math.Exp(below(k))
		}
		hit := 0.0
		if best == int(y) {
			hit = 1
		}
		list = append(list, predicted{1 / sum, hit, w})
		logloss += w * (math.Log(sum) - below(int(y)))
		for k := range row {
			d := math.Exp(below(k)) / sum
			if k == int(y) {
				d--
			}
			brier += w * d * d
		}
	}
	return list, logloss / total, brier / total
}

// CalibrationOf returns the errors of the probabilities of rows, as CalibrationErrors has them: the expected calibration error over 15 bins of equal
// width (Guo et al. 2017, equation 3) and over 15 of as many rows each (Naeini et al. 2015), the log loss, and the Brier score, of classes the sum
// over them (Brier 1950).
func CalibrationOf(r metric.Rows) []float64 {
	list, logloss, brier := predictions(r)
	var width, mass, total float64
	var byWidth [reliabilityBins]float64
	for _, q := range list {
		byWidth[min(int(q.p*reliabilityBins), reliabilityBins-1)] += q.weight * (q.p - q.y)
		total += q.weight
	}
	for _, gap := range byWidth {
		width += math.Abs(gap)
	}
	for _, bin := range equalMass(list) {
		var gap float64
		for _, q := range bin {
			gap += q.weight * (q.p - q.y)
		}
		mass += math.Abs(gap)
	}
	return []float64{width / total, mass / total, logloss, brier}
}

// equalMass sorts predictions into bins of as many rows each, or one more.
func equalMass(list []predicted) (bins [][]predicted) {
	slices.SortStableFunc(list, func(a, b predicted) int { return cmp.Compare(a.p, b.p) })
	for k := range reliabilityBins {
		if lo, hi := k*len(list)/reliabilityBins, (k+1)*len(list)/reliabilityBins; hi > lo {
			bins = append(bins, list[lo:hi])
		}
	}
	return bins
}

// Reliability returns 15 bins of predictions, of as many rows each.
func Reliability(r metric.Rows) (bins []Bin) {
	list, _, _ := predictions(r)
	for _, bin := range equalMass(list) {
		var b Bin
		var total float64
		for _, q := range bin {
			b.Predicted, b.Label, total = b.Predicted+q.weight*q.p, b.Label+q.weight*q.y, total+q.weight
		}
		b.Rows, b.Predicted, b.Label = len(bin), b.Predicted/total, b.Label/total
		const z = 1.959964 // the 0.975 quantile of the normal distribution
		n := float64(b.Rows)
		middle, half := b.Label+z*z/(2*n), z*math.Sqrt(b.Label*(1-b.Label)/n+z*z/(4*n*n))
		b.Low, b.High = (middle-half)/(1+z*z/n), (middle+half)/(1+z*z/n)
		bins = append(bins, b)
	}
	return bins
}

// Change is a number before and after, and what it changed by, with bootstrap intervals over the same samples.
type Change struct{ Before, After, Change Estimate }

// Calibrated returns how a map of logits changes the errors of the probabilities of rows, as CalibrationErrors has them. key is that of the bootstrap.
func Calibrated(key uint64, before metric.Rows, apply func(z []float32)) ([]Change, error) {
	width := len(before.Logits) / max(1, len(before.Labels))
	mapped := func(r metric.Rows) metric.Rows {
		r.Logits = slices.Clone(r.Logits)
		for row := range slices.Chunk(r.Logits, max(1, width)) {
			apply(row)
		}
		return r
	}
	s := NewSample(key, false)
	s.Add(before)
	both := func(r metric.Rows) [3][]float64 {
		x, y := CalibrationOf(r), CalibrationOf(mapped(r))
		d := make([]float64, len(x))
		for i := range d {
			d[i] = y[i] - x[i]
		}
		return [3][]float64{x, y, d}
	}
	all, kept := both(before), both(s.Rows())
	drawn := [3][][]float64{}
	for k := range drawn {
		drawn[k] = make([][]float64, len(CalibrationErrors))
	}
	err := s.Resample(func(r metric.Rows) error {
		for k, list := range both(r) {
			for i, v := range list {
				drawn[k][i] = append(drawn[k][i], v)
			}
		}
		return nil
	})
	var out []Change
	for i := range CalibrationErrors {
		var e [3]Estimate
		for k := range e {
			e[k] = s.Interval(all[k][i], kept[k][i], drawn[k][i])
		}
		out = append(out, Change{e[0], e[1], e[2]})
	}
	return out, err
}
