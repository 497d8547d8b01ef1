package ops_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

func TestMSE(t *testing.T) {
	for _, s := range []struct{ B, N int }{{1, 1}, {5, 5}, {5, 3}, {7, 1}, {40001, 40001}, {40001, 30011}} {
		opstest.Check(t, opstest.Case{
			Name:   "mse",
			Shapes: [][]int{{s.B, 1}, {s.B, 1}},
			Build: func(x ...*G.Node) (*G.Node, error) {
				if s.N == s.B {
					return ops.MSE(x[0], ops.Target{Label: x[1]})
				}
				return ops.MSE(x[0], ops.Target{Label: x[1], Rows: &ops.Rows{N: s.N}})
			},
			Oracle: func(x ...[]float64) []float64 {
				sum := 0.0
				for i := range s.N {
					sum += (x[0][i] - x[1][i]) * (x[0][i] - x[1][i])
				}
				return []float64{sum / float64(s.N)}
			},
			NoGrad: []int{1},
			Big:    s.B > 1000,
		})
	}
}

// Padding rows hold anything.
func TestMSEPadding(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	g := G.NewGraph()
	z := matrix(g, "z", 4, 1, 3, -1, nan, inf)
	l := must(ops.MSE(z, ops.Target{Label: matrix(g, "y", 4, 1, 1, 2, nan, inf), Rows: &ops.Rows{N: 2}}))
	d, err := ops.Grad(l, z)
	if err != nil {
		t.Fatal(err)
	}
	run(t, g)
	if got := opstest.Values(l)[0]; got != 6.5 {
		t.Errorf("loss %v, want 6.5", got)
	}
	if got := opstest.Values(d[0]); !slices.Equal(got, []float32{2, -3, 0, 0}) {
		t.Errorf("gradient %v, want [2 -3 0 0]", got)
	}
}

func TestMSEBadValues(t *testing.T) {
	g := G.NewGraph()
	must(ops.MSE(matrix(g, "z", 2, 1, 0, 0), ops.Target{Label: matrix(g, "y", 2, 1, 0, float32(math.Inf(-1)))}))
	if err := runErr(g); err == nil || !strings.Contains(err.Error(), "label of row 1 is -Inf, want a number") {
		t.Errorf("error %v", err)
	}
	_, err := ops.MSE(matrix(g, "z2", 2, 2, 0, 0, 0, 0), ops.Target{Label: matrix(g, "y2", 2, 1, 0, 0)})
	if err == nil || !strings.Contains(err.Error(), "one prediction per row") {
		t.Errorf("error %v of two columns", err)
	}
}
