package report

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Estimate is a mean over n seeds with its 95 % interval, mean ± t·sd/sqrt(n), where t is the 0.975 quantile of Student's
// distribution with n - 1 degrees of freedom. With a single value SD and Half are null.
type Estimate struct {
	Mean Float `json:"mean"`
	SD   Float `json:"sd"`   // of the values, with n - 1 in the denominator
	Half Float `json:"half"` // half the width of the interval
	N    int   `json:"n"`
}

// Low returns the lower end of the interval.
func (e Estimate) Low() float64 { return float64(e.Mean - e.Half) }

// High returns the upper end of the interval.
func (e Estimate) High() float64 { return float64(e.Mean + e.Half) }

// Clear reports whether the interval leaves out 0. It is false without an interval.
func (e Estimate) Clear() bool { return e.Low() > 0 || e.High() < 0 }

// Mean estimates the mean of x.
func Mean(x []float64) Estimate {
	nan := Float(math.NaN())
	e := Estimate{Mean: nan, SD: nan, Half: nan, N: len(x)}
	if len(x) == 0 {
		return e
	}
	var sum, square float64
	for _, v := range x {
		sum += v
	}
	mean := sum / float64(len(x))
	e.Mean = Float(mean)
	if len(x) < 2 {
		return e
	}
	for _, v := range x {
		square += (v - mean) * (v - mean)
	}
	sd := math.Sqrt(square / float64(len(x)-1))
	e.SD, e.Half = Float(sd), Float(quantile(len(x)-1)*sd/math.Sqrt(float64(len(x))))
	return e
}

// quantile is the 0.975 quantile of Student's distribution.
func quantile(freedom int) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(freedom)}.Quantile(0.975)
}

// Paired estimates the mean of a - b, where a[i] and b[i] are of the same seed.
func Paired(a, b []float64) (Estimate, error) {
	if len(a) != len(b) {
		return Estimate{}, fmt.Errorf("report: %d values cannot be paired with %d", len(a), len(b))
	}
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return Mean(d), nil
}

// Share is the share of the gap between two models that a third one closes, with its 95 % interval.
type Share struct {
	Mean Float `json:"mean"`
	Low  Float `json:"low"` // null, as High, if the gap is not clearly above or below 0, or there is one seed
	High Float `json:"high"`
	N    int   `json:"n"`
}

// GapShare estimates s = a/b over seeds, where a is the mean of merge - base and b is that of all - base. The interval holds the s for
// which a - s·b is not clearly unlike 0 (Fieller 1954). They are the solutions of
//
//	(b² - t²·v_b)·s² - 2·(a·b - t²·v_ab)·s + a² - t²·v_a <= 0
//
// with the variances and the covariance of the two means, such as v_b = var(all - base)/n, and t as in Estimate.
func GapShare(merge, base, all []float64) (Share, error) {
	if len(merge) != len(base) || len(all) != len(base) {
		return Share{}, fmt.Errorf("report: %d, %d and %d values cannot be paired", len(merge), len(base), len(all))
	}
	gain, _ := Paired(merge, base) // the lengths are equal
	gap, _ := Paired(all, base)
	a, b, n := float64(gain.Mean), float64(gap.Mean), float64(len(base))
	nan := Float(math.NaN())
	s := Share{Mean: Float(a / b), Low: nan, High: nan, N: len(base)}
	if !gap.Clear() {
		return s, nil
	}
	var cov float64
	for i := range base {
		cov += (merge[i] - base[i] - a) * (all[i] - base[i] - b)
	}
	cov /= (n - 1) * n
	t := quantile(len(base) - 1)
	va, vb := float64(gain.SD*gain.SD)/n, float64(gap.SD*gap.SD)/n
	square, half, rest := b*b-t*t*vb, a*b-t*t*cov, a*a-t*t*va // square > 0, since the gap is clear
	root := math.Sqrt(max(0, half*half-square*rest))
	s.Low, s.High = Float((half-root)/square), Float((half+root)/square)
	return s, nil
}
