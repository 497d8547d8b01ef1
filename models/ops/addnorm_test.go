package ops_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// addNorm is the float64 twin: layer norm of the rows of x + r.
func addNorm(x, r, gamma, beta []float64, eps float64) []float64 {
	C := len(gamma)
	y := make([]float64, len(x))
	for at := 0; at < len(x); at += C {
		var m, v float64
		for j := range C {
			m += (x[at+j] + r[at+j]) / float64(C)
		}
		for j := range C {
			d := x[at+j] + r[at+j] - m
			v += d * d / float64(C)
		}
		for j := range C {
			y[at+j] = (x[at+j]+r[at+j]-m)/math.Sqrt(v+eps)*gamma[j] + beta[j]
		}
	}
	return y
}

func TestAddLayerNorm(t *testing.T) {
	const eps = 0.1 // with 1e-5, two columns normalise to ±1 and their gradients are rounding errors
	fill := func(i int, x []float32, r *rand.Rand) {
		opstest.Uniform(x, r)
		if i < 2 {
			for j := range x {
				x[j] = 3*x[j] + 2
			}
		}
	}
	for _, s := range [][]int{{1, 2}, {3, 5}, {4, 16}, {2, 33}, {517, 131}} {
		opstest.Check(t, opstest.Case{
			Name:   "addlayernorm",
			Shapes: [][]int{s, s, {s[1]}, {s[1]}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.AddLayerNorm(x[0], x[1], x[2], x[3], eps) },
			Oracle: func(x ...[]float64) []float64 { return addNorm(x[0], x[1], x[2], x[3], eps) },
			Fill:   fill,
			Big:    isBig(s) || s[0] > 500,
		})
	}
	// A residual of itself counts twice in the gradient.
	opstest.Check(t, opstest.Case{
		Name:   "twice",
		Shapes: [][]int{{3, 5}, {5}, {5}},
		Build:  func(x ...*G.Node) (*G.Node, error) { return ops.AddLayerNorm(x[0], x[0], x[1], x[2], eps) },
		Oracle: func(x ...[]float64) []float64 { return addNorm(x[0], x[0], x[1], x[2], eps) },
		Fill:   fill,
	})
}

// Only the gradients that are asked for are made.
func TestAddLayerNormPart(t *testing.T) {
	for skip := range 4 {
		shapes := [][]int{{3, 5}, {3, 5}, {5}, {5}}
		opstest.Check(t, opstest.Case{
			Name: "part", Shapes: shapes, NoGrad: []int{skip},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.AddLayerNorm(x[0], x[1], x[2], x[3], 0.1) },
			Oracle: func(x ...[]float64) []float64 { return addNorm(x[0], x[1], x[2], x[3], 0.1) },
		})
	}
}
