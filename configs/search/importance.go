package search

import (
	"maps"
	"math"
	"slices"
)

// Importance says how much of the differences between trials goes with one parameter.
type Importance struct {
	Path  string
	Share float64 // of the variance of the monitored metric, in [0, 1]; NaN if too few trials can say
}

// mostBins is into how many classes the values of an interval are put, at most.
const mostBins = 4

// importances returns the share of the variance of the trials' values that lies between classes of a parameter's values: the variance of
// the marginal means, the first-order term of a functional analysis of variance, by binning. Classes are the values of a list, or up to
// four quantiles of an interval. The share is ε² (Kelley 1935, PNAS 21(9)), the correlation ratio without what is expected by chance:
//
//	ε² = 1 − (n−1)/(n−b) · SS_within/SS_total,
//
// for n trials in b classes, and 0 in place of a negative value. Trials that were stopped or diverged do not count. Parameters that act
// only together have none, and the trials of a search that learns lie where it looked.
func (s *Study) importances(trials []*Trial) []Importance {
	var values [][]float64
	var y []float64
	for _, t := range trials {
		if t.State == Complete {
			values, y = append(values, t.Values), append(y, t.Value())
		}
	}
	var out []Importance
	for i, p := range s.Params {
		x := make([]float64, len(y))
		for k := range x {
			x[k] = values[k][i]
		}
		out = append(out, Importance{p.Path, between(p.classes(x), y)})
	}
	return out
}

// classes returns the class of each value.
func (p *Param) classes(x []float64) []int {
	out := make([]int, len(x))
	if p.listed() {
		for i, v := range x {
			out[i] = int(v)
		}
		return out
	}
	bins := min(mostBins, int(math.Sqrt(float64(len(x)))))
	sorted := slices.Sorted(slices.Values(x))
	for i, v := range x {
		place, _ := slices.BinarySearch(sorted, v) // equal values have one class
		out[i] = place * bins / len(x)
	}
	return out
}

// between returns ε² of y for classes; NaN if it has no meaning.
func between(classes []int, y []float64) float64 {
	members := map[int][]float64{}
	for i, c := range classes {
		members[c] = append(members[c], y[i])
	}
	n, b := len(y), len(members)
	squares := func(list []float64) (sum float64) {
		m := mean(list)
		for _, v := range list {
			sum += (v - m) * (v - m)
		}
		return sum
	}
	if b < 2 || n <= b {
		return math.NaN()
	}
	total, within := squares(y), 0.0
	if total == 0 {
		return 0
	}
	for _, c := range slices.Sorted(maps.Keys(members)) {
		within += squares(members[c])
	}
	return max(0, 1-float64(n-1)/float64(n-b)*within/total)
}
