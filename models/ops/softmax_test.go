package ops_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

func TestSoftmax(t *testing.T) {
	for _, s := range []struct{ B, C int }{{1, 1}, {5, 3}, {3, 17}, {701, 33}} {
		opstest.Check(t, opstest.Case{
			Name:   "softmax",
			Shapes: [][]int{{s.B, s.C}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Softmax(x[0]) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, s.B*s.C)
				for r := range s.B {
					sum := 0.0
					for _, v := range x[0][r*s.C : (r+1)*s.C] {
						sum += math.Exp(v)
					}
					for c, v := range x[0][r*s.C : (r+1)*s.C] {
						y[r*s.C+c] = math.Exp(v) / sum
					}
				}
				return y
			},
			Fill: func(_ int, x []float32, r *rand.Rand) {
				for i := range x {
					x[i] = 6*r.Float32() - 3
				}
			},
			Big: s.B > 700,
		})
	}
}

func TestSoftmaxExtremes(t *testing.T) {
	g := G.NewGraph()
	y := must(ops.Softmax(matrix(g, "z", 2, 3, 1000, -1000, 1000, -1000, -1000, -1000)))
	run(t, g)
	if got := opstest.Values(y); !slices.Equal(got[:3], []float32{.5, 0, .5}) || got[3] != got[4] || math.Abs(float64(got[3])-1./3) > 1e-7 {
		t.Errorf("softmax %v", got)
	}
}

func TestSmoothLabels(t *testing.T) {
	g := G.NewGraph()
	y := must(ops.SmoothLabels(matrix(g, "y", 4, 1, 2, 0, 1, 9), 4, 0.2, &ops.Rows{N: 3}))
	run(t, g)
	a, b := float32(0.05), float32(1-0.2+0.05)
	want := []float32{a, a, b, a, b, a, a, a, a, b, a, a, 0, 0, 0, 0}
	if got := opstest.Values(y); !slices.Equal(got, want) {
		t.Errorf("targets %v, want %v", got, want)
	}
	for _, label := range []float32{4, -1, 0.5, float32(math.NaN())} {
		g := G.NewGraph()
		must(ops.SmoothLabels(matrix(g, "y", 2, 1, 0, label), 4, 0.2, nil))
		if err := runErr(g); err == nil || !strings.Contains(err.Error(), "want a class from 0 to 3") {
			t.Errorf("label %v: error %v", label, err)
		}
	}
	if _, err := ops.SmoothLabels(matrix(g, "x", 1, 1, 0), 2, 1.5, nil); err == nil {
		t.Error("smoothing by 1.5 is no error")
	}
}
