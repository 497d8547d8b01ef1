package ops_test

import (
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

func TestPairwise(t *testing.T) {
	for _, s := range []struct{ B, F, D int }{{1, 1, 1}, {1, 2, 3}, {3, 5, 4}, {2, 3, 16}, {4, 7, 5}, {211, 13, 16}, {301, 11, 10}} {
		opstest.Check(t, opstest.Case{
			Name:   "pairwise",
			Shapes: [][]int{{s.B, s.F * s.D}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Pairwise(x[0], s.F) },
			Oracle: func(x ...[]float64) []float64 { // all pairs, not the lemma
				y := make([]float64, s.B)
				for r := range s.B {
					e := x[0][r*s.F*s.D:]
					for f := range s.F {
						for g := range f {
							for d := range s.D {
								y[r] += e[f*s.D+d] * e[g*s.D+d]
							}
						}
					}
				}
				return y
			},
			Big: s.B > 200,
		})
	}
}
