package report_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki/gate"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/data/rng"
)

func near(got, want, tol float64) bool { return math.Abs(got-want) <= tol }

func tensor(t *testing.T, shape []int, parents [][]float32, merged []float32) report.TensorStats {
	t.Helper()
	s, err := report.Tensor("w", shape, parents, merged)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTensorByHand(t *testing.T) {
	a, b := []float32{1, 2, 0, 4}, []float32{3, 0, 0, -4}
	m := []float32{1.5, 1.5, 0, 0} // weights of the base: .75, .75, not determined, .5
	s := tensor(t, []int{2, 2}, [][]float32{a, b}, m)
	if want := (3 - 16) / (math.Sqrt(21) * 5); !near(float64(s.Parents[0].Cosine), want, 1e-12) {
		t.Errorf("cosine %v, want %v", s.Parents[0].Cosine, want)
	}
	if want := math.Sqrt(4 + 4 + 64); !near(s.Parents[0].L2, want, 1e-12) {
		t.Errorf("L2 %v, want %v", s.Parents[0].L2, want)
	}
	// Values 1 and 2 are nearer to the base; 3 and 4 are ties.
	if want := []float64{.75, .25}; !near(s.Shares[0], want[0], 1e-12) || !near(s.Shares[1], want[1], 1e-12) {
		t.Errorf("shares %v, want %v", s.Shares, want)
	}
	w := s.Weight
	sd := math.Sqrt((2*math.Pow(.75-2./3, 2) + math.Pow(.5-2./3, 2)) / 3)
	if w == nil || w.Parts != 3 || !near(w.Mean, 2./3, 1e-12) || !near(w.SD, sd, 1e-12) || w.Min != .5 || w.Max != .75 {
		t.Errorf("weight %+v, want mean 2/3, sd %v, .5 to .75 of 3", w, sd)
	}
	// d = b - a = (2, -2, 0, -8), m - a = (.5, -.5, 0, -4): w_b = (1+1+32)/(4+4+64) = 34/72.
	if !near(s.Fit[1], 34./72, 1e-12) || !near(s.Fit[0], 38./72, 1e-12) {
		t.Errorf("fit %v, want [38/72 34/72]", s.Fit)
	}
	// The rest, m - a - w_b·d, is (-4/9, 4/9, 0, -2/9).
	if want := math.Sqrt(16+16+4) / 9 / math.Sqrt(4.5); !near(float64(s.Residual), want, 1e-12) {
		t.Errorf("residual %v, want %v", s.Residual, want)
	}
	// Rows: (1,2) and (3,0): sqrt(8/((5+9)/2)); (0,4) and (0,-4): opposite, 2.
	if want := []report.Unit{{Row: 1, Distance: 2}, {Row: 0, Distance: math.Sqrt(8. / 7)}}; len(s.Units) != 2 ||
		s.Units[0] != want[0] || s.Units[1].Row != 0 || !near(s.Units[1].Distance, want[1].Distance, 1e-12) {
		t.Errorf("units %v, want %v", s.Units, want)
	}
	if want := []float64{gate.Entropy(a, 10), gate.Entropy(b, 10)}; !slices.Equal(s.Entropies, want) ||
		!slices.Equal(s.Gates, gate.Global(want, .4, 500)) {
		t.Errorf("entropies %v, gates %v", s.Entropies, s.Gates)
	}
}

// TestTensorFindsWeights: combinations of three parents are told apart, and a zero tensor says nothing.
func TestTensorFindsWeights(t *testing.T) {
	r := rng.New(7)
	parents := make([][]float32, 3)
	for k := range parents {
		for range 60 {
			parents[k] = append(parents[k], float32(r.NormFloat64()))
		}
	}
	want := []float64{.5, .2, .3}
	m := make([]float32, 60)
	for i := range m {
		for k, p := range parents {
			m[i] += float32(want[k]) * p[i]
		}
	}
	s := tensor(t, []int{10, 6}, parents, m)
	for k := range want {
		if !near(s.Fit[k], want[k], 1e-6) {
			t.Errorf("fit %v, want %v", s.Fit, want)
		}
	}
	if s.Residual > 1e-6 || s.Weight == nil || s.Weight.Parts != 10 || !near(s.Weight.Min, .5, 1e-5) || !near(s.Weight.Max, .5, 1e-5) {
		t.Errorf("residual %v, weight %+v, want 0 and .5 in each of 10 rows", s.Residual, s.Weight)
	}
	if len(s.Parents) != 2 || len(s.Units) != 5 {
		t.Errorf("%d pairs, %d units, want 2 and 5", len(s.Parents), len(s.Units))
	}
	if err := s.Unaligned([][]float32{parents[0], parents[0], parents[2]}); err != nil || s.Before[0].L2 != 0 ||
		!near(float64(s.Before[0].Cosine), 1, 1e-12) || s.Before[1] != s.Parents[1] {
		t.Errorf("before %v of %v, error %v", s.Before, s.Parents, err)
	}

	for i := range m {
		m[i] = float32((float64(parents[0][i]) + float64(parents[1][i])) / 2)
	}
	if s := tensor(t, []int{60}, parents[:2], m); !near(s.Shares[0], .5, 1e-12) {
		t.Errorf("shares of an average are %v, want ties", s.Shares)
	}

	zero := tensor(t, []int{4}, [][]float32{make([]float32, 4), make([]float32, 4)}, make([]float32, 4))
	if zero.Fit != nil || zero.Weight != nil || zero.Residual == zero.Residual || zero.Parents[0].Cosine == zero.Parents[0].Cosine {
		t.Errorf("equal parents of zeros determine %+v", zero)
	}
	// Parents that rounding alone tells apart determine no weight of a value.
	if s := tensor(t, []int{1}, [][]float32{{1}, {1 + 0x1p-23}}, []float32{1}); s.Weight != nil {
		t.Errorf("rounding determines the weight %+v", s.Weight)
	}
	if s := tensor(t, []int{}, [][]float32{{1}, {2}}, []float32{1.25}); s.Weight == nil || s.Weight.Mean != .75 {
		t.Errorf("scalar: weight %+v, want .75", s.Weight)
	}
	if s := tensor(t, []int{0, 3}, [][]float32{{}, {}}, []float32{}); s.Weight != nil || s.Units != nil || s.Shares[0] != 0 {
		t.Errorf("empty: %+v", s)
	}
}

func TestTensorRefuses(t *testing.T) {
	nan := float32(math.NaN())
	for _, tc := range []struct {
		shape   []int
		parents [][]float32
		merged  []float32
		want    string
	}{
		{[]int{2}, nil, []float32{1, 2}, "tensor w: no parents"},
		{[]int{2}, [][]float32{{1, 2}, {1}}, []float32{1, 2}, "tensor w: parent 2 has 1 values, shape [2] has 2"},
		{[]int{2}, [][]float32{{1, 2}, {1, 2}}, []float32{1}, "tensor w: the result has 1 values, shape [2] has 2"},
		{[]int{2}, [][]float32{{1, 2}, {1, nan}}, []float32{1, 2}, "tensor w: parent 2: value 1 is NaN"},
		{[]int{-2}, [][]float32{{1, 2}}, []float32{1, 2}, "negative dimension"},
	} {
		_, err := report.Tensor("w", tc.shape, tc.parents, tc.merged)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Tensor(%v, %v, %v) error %v, want %q", tc.shape, tc.parents, tc.merged, err, tc.want)
		}
	}
}
