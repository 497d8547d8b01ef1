package ops_test

import (
	"fmt"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

func TestPReLU(t *testing.T) {
	for _, s := range []struct{ B, C int }{{1, 1}, {4, 3}, {900, 33}} {
		opstest.Check(t, opstest.Case{
			Name:   fmt.Sprintf("%dx%d", s.B, s.C),
			Shapes: [][]int{{s.B, s.C}, {s.C}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.PReLU(x[0], x[1]) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, len(x[0]))
				for i, v := range x[0] {
					y[i] = max(v, 0) + x[1][i%s.C]*min(v, 0)
				}
				return y
			},
			Big: s.B > 100,
		})
	}
}

func TestMix(t *testing.T) {
	for _, s := range []struct{ B, E, R int }{{1, 1, 1}, {4, 3, 2}, {5, 2, 7}, {700, 4, 16}} {
		opstest.Check(t, opstest.Case{
			Name:   fmt.Sprintf("%dx%dx%d", s.B, s.E, s.R),
			Shapes: [][]int{{s.B, s.E * s.R}, {s.B, s.E}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Mix(x[0], x[1]) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, len(x[0]))
				for i, v := range x[0] {
					y[i] = v * x[1][i/s.R]
				}
				return y
			},
			Big: s.B > 100,
		})
	}
}
