package main

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// interval is a mean with its 95 % confidence interval.
type interval struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// moments returns mean and standard deviation (n - 1) of x; the latter is 0 for one value.
func moments(x []float64) (mean, sd float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	if len(x) < 2 {
		return mean, 0
	}
	for _, v := range x {
		sd += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(sd / float64(len(x)-1))
}

// paired returns the mean of a - b with its 95 % interval by Student's t over the pairs: mean ± t(0.975, n-1)·sd/sqrt(n). One
// pair has no interval: it is unbounded.
func paired(a, b []float64) interval {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	mean, sd := moments(d)
	if len(d) < 2 {
		return interval{mean, math.Inf(-1), math.Inf(1)}
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(len(d) - 1)}.Quantile(.975)
	half := t * sd / math.Sqrt(float64(len(d)))
	return interval{mean, mean - half, mean + half}
}

// share returns (mean of x - mean of low)/(mean of high - mean of low), the part of the way from low to high, with the 95 %
// interval of Fieller's theorem over the pairs. If high is not clearly above low, the interval is unbounded.
func share(x, low, high []float64) interval {
	n := len(x)
	num, den := make([]float64, n), make([]float64, n)
	for i := range x {
		num[i], den[i] = x[i]-low[i], high[i]-low[i]
	}
	a, sa := moments(num)
	b, sb := moments(den)
	r := a / b
	if n < 2 {
		return interval{r, math.Inf(-1), math.Inf(1)}
	}
	cov := 0.
	for i := range num {
		cov += (num[i] - a) * (den[i] - b)
	}
	cov /= float64(n-1) * float64(n)
	va, vb := sa*sa/float64(n), sb*sb/float64(n)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 1)}.Quantile(.975)
	g := t * t * vb / (b * b)
	if g >= 1 {
		return interval{r, math.Inf(-1), math.Inf(1)}
	}
	mid := r - g*safe(cov, vb)
	root := va - 2*r*cov + r*r*vb - g*(va-safe(cov*cov, vb))
	half := t / math.Abs(b) * math.Sqrt(max(0, root))
	return interval{r, (mid - half) / (1 - g), (mid + half) / (1 - g)}
}

// safe is a/b, or 0 if b is 0.
func safe(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
