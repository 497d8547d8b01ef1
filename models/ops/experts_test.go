package ops_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestLinearExperts(t *testing.T) {
	for _, s := range []struct {
		B, E, O, I int
		own        bool
		act        kernel.Act
	}{
		{1, 1, 1, 1, false, kernel.None},
		{3, 2, 4, 5, false, kernel.Tanh},
		{3, 2, 4, 5, true, kernel.Tanh},
		{5, 3, 1, 2, true, kernel.None},
		{4, 1, 3, 2, false, kernel.Sigmoid},
		{700, 3, 17, 33, false, kernel.Tanh},
		{700, 3, 17, 33, true, kernel.None},
	} {
		width := s.I
		if s.own {
			width *= s.E
		}
		opstest.Check(t, opstest.Case{
			Name:   "linearexperts " + s.act.String(),
			Shapes: [][]int{{s.B, width}, {s.E, s.O, s.I}, {s.E, s.O}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.LinearExperts(x[0], x[1], x[2], s.act) },
			Oracle: func(x ...[]float64) []float64 {
				var y []float64
				for r := range s.B {
					for e := range s.E {
						for o := range s.O {
							sum := x[2][e*s.O+o]
							for i := range s.I {
								at := r*width + i
								if s.own {
									at += e * s.I
								}
								sum += x[0][at] * x[1][(e*s.O+o)*s.I+i]
							}
							switch s.act {
							case kernel.Tanh:
								sum = math.Tanh(sum)
							case kernel.Sigmoid:
								sum = 1 / (1 + math.Exp(-sum))
							}
							y = append(y, sum)
						}
					}
				}
				return y
			},
			Big: s.B > 100,
		})
	}
}

func TestMixture(t *testing.T) {
	for _, s := range []struct{ B, E, D int }{{1, 1, 1}, {3, 2, 5}, {4, 5, 1}, {900, 6, 19}} {
		opstest.Check(t, opstest.Case{
			Name:   "mixture",
			Shapes: [][]int{{s.B, s.E}, {s.B, s.E * s.D}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Mixture(x[0], x[1]) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, s.B*s.D)
				for r := range s.B {
					for e := range s.E {
						for d := range s.D {
							y[r*s.D+d] += x[0][r*s.E+e] * x[1][(r*s.E+e)*s.D+d]
						}
					}
				}
				return y
			},
			Big: s.B > 100,
		})
	}
}

func TestBoth(t *testing.T) {
	for _, b := range []int{1, 7, 20001} {
		opstest.Check(t, opstest.Case{
			Name:   "both",
			Shapes: [][]int{{b, 1}, {b, 1}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Both(x[0], x[1]) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, b)
				for i := range y {
					p := 1 / (1 + math.Exp(-x[0][i])) / (1 + math.Exp(-x[1][i]))
					y[i] = math.Log(p / (1 - p))
				}
				return y
			},
			Fill: func(_ int, x []float32, r *rand.Rand) {
				for i := range x {
					x[i] = 8*r.Float32() - 4
				}
			},
			Big: b > 1000,
		})
	}
	// Far out, the logit is that of the less likely one, or of both.
	g := G.NewGraph()
	y := must(ops.Both(matrix(g, "a", 5, 1, 1000, -1000, 3, 1000, -1000), matrix(g, "b", 5, 1, 2, 5, 1000, 1000, -1000)))
	run(t, g)
	for i, want := range []float32{2, -1000, 3, 999.3069, -2000} {
		if got := opstest.Values(y)[i]; math.Abs(float64(got-want)) > 1e-2 {
			t.Errorf("logit %d is %v, want %v", i, got, want)
		}
	}
}

func TestColumns(t *testing.T) {
	for _, s := range []struct{ B, W, off, k int }{{1, 1, 0, 1}, {3, 5, 0, 2}, {3, 5, 3, 2}, {900, 40, 7, 11}} {
		opstest.Check(t, opstest.Case{
			Name:   "columns",
			Shapes: [][]int{{s.B, s.W}},
			Build: func(x ...*G.Node) (*G.Node, error) {
				y, err := ops.Columns(x[0], s.off, s.k)
				if err != nil || s.k < s.W {
					return y, err
				}
				return ops.Scale(y, 1) // all columns are x itself, which is no op
			},
			Oracle: func(x ...[]float64) []float64 {
				var y []float64
				for r := range s.B {
					y = append(y, x[0][r*s.W+s.off:r*s.W+s.off+s.k]...)
				}
				return y
			},
			Big: s.B > 100,
		})
	}
}

func TestExpertErrors(t *testing.T) {
	g := G.NewGraph()
	x, b := matrix(g, "x", 2, 3, make([]float32, 6)...), matrix(g, "b", 2, 4, make([]float32, 8)...)
	w := G.NewTensor(g, tensor.Float32, 3, G.WithShape(2, 4, 5), G.WithName("w"))
	for _, tc := range []struct {
		err  func() error
		want string
	}{
		{func() error { _, err := ops.LinearExperts(x, b, b, kernel.None); return err }, "w is (2, 4), want [experts, out, in]"},
		{func() error { _, err := ops.LinearExperts(x, w, b, kernel.None); return err }, "x is (2, 3), want 5 columns for all experts, or 5 for each of 2"},
		{func() error { _, err := ops.Mixture(b, x); return err }, "x is (2, 3) for gates (2, 4), want as many rows"},
		{func() error { _, err := ops.Both(x, x); return err }, "a is (2, 3), want (2, 1): one logit per row"},
		{func() error { _, err := ops.Columns(x, 2, 2); return err }, "columns 2 to 4 of (2, 3)"},
	} {
		if err := tc.err(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
}
