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

// batchNorm is the float64 twin: columns of the first n rows of x [B, C]; nil mean and variance: those of the batch.
func batchNorm(x, gamma, beta, mean, variance []float64, B, n int, eps float64, a kernel.Act) []float64 {
	C := len(gamma)
	y := make([]float64, B*C)
	for j := range C {
		var m, v float64
		if mean != nil {
			m, v = mean[j], variance[j]
		} else {
			for r := range n {
				m += x[r*C+j] / float64(n)
			}
			for r := range n {
				v += (x[r*C+j] - m) * (x[r*C+j] - m) / float64(n)
			}
		}
		for r := range n {
			y[r*C+j] = act(a, (x[r*C+j]-m)/math.Sqrt(v+eps)*gamma[j]+beta[j])
		}
	}
	return y
}

func stats(C int, mean, variance float32) *ops.BatchStats {
	s := &ops.BatchStats{Mean: make([]float32, C), Var: make([]float32, C), Momentum: 0.1, Eps: 1e-5}
	for i := range C {
		s.Mean[i], s.Var[i] = mean, variance
	}
	return s
}

func TestBatchNorm(t *testing.T) {
	const eps = 0.1 // with 1e-5, two rows normalise to ±1 and their gradients are rounding errors
	for _, s := range []struct{ B, C, N int }{{2, 1, 2}, {3, 5, 2}, {7, 4, 7}, {9, 17, 5}, {301, 231, 270}} {
		for _, train := range []bool{true, false} {
			for _, a := range acts {
				if s.B > 300 && a != kernel.Tanh {
					continue
				}
				var mean, variance []float64
				if !train {
					for range s.C {
						mean, variance = append(mean, float64(float32(0.2))), append(variance, 0.5)
					}
				}
				oracle := func(a kernel.Act) func(x ...[]float64) []float64 {
					return func(x ...[]float64) []float64 {
						return batchNorm(x[0], x[1], x[2], mean, variance, s.B, s.N, eps, a)
					}
				}
				c := opstest.Case{
					Name:   fmt.Sprintf("%v,train=%v", a, train),
					Shapes: [][]int{{s.B, s.C}, {s.C}, {s.C}},
					Build: func(x ...*G.Node) (*G.Node, error) {
						st := stats(s.C, 0.2, 0.5)
						st.Eps = eps
						return ops.BatchNorm(x[0], x[1], x[2], st, a, &ops.Rows{N: s.N}, train)
					},
					Oracle: oracle(a),
					Big:    s.B > 300,
				}
				if a == kernel.ReLU {
					c.Margin = func(x ...[]float64) float64 { return smallest(oracle(kernel.None)(x...)[:s.N*s.C]) }
				}
				opstest.Check(t, c)
			}
		}
	}
}

// Training moves the running statistics as PyTorch does: numbers from torch.nn.BatchNorm1d's formula by hand.
func TestBatchNormRunning(t *testing.T) {
	g := G.NewGraph()
	st := stats(2, 0, 1)
	rows := &ops.Rows{N: 3}
	x := matrix(g, "x", 4, 2, 1, 10, 2, 20, 6, 60, 1e9, -1e9) // the last row is padding
	y := must(ops.BatchNorm(x, vector(g, "gamma", 1, 1), vector(g, "beta", 0, 5), st, kernel.Sigmoid, rows, true))
	run(t, g)
	// mean 3, 30; variance over n−1: 7, 700
	for i, want := range []float64{0.3, 3, 0.9 + 0.7, 0.9 + 70} {
		if got := float64(append(append([]float32{}, st.Mean...), st.Var...)[i]); math.Abs(got/want-1) > 1e-6 {
			t.Errorf("running statistic %d is %v, want %v", i, got, want)
		}
	}
	if v := opstest.Values(y); v[6] != 0 || v[7] != 0 {
		t.Errorf("padding row is %v, want zeros", v[6:])
	}
	run(t, g)
	if got, want := float64(st.Mean[1]), 0.9*3+0.1*30; math.Abs(got/want-1) > 1e-6 {
		t.Errorf("running mean after two runs is %v, want %v", got, want)
	}
}

// A mean far from 0 must not cost the variance its digits.
func TestBatchNormLargeMean(t *testing.T) {
	g := G.NewGraph()
	const B = 64
	v := make([]float32, B)
	for i := range v {
		v[i] = 1e6 + float32(i%2)
	}
	x, gamma, beta := matrix(g, "x", B, 1, v...), vector(g, "gamma", 1), vector(g, "beta", 0)
	y := must(ops.BatchNorm(x, gamma, beta, stats(1, 0, 1), kernel.None, nil, true))
	run(t, g)
	for i, got := range opstest.Values(y) {
		want := (float64(i%2) - 0.5) / math.Sqrt(0.25+1e-5)
		if math.Abs(float64(got)-want) > 1e-5 {
			t.Fatalf("row %d is %v, want %v", i, got, want)
		}
	}
}

// A training batch of one live row has no variance: it is normalised by the running statistics, which stay as they are.
func TestBatchNormOneRow(t *testing.T) {
	g := G.NewGraph()
	st := stats(1, 3, 4)
	x, gamma, beta := matrix(g, "x", 2, 1, 7, 100), vector(g, "gamma", 2), vector(g, "beta", 1)
	y := must(ops.BatchNorm(x, gamma, beta, st, kernel.None, &ops.Rows{N: 1}, true))
	run(t, g)
	want := (7-float64(st.Mean[0]))/math.Sqrt(float64(st.Var[0])+st.Eps)*2 + 1
	if v := opstest.Values(y); math.Abs(float64(v[0])-want) > 1e-5 || v[1] != 0 {
		t.Errorf("rows are %v, want %v and padding", v, want)
	}
	if st.Mean[0] != stats(1, 3, 4).Mean[0] || st.Var[0] != stats(1, 3, 4).Var[0] {
		t.Errorf("the running statistics moved to %v, %v", st.Mean, st.Var)
	}
	run1 := stats(3, 0.2, 0.5)
	mean, variance := make([]float64, 3), make([]float64, 3)
	for j := range mean {
		mean[j], variance[j] = float64(run1.Mean[j]), float64(run1.Var[j])
	}
	opstest.Check(t, opstest.Case{
		Name: "one row", Shapes: [][]int{{2, 3}, {3}, {3}},
		Build: func(x ...*G.Node) (*G.Node, error) {
			return ops.BatchNorm(x[0], x[1], x[2], stats(3, 0.2, 0.5), kernel.Tanh, &ops.Rows{N: 1}, true)
		},
		Oracle: func(x ...[]float64) []float64 {
			return batchNorm(x[0], x[1], x[2], mean, variance, 2, 1, run1.Eps, kernel.Tanh)
		},
	})
}

func TestLayerNorm(t *testing.T) {
	for _, s := range [][]int{{1, 2}, {3, 5}, {4, 16}, {2, 33}, {517, 131}} {
		B, C := s[0], s[1]
		opstest.Check(t, opstest.Case{
			Name:   "layernorm",
			Shapes: [][]int{s, {C}, {C}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.LayerNorm(x[0], x[1], x[2], 1e-5) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, B*C)
				for r := range B {
					row := x[0][r*C : (r+1)*C]
					var m, v float64
					for _, a := range row {
						m += a / float64(C)
					}
					for _, a := range row {
						v += (a - m) * (a - m) / float64(C)
					}
					for j, a := range row {
						y[r*C+j] = (a-m)/math.Sqrt(v+1e-5)*x[1][j] + x[2][j]
					}
				}
				return y
			},
			Fill: func(i int, x []float32, r *rand.Rand) {
				opstest.Uniform(x, r)
				if i == 0 {
					for j := range x {
						x[j] = 3*x[j] + 2
					}
				}
			},
			Big: isBig(s),
		})
	}
}
