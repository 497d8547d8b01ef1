package ops_test

import (
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

func TestCross(t *testing.T) {
	for _, s := range shapes() {
		B, D := s[0], s[1]
		oracle := func(x ...[]float64) []float64 {
			z := affine(x[1], x[2], nil, B, D, 1)
			y := make([]float64, B*D)
			for i := range y {
				y[i] = x[1][i] + x[0][i]*z[i/D] + x[3][i%D]
			}
			return y
		}
		opstest.Check(t, opstest.Case{
			Name:   "cross",
			Shapes: [][]int{s, s, {1, D}, {D}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Cross(x[0], x[1], x[2], x[3]) },
			Oracle: oracle,
			Big:    isBig(s),
		})
		opstest.Check(t, opstest.Case{
			Name:   "first",
			Shapes: [][]int{s, {1, D}, {D}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Cross(x[0], x[0], x[1], x[2]) },
			Oracle: func(x ...[]float64) []float64 { return oracle(x[0], x[0], x[1], x[2]) },
			Big:    isBig(s),
		})
	}
}

// gated is x + x0 ⊙ z in float64.
func gated(x0, x, z []float64) []float64 {
	y := make([]float64, len(x))
	for i := range y {
		y[i] = x[i] + x0[i]*z[i]
	}
	return y
}

func TestCrossV2(t *testing.T) {
	for _, s := range append(append([][]int{}, small...), []int{big[0], 61}) {
		B, D := s[0], s[1]
		oracle := func(x ...[]float64) []float64 { return gated(x[0], x[1], affine(x[1], x[2], x[3], B, D, D)) }
		opstest.Check(t, opstest.Case{
			Name:   "crossv2",
			Shapes: [][]int{s, s, {D, D}, {D}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.CrossV2(x[0], x[1], x[2], x[3]) },
			Oracle: oracle,
			Big:    isBig(s),
		})
		opstest.Check(t, opstest.Case{
			Name:   "first",
			Shapes: [][]int{s, {D, D}, {D}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.CrossV2(x[0], x[0], x[1], x[2]) },
			Oracle: func(x ...[]float64) []float64 { return oracle(x[0], x[0], x[1], x[2]) },
			Big:    isBig(s),
		})
	}
}

func TestCrossLowRank(t *testing.T) {
	for _, s := range shapes() {
		for _, R := range []int{1, 3} {
			B, D := s[0], s[1]
			oracle := func(x ...[]float64) []float64 {
				t := affine(x[1], x[3], nil, B, D, R)
				return gated(x[0], x[1], affine(t, x[2], x[4], B, R, D))
			}
			opstest.Check(t, opstest.Case{
				Name:   "crosslowrank",
				Shapes: [][]int{s, s, {D, R}, {R, D}, {D}},
				Build:  func(x ...*G.Node) (*G.Node, error) { return ops.CrossLowRank(x[0], x[1], x[2], x[3], x[4]) },
				Oracle: oracle,
				Big:    isBig(s),
			})
			opstest.Check(t, opstest.Case{
				Name:   "first",
				Shapes: [][]int{s, {D, R}, {R, D}, {D}},
				Build:  func(x ...*G.Node) (*G.Node, error) { return ops.CrossLowRank(x[0], x[0], x[1], x[2], x[3]) },
				Oracle: func(x ...[]float64) []float64 { return oracle(x[0], x[0], x[1], x[2], x[3]) },
				Big:    isBig(s),
			})
		}
	}
}
