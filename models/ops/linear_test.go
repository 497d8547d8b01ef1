package ops_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

var acts = []kernel.Act{kernel.None, kernel.ReLU, kernel.Tanh, kernel.Sigmoid}

// act is the float64 twin of an activation.
func act(a kernel.Act, x float64) float64 {
	switch a {
	case kernel.ReLU:
		return max(x, 0)
	case kernel.Tanh:
		return math.Tanh(x)
	case kernel.Sigmoid:
		return 1 / (1 + math.Exp(-x))
	}
	return x
}

// affine is x·wᵀ + b in float64; b may be nil.
func affine(x, w, b []float64, B, I, O int) []float64 {
	y := make([]float64, B*O)
	for r := range B {
		for o := range O {
			if b != nil {
				y[r*O+o] = b[o]
			}
			for i := range I {
				y[r*O+o] += x[r*I+i] * w[o*I+i]
			}
		}
	}
	return y
}

// smallest is the least absolute value: the distance from the kink of a ReLU.
func smallest(x []float64) float64 {
	m := math.Inf(1)
	for _, v := range x {
		m = min(m, math.Abs(v))
	}
	return m
}

// The gradient of a fused linear layer with ReLU equals central differences, in float64, to float32 rounding when no
// pre-activation is near 0. Nearer than the step of the difference it need not: the difference straddles the kink. At 0
// itself the gradient is 0, as in PyTorch.
func TestLinearAtKink(t *testing.T) {
	g := G.NewGraph()
	x := matrix(g, "x", 3, 1, 1, 1, 1)
	w, b := matrix(g, "w", 1, 1, 2), vector(g, "b", -2) // 1·2 − 2 = 0
	y := must(ops.Linear(x, w, b, kernel.ReLU))
	dy := matrix(g, "dy", 3, 1, 1, 1, 1)
	d, err := ops.VJP(y, dy, b)
	if err != nil {
		t.Fatal(err)
	}
	run(t, g)
	if got := opstest.Values(d[0])[0]; got != 0 {
		t.Errorf("gradient of the bias at the kink is %v, want 0", got)
	}
}

func TestLinear(t *testing.T) {
	for _, s := range []struct {
		B, I, O int
		big     bool
	}{
		{1, 1, 1, false},
		{1, 3, 2, false},
		{3, 1, 5, false},
		{4, 5, 1, false},
		{5, 7, 3, false},
		{2, 17, 9, false},
		{301, 70, 67, true},
		{1000, 67, 1, true},
		{1000, 1, 67, true},
	} {
		for _, a := range acts {
			for _, bias := range []bool{true, false} {
				if s.big && (a != kernel.ReLU || !bias) && (a != kernel.None || bias) {
					continue
				}
				pre := func(x ...[]float64) []float64 {
					if bias {
						return affine(x[0], x[1], x[2], s.B, s.I, s.O)
					}
					return affine(x[0], x[1], nil, s.B, s.I, s.O)
				}
				c := opstest.Case{
					Name:   fmt.Sprintf("%v", a),
					Shapes: [][]int{{s.B, s.I}, {s.O, s.I}, {s.O}},
					Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Linear(x[0], x[1], x[2], a) },
					Oracle: func(x ...[]float64) []float64 {
						y := pre(x...)
						for i := range y {
							y[i] = act(a, y[i])
						}
						return y
					},
					Big: s.big,
				}
				if !bias {
					c.Shapes = c.Shapes[:2]
					c.Build = func(x ...*G.Node) (*G.Node, error) { return ops.Linear(x[0], x[1], nil, a) }
				}
				if a == kernel.ReLU && bias {
					c.Fill = opstest.Grid(2)
				} else if a == kernel.ReLU {
					c.Margin = func(x ...[]float64) float64 { return smallest(pre(x...)) }
				}
				opstest.Check(t, c)
				if a == kernel.None && bias {
					c.Name = "map"
					c.Build = func(x ...*G.Node) (*G.Node, error) { return ops.LinearMap(x[0], x[1], x[2]) }
					opstest.Check(t, c)
				}
			}
		}
	}
}

func TestLinearBack(t *testing.T) {
	for _, s := range shapes() {
		B, O := s[0], s[1]
		for _, I := range []int{1, 7, 33} {
			opstest.Check(t, opstest.Case{
				Name:   "linearback",
				Shapes: [][]int{{B, O}, {O, I}},
				Build:  func(x ...*G.Node) (*G.Node, error) { return ops.LinearBack(x[0], x[1]) },
				Oracle: func(x ...[]float64) []float64 {
					y := make([]float64, B*I)
					for r := range B {
						for o := range O {
							for i := range I {
								y[r*I+i] += x[0][r*O+o] * x[1][o*I+i]
							}
						}
					}
					return y
				},
				Big: isBig(s),
			})
		}
	}
}
