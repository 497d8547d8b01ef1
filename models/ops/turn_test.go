package ops_test

import (
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// Rows of fields and turned fields have the values of x in their order, and each op undoes the other one.
func TestFieldRowsAndTurn(t *testing.T) {
	same := func(x ...[]float64) []float64 { return append([]float64(nil), x[0]...) }
	for _, s := range []struct{ B, F, D int }{{1, 1, 1}, {3, 4, 5}, {2, 1, 7}, {5, 6, 1}, {611, 7, 19}} {
		turned := func(m, n int) func(x ...[]float64) []float64 {
			return func(x ...[]float64) []float64 {
				y := make([]float64, len(x[0]))
				for b := range s.B {
					for i := range m {
						for j := range n {
							y[b*m*n+j*m+i] = x[0][b*m*n+i*n+j]
						}
					}
				}
				return y
			}
		}
		wide := []int{s.B, s.F * s.D}
		for name, c := range map[string]opstest.Case{
			"fieldrows": {Shapes: [][]int{wide}, Oracle: same, Build: func(x ...*G.Node) (*G.Node, error) { return ops.FieldRows(x[0], s.F) }},
			"joinrows":  {Shapes: [][]int{{s.B * s.F, s.D}}, Oracle: same, Build: func(x ...*G.Node) (*G.Node, error) { return ops.JoinRows(x[0], s.F) }},
			"turn": {Shapes: [][]int{wide}, Oracle: turned(s.F, s.D), Build: func(x ...*G.Node) (*G.Node, error) {
				return ops.Turn(x[0], s.F)
			}},
			"turnback": {Shapes: [][]int{{s.B * s.D, s.F}}, Oracle: turned(s.D, s.F), Build: func(x ...*G.Node) (*G.Node, error) {
				return ops.TurnBack(x[0], s.D)
			}},
			"there and back": {Shapes: [][]int{wide}, Oracle: same, Build: func(x ...*G.Node) (*G.Node, error) {
				y, err := ops.Turn(x[0], s.F)
				if err != nil {
					return nil, err
				}
				return ops.TurnBack(y, s.D)
			}},
		} {
			c.Name, c.Big = name, s.B > 100
			opstest.Check(t, c)
		}
	}
}
