package ops_test

import (
	"math"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

func TestLinearOwn(t *testing.T) {
	for _, s := range []struct{ B, I, O int }{{1, 1, 1}, {3, 2, 5}, {7, 17, 3}, {64, 64, 33}} {
		for _, a := range acts {
			own := func(x ...[]float64) (y, z []float64) {
				y, z = make([]float64, s.B*s.O), make([]float64, s.B*s.O)
				for r := range s.B {
					for o := range s.O {
						sum := x[2][r*s.O+o]
						for i := range s.I {
							sum += x[1][(r*s.O+o)*s.I+i] * x[0][r*s.I+i]
						}
						z[r*s.O+o], y[r*s.O+o] = sum, act(a, sum)
					}
				}
				return y, z
			}
			opstest.Check(t, opstest.Case{
				Name: a.String(), Shapes: [][]int{{s.B, s.I}, {s.B, s.O * s.I}, {s.B, s.O}}, Big: s.B == 64,
				Build:  func(x ...*G.Node) (*G.Node, error) { return ops.LinearOwn(x[0], x[1], x[2], a) },
				Oracle: func(x ...[]float64) []float64 { y, _ := own(x...); return y },
				Margin: func(x ...[]float64) float64 {
					if a.String() != "relu" {
						return math.Inf(1)
					}
					_, z := own(x...)
					return smallest(z)
				},
			})
		}
	}
}
