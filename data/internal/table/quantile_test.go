package table

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Edges of few numbers are exact: numpy.percentile(x, 100*arange(1, n)/n), of which equal ones are one.
func TestEdgesExact(t *testing.T) {
	for _, tc := range []struct {
		name    string
		x       []float64
		buckets int
		want    []float64
	}{
		{"numpy", []float64{7, 1, 3.5, 2, 9, 4, 4, -1}, 4, []float64{1.75, 3.75, 4.75}},
		{"numpy, 10", []float64{0, 10, 20, 30, 40}, 10, []float64{4, 8, 12, 16, 20, 24, 28, 32, 36}},
		{"ties", []float64{0, 0, 0, 0, 0, 0, 5, 6}, 4, []float64{0, 1.25}},
		{"one value", []float64{3, 3}, 5, []float64{3}},
		{"none", nil, 3, nil},
		{"blanks", []float64{math.NaN(), 1, math.NaN(), 2}, 2, []float64{1.5}},
	} {
		var q quantiles
		for _, v := range tc.x {
			q.add(v)
		}
		got, v := q.vocabulary("x", tc.buckets)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: edges %v, want %v", tc.name, got, tc.want)
		}
		rows := int64(0)
		for _, n := range v.Counts {
			rows += n
		}
		if rows != int64(len(tc.x)) {
			t.Errorf("%s: counts %v of %d rows", tc.name, v.Counts, len(tc.x))
		}
	}
}

// Of more numbers than are kept, ranks are off by little, whatever their order, and memory is bounded.
func TestEdgesOfMany(t *testing.T) {
	const n, parts = 3_000_000, 100
	orders := map[string]func(i int) float64{
		"ascending":  func(i int) float64 { return float64(i) },
		"descending": func(i int) float64 { return float64(n - i) },
		"zigzag":     func(i int) float64 { return float64(i*7919%n) + .5 },
	}
	r := rand.New(rand.NewPCG(1, 2))
	orders["skewed"] = func(int) float64 { return math.Exp(3 * r.NormFloat64()) }
	for name, at := range orders {
		var q quantiles
		x := make([]float64, n)
		for i := range x {
			x[i] = at(i)
			q.add(x[i])
		}
		slices.Sort(x)
		worst, bias, kept := 0.0, 0.0, 0
		for i, e := range edges(q.values(), parts) {
			rank, _ := slices.BinarySearch(x, e)
			off := float64(rank)/n - float64(i+1)/parts
			worst = max(worst, math.Abs(off))
			bias += off / parts
		}
		total := int64(0)
		for _, w := range q.values() {
			total += w.n
		}
		for _, l := range q.levels {
			kept += len(l)
		}
		levels := float64(len(q.levels) - 1)
		if bound := levels / (2 * summarySize); worst > bound+1.0/n {
			t.Errorf("%s: a rank is off by %g, more than %g", name, worst, bound)
		}
		if bound := levels / (2 * summarySize); math.Abs(bias) > bound/10 { // values of each side go on in turn
			t.Errorf("%s: ranks are off by %g in the mean, more than %g", name, bias, bound/10)
		}
		if total != n {
			t.Errorf("%s: the values stand for %d of %d numbers", name, total, n)
		}
		if most := 3 * summarySize * len(q.levels); kept > most {
			t.Errorf("%s: %d values are kept, at most %d", name, kept, most)
		}
	}
}
