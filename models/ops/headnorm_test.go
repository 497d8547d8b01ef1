package ops_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// byHead returns x, [B·H, W], as [B·W, H], or back.
func byHead(x []float64, B, H, W int, back bool) []float64 {
	y := make([]float64, len(x))
	for b := range B {
		for h := range H {
			for j := range W {
				from, to := (b*H+h)*W+j, (b*W+j)*H+h
				if back {
					from, to = to, from
				}
				y[to] = x[from]
			}
		}
	}
	return y
}

// HeadNorm is batch norm of the values of each head in a column.
func TestHeadNorm(t *testing.T) {
	const eps = 0.1
	for _, s := range []struct{ B, H, W, N int }{{2, 1, 3, 2}, {1, 2, 4, 1}, {5, 2, 1, 4}, {7, 3, 5, 5}, {301, 2, 61, 270}} {
		for _, train := range []bool{true, false} {
			var mean, variance []float64
			if !train {
				for range s.H {
					mean, variance = append(mean, float64(float32(0.2))), append(variance, 0.5)
				}
			}
			opstest.Check(t, opstest.Case{
				Name:   fmt.Sprintf("train=%v,live=%d", train, s.N),
				Shapes: [][]int{{s.B * s.H, s.W}, {s.H}, {s.H}},
				Build: func(x ...*G.Node) (*G.Node, error) {
					st := stats(s.H, 0.2, 0.5)
					st.Eps = eps
					return ops.HeadNorm(x[0], x[1], x[2], st, &ops.Rows{N: s.N}, train)
				},
				Oracle: func(x ...[]float64) []float64 {
					columns := byHead(x[0], s.B, s.H, s.W, false)
					return byHead(batchNorm(columns, x[1], x[2], mean, variance, s.B*s.W, s.N*s.W, eps, kernel.None), s.B, s.H, s.W, true)
				},
				Big: s.B > 300,
			})
		}
	}
}

// Training moves the running statistics by those of the live rows.
func TestHeadNormRunning(t *testing.T) {
	g := G.NewGraph()
	st := stats(2, 0, 1)
	x := matrix(g, "x", 6, 2, 1, 2, 10, 20, 3, 6, 30, 60, 1e9, 1, -1e9, 1) // the last row of two heads is padding
	y := must(ops.HeadNorm(x, vector(g, "gamma", 1, 1), vector(g, "beta", 0, 5), st, &ops.Rows{N: 2}, true))
	run(t, g)
	// means 3, 30; variances over n−1: 14/3, 1400/3
	for i, want := range []float64{0.3, 3, 0.9 + 1.4/3, 0.9 + 140.0/3} {
		if got := float64(append(append([]float32{}, st.Mean...), st.Var...)[i]); math.Abs(got/want-1) > 1e-6 {
			t.Errorf("running statistic %d is %v, want %v", i, got, want)
		}
	}
	for i, v := range opstest.Values(y)[8:] {
		if v != 0 {
			t.Errorf("value %d of the padding row is %v, want 0", i, v)
		}
	}
}

func TestHeadNormErrors(t *testing.T) {
	g := G.NewGraph()
	in := func(name string, s ...int) *G.Node {
		return G.NewTensor(g, tensor.Float32, len(s), G.WithShape(s...), G.WithName(name))
	}
	x, two, three := in("x", 4, 6), in("two", 2), in("three", 3)
	for want, got := range map[string]error{
		"ops: headnorm: x is (4, 6), want rows of 3 heads":                  second(ops.HeadNorm(x, three, three, stats(3, 0, 1), nil, true)),
		"ops: headnorm: beta is (3), want (2): one value per head":          second(ops.HeadNorm(x, two, three, stats(2, 0, 1), nil, true)),
		"ops: headnorm: gamma is (4, 6), want (1): one value per head":      second(ops.HeadNorm(x, x, two, stats(2, 0, 1), nil, true)),
		"ops: headnorm: no running statistics":                              second(ops.HeadNorm(x, two, two, nil, nil, true)),
		"ops: headnorm: running statistics of 3 and 3 columns, x is (4, 6)": second(ops.HeadNorm(x, two, two, stats(3, 0, 1), nil, true)),
	} {
		if got == nil || got.Error() != want {
			t.Errorf("error %v, want %s", got, want)
		}
	}
}

func second(_ *G.Node, err error) error { return err }
