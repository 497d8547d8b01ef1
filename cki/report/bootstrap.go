package report

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/splice-ml/splice/data/rng"
)

// Difference is what one row of a table gains over another, over n pairs of runs.
type Difference struct {
	Mean Float `json:"mean"`
	Low  Float `json:"low"` // ends of the 95 % interval; null, as High and P, for a single pair
	High Float `json:"high"`
	P    Float `json:"p"`              // of the paired t-test, two-sided
	Holm Float `json:"p_holm"`         // the same with Holm's correction over the rows of the table: see [Holm]
	N    int   `json:"n"`              // pairs
	Same bool  `json:"same,omitempty"` // the two rows are equal in every pair
}

// Clear reports whether the interval leaves out 0.
func (d *Difference) Clear() bool { return d.Low > 0 || d.High < 0 }

// resamples is how many samples a bootstrap draws. Of up to 5 pairs there are fewer: each is taken once.
const resamples = 10_000

// Bootstrap estimates the mean of a - b, where a[i] and b[i] are of the same pair of runs, with a 95 % bootstrap interval and the p value
// of the paired t-test. What is drawn depends on the number of pairs alone.
//
// Pairs are drawn with replacement, or all samples are taken if they are few, and the ends are the 2.5 % and the 97.5 % quantile of the means (Efron and Tibshirani 1993, section 13.3). Of
// few pairs these lie too near each other (Hesterberg 2015, The American Statistician 69(4), section 4.1): the distances from the mean are
// multiplied by
//
//	t(n-1)/z · sqrt(n/(n-1))
//
// where t and z are the 0.975 quantiles of Student's and of the normal distribution. So the interval is about as wide as Student's, and
// as crooked as the differences are.
func Bootstrap(a, b []float64) (*Difference, error) {
	if len(a) != len(b) || len(a) == 0 {
		return nil, fmt.Errorf("report: %d values cannot be paired with %d", len(a), len(b))
	}
	n := len(a)
	nan := Float(math.NaN())
	diff := make([]float64, n)
	for i := range a {
		diff[i] = a[i] - b[i]
	}
	e := Mean(diff)
	d := &Difference{Mean: e.Mean, Low: nan, High: nan, P: nan, Holm: nan, N: n}
	switch {
	case n < 2 || e.Mean != e.Mean:
		return d, nil
	case e.SD == 0:
		d.Low, d.High, d.P, d.Same = e.Mean, e.Mean, 0, e.Mean == 0
		if d.Same {
			d.P = 1
		}
		return d, nil
	}
	low, high := percentiles(diff)
	wider := quantile(n-1) / distuv.UnitNormal.Quantile(.975) * math.Sqrt(float64(n)/float64(n-1))
	mean := float64(e.Mean)
	d.Low, d.High = Float(mean-wider*(mean-low)), Float(mean+wider*(high-mean))
	t := math.Abs(mean) / (float64(e.SD) / math.Sqrt(float64(n)))
	d.P = Float(2 * distuv.StudentsT{Sigma: 1, Nu: float64(n - 1)}.Survival(t))
	return d, nil
}

// percentiles returns the 2.5 % and the 97.5 % quantile of the means of samples of x.
func percentiles(x []float64) (low, high float64) {
	means := everyMean(x)
	if means == nil {
		means = drawnMeans(x)
	}
	slices.Sort(means)
	cut := max(len(means)/40, 1)
	return means[cut-1], means[len(means)-cut]
}

// everyMean returns the means of all samples that there are, or nil if they are more than are drawn.
func everyMean(x []float64) []float64 {
	sums := []float64{0}
	for range x {
		if len(sums)*len(x) > resamples {
			return nil
		}
		next := make([]float64, 0, len(sums)*len(x))
		for _, s := range sums {
			for _, v := range x {
				next = append(next, s+v)
			}
		}
		sums = next
	}
	for i := range sums {
		sums[i] /= float64(len(x))
	}
	return sums
}

func drawnMeans(x []float64) []float64 {
	r := rng.New(rng.Key(1, "bootstrap", len(x)))
	means := make([]float64, resamples)
	for i := range means {
		var sum float64
		for range x {
			sum += x[r.IntN(len(x))]
		}
		means[i] = sum / float64(len(x))
	}
	return means
}

// Holm sets the corrected p values of differences that are tested together (Holm 1979, Scandinavian Journal of Statistics 6(2)): the k-th
// smallest of m values is multiplied by m-k+1, and no value is below that of one before it, or above 1. Those without a p value, and those
// of rows that are equal, take no part.
func Holm(all []*Difference) {
	var list []*Difference
	for _, d := range all {
		if d != nil && d.P == d.P && !d.Same {
			list = append(list, d)
		}
	}
	slices.SortStableFunc(list, func(a, b *Difference) int {
		switch {
		case a.P < b.P:
			return -1
		case a.P > b.P:
			return 1
		}
		return 0
	})
	var last Float
	for i, d := range list {
		last = max(last, min(1, d.P*Float(len(list)-i)))
		d.Holm = last
	}
}
