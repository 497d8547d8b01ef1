package report_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/data/rng"
)

func TestMeanByHand(t *testing.T) {
	// Quantiles of Student's distribution from a printed table: 12.706, 4.303, 2.776 for 1, 2, 4 degrees of freedom.
	for _, tc := range []struct {
		x              []float64
		mean, sd, half float64
	}{
		{[]float64{1, 3}, 2, math.Sqrt2, 12.706 * math.Sqrt2 / math.Sqrt2},
		{[]float64{1, 2, 3}, 2, 1, 4.303 / math.Sqrt(3)},
		{[]float64{2, 4, 4, 4, 6}, 4, math.Sqrt2, 2.776 * math.Sqrt2 / math.Sqrt(5)},
	} {
		e := report.Mean(tc.x)
		if !near(float64(e.Mean), tc.mean, 1e-12) || !near(float64(e.SD), tc.sd, 1e-12) ||
			!near(float64(e.Half), tc.half, 5e-4*tc.half) || e.N != len(tc.x) {
			t.Errorf("Mean(%v) = %+v, want %v, sd %v, half %v", tc.x, e, tc.mean, tc.sd, tc.half)
		}
	}
	one := report.Mean([]float64{5})
	if one.Mean != 5 || one.SD == one.SD || one.Half == one.Half || one.Clear() {
		t.Errorf("one value: %+v, want no interval", one)
	}
	if b, err := json.Marshal(one); err != nil || string(b) != `{"mean":5,"sd":null,"half":null,"n":1}` {
		t.Errorf("JSON %s, %v", b, err)
	}
	if none := report.Mean(nil); none.N != 0 || none.Mean == none.Mean {
		t.Errorf("no values: %+v", none)
	}
}

func TestPaired(t *testing.T) {
	e, err := report.Paired([]float64{.9, .8, .7}, []float64{.89, .78, .67})
	if err != nil || !near(float64(e.Mean), .02, 1e-12) || !near(float64(e.SD), .01, 1e-12) ||
		!near(e.Low(), .02-4.303*.01/math.Sqrt(3), 1e-5) || e.Clear() {
		t.Errorf("paired %+v, %v", e, err)
	}
	if e, _ := report.Paired([]float64{3, 4, 5}, []float64{1, 2, 3.1}); !e.Clear() {
		t.Errorf("%+v leaves out 0", e)
	}
	if _, err := report.Paired([]float64{1}, nil); err == nil {
		t.Error("1 value paired with 0")
	}
}

func TestGapShareByHand(t *testing.T) {
	base, merge, all := []float64{0, 0, 0}, []float64{1, 2, 3}, []float64{3, 4, 5}
	// Gains 1, 2, 3 of gaps 3, 4, 5: a = 2, b = 4, all three variances 1/3, t² = 18.513, so that
	// 9.829 s² - 2·1.829 s - 2.171 <= 0: s from (1.829 - 4.968)/9.829 to (1.829 + 4.968)/9.829.
	s, err := report.GapShare(merge, base, all)
	if err != nil || s.Mean != .5 || !near(float64(s.Low), -.3194, 5e-4) || !near(float64(s.High), .6916, 5e-4) || s.N != 3 {
		t.Errorf("share %+v, %v, want .5, -.319 to .692", s, err)
	}
	// The same share in every seed is known exactly.
	if s, _ := report.GapShare([]float64{1.5, 2, 2.5}, base, all); !near(float64(s.Mean), .5, 1e-12) ||
		!near(float64(s.Low), .5, 1e-7) || !near(float64(s.High), .5, 1e-7) {
		t.Errorf("share %+v, want .5 exactly", s)
	}
	unbounded := func(s report.Share) bool { return s.Low != s.Low && s.High != s.High }
	if s, _ := report.GapShare(merge, base, base); !unbounded(s) {
		t.Errorf("share of no gap: %+v, want no interval", s)
	}
	if s, _ := report.GapShare(merge, base, []float64{-1, 0, 2}); s.Mean != 6 || !unbounded(s) {
		t.Errorf("share of a gap around 0: %+v, want 6 without interval", s)
	}
	if s, _ := report.GapShare([]float64{1}, []float64{0}, []float64{4}); s.Mean != .25 || !unbounded(s) {
		t.Errorf("share of one seed: %+v, want .25 without interval", s)
	}
	if _, err := report.GapShare(merge, base, []float64{1}); err == nil {
		t.Error("3 seeds paired with 1")
	}
}

// TestGapShareCovers: the interval holds the true share about 95 times of 100.
func TestGapShareCovers(t *testing.T) {
	r, held := rng.New(3), 0
	const times = 2000
	for range times {
		var base, merge, all []float64
		for range 5 {
			b, gap := r.NormFloat64(), 1+.2*r.NormFloat64()
			base, all, merge = append(base, b), append(all, b+gap), append(merge, b+.7*gap+.1*r.NormFloat64())
		}
		if s, err := report.GapShare(merge, base, all); err == nil && s.Low <= .7 && .7 <= s.High {
			held++
		}
	}
	if share := float64(held) / times; share < .93 || share > .97 {
		t.Errorf("the interval holds the true share in %.3f of the cases, want about .95", share)
	}
}
