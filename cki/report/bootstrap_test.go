package report_test

import (
	"math"
	"testing"

	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/data/rng"
)

// The p value is 1 - the integral of Student's density of 4 degrees of freedom over [-t, t] with t = 3.559026, by Simpson's rule with 200,000
// steps in Python.
func TestBootstrap(t *testing.T) {
	a, b := []float64{.912, .921, .934, .945, .957}, []float64{.91, .92, .93, .94, .95}
	d, err := report.Bootstrap(a, b)
	if err != nil {
		t.Fatal(err)
	}
	near := func(x report.Float, want, within float64) bool { return math.Abs(float64(x)-want) <= within }
	if !near(d.Mean, .0038, 1e-12) || !near(d.P, .0236066366, 1e-9) || d.N != 5 || d.Same || !d.Clear() {
		t.Errorf("%+v", d)
	}
	// Of the 5^5 samples that there are, the 2.5 % and 97.5 % quantiles of the mean are .0020 and .0056: by enumeration.
	wider := 2.7764451 / 1.9599640 * math.Sqrt(5./4)
	if !near(d.Low, .0038-wider*.0018, 1e-7) || !near(d.High, .0038+wider*.0018, 1e-7) {
		t.Errorf("interval [%v, %v]", d.Low, d.High)
	}
	if again, _ := report.Bootstrap(a, b); again.Low != d.Low || again.High != d.High {
		t.Errorf("drawn anew: %+v, %+v", d, again)
	}
	if one, err := report.Bootstrap(a[:1], b[:1]); err != nil || one.Clear() || !near(one.Mean, .002, 1e-12) || one.P == one.P {
		t.Errorf("one pair: %+v, %v", one, err)
	}
	if same, _ := report.Bootstrap(a, a); !same.Same || same.Clear() || same.P != 1 {
		t.Errorf("equal rows: %+v", same)
	}
	if x, _ := report.Bootstrap([]float64{1, math.NaN()}, []float64{0, 0}); x.Clear() || x.Mean == x.Mean {
		t.Errorf("undefined: %+v", x)
	}
	if _, err := report.Bootstrap(a, b[:2]); err == nil {
		t.Error("pairs of 5 and 2 values")
	}
}

// The interval of few pairs has the mean in it about as often as it says.
func TestBootstrapCovers(t *testing.T) {
	if testing.Short() {
		t.Skip("2,000 intervals")
	}
	for _, n := range []int{3, 5, 10} {
		r := rng.New(rng.Key(7, "covers", n))
		const trials = 500
		in := 0
		for range trials {
			a, b := make([]float64, n), make([]float64, n)
			for i := range a {
				a[i] = r.NormFloat64()
			}
			if d, err := report.Bootstrap(a, b); err != nil {
				t.Fatal(err)
			} else if !d.Clear() {
				in++
			}
		}
		if share := float64(in) / trials; share < .92 || share > .995 {
			t.Errorf("%d pairs: %.1f %% of the intervals have the mean in them", n, 100*share)
		}
	}
}

// Of the four values that are tested, the smallest is multiplied by 4, the next one by 3, then by 2 (.06) and by 1 (.04, which is below).
func TestHolm(t *testing.T) {
	nan := report.Float(math.NaN())
	var all []*report.Difference
	for _, p := range []report.Float{.01, .04, nan, .03, .005, 1} {
		all = append(all, &report.Difference{P: p, Holm: nan, Same: p == 1})
	}
	report.Holm(append(all, nil))
	for i, want := range []float64{.03, .06, -1, .06, .02, -1} {
		got := float64(all[i].Holm)
		if math.Abs(got-want) > 1e-12 && (want >= 0 || got == got) {
			t.Errorf("value %d: %v, want %v", i, got, want)
		}
	}
}
