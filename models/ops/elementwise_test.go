package ops_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// small and big are the shapes that ops over matrices are checked at.
var (
	small = [][]int{{1, 1}, {1, 5}, {3, 1}, {4, 6}, {7, 17}}
	big   = []int{517, 131}
)

func isBig(s []int) bool { return len(s) > 0 && s[0] == big[0] }

func shapes() [][]int { return append(append([][]int{}, small...), big) }

func TestAdd(t *testing.T) {
	for _, s := range append(shapes(), []int{}, []int{5}, []int{2, 3, 4}) {
		for n := 2; n <= 4; n++ {
			c := opstest.Case{
				Name:  "add",
				Build: func(x ...*G.Node) (*G.Node, error) { return ops.Add(x...) },
				Oracle: func(x ...[]float64) []float64 {
					y := make([]float64, len(x[0]))
					for _, v := range x {
						for i := range y {
							y[i] += v[i]
						}
					}
					return y
				},
				Big: isBig(s),
			}
			for range n {
				c.Shapes = append(c.Shapes, s)
			}
			opstest.Check(t, c)
		}
	}
}

func TestMul(t *testing.T) {
	for _, s := range append(shapes(), []int{}, []int{5}) {
		opstest.Check(t, opstest.Case{
			Name:   "mul",
			Shapes: [][]int{s, s},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Mul(x[0], x[1]) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, len(x[0]))
				for i := range y {
					y[i] = x[0][i] * x[1][i]
				}
				return y
			},
			Big: isBig(s),
		})
		opstest.Check(t, opstest.Case{
			Name:   "square",
			Shapes: [][]int{s},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Mul(x[0], x[0]) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, len(x[0]))
				for i := range y {
					y[i] = x[0][i] * x[0][i]
				}
				return y
			},
			Big: isBig(s),
		})
	}
}

func TestSwiGLU(t *testing.T) {
	for _, s := range append(shapes(), []int{}, []int{5}, []int{1, 1031}) {
		opstest.Check(t, opstest.Case{
			Name:   "swiglu",
			Shapes: [][]int{s, s},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.SwiGLU(x[0], x[1]) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, len(x[0]))
				for i, a := range x[0] {
					y[i] = a / (1 + math.Exp(-a)) * x[1][i]
				}
				return y
			},
			Fill: func(_ int, x []float32, r *rand.Rand) {
				for i := range x {
					x[i] = 8*r.Float32() - 4
				}
			},
			Big: isBig(s),
		})
	}
}

func TestScale(t *testing.T) {
	for _, s := range append(shapes(), []int{}, []int{5}) {
		opstest.Check(t, opstest.Case{
			Name:   "scale",
			Shapes: [][]int{s},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Scale(x[0], -2.5) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, len(x[0]))
				for i := range y {
					y[i] = -2.5 * x[0][i]
				}
				return y
			},
			Big: isBig(s),
		})
	}
}

func TestActivate(t *testing.T) {
	for _, s := range append(shapes(), []int{}, []int{5}) {
		for _, a := range acts[1:] {
			c := opstest.Case{
				Name:   fmt.Sprint(a),
				Shapes: [][]int{s},
				Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Activate(x[0], a) },
				Oracle: func(x ...[]float64) []float64 {
					y := make([]float64, len(x[0]))
					for i := range y {
						y[i] = act(a, x[0][i])
					}
					return y
				},
				Big: isBig(s),
			}
			if a == kernel.ReLU {
				c.Fill = opstest.Grid()
			}
			opstest.Check(t, c)
		}
	}
}

func TestSumCols(t *testing.T) {
	for _, s := range shapes() {
		opstest.Check(t, opstest.Case{
			Name:   "sumcols",
			Shapes: [][]int{s},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.SumCols(x[0]) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, s[0])
				for i, v := range x[0] {
					y[i/s[1]] += v
				}
				return y
			},
			Big: isBig(s),
		})
	}
}

func TestConcat(t *testing.T) {
	for _, s := range shapes() {
		B := s[0]
		widths := []int{s[1], 1, 4}
		opstest.Check(t, opstest.Case{
			Name:   "concat",
			Shapes: [][]int{{B, widths[0]}, {B, widths[1]}, {B, widths[2]}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Concat(x...) },
			Oracle: func(x ...[]float64) (y []float64) {
				for r := range B {
					for i, w := range widths {
						y = append(y, x[i][r*w:(r+1)*w]...)
					}
				}
				return y
			},
			Big: isBig(s),
		})
	}
}
