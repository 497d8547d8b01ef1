package ops_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

func TestDistances(t *testing.T) {
	for _, s := range []struct{ R, O, I int }{{1, 1, 1}, {3, 2, 5}, {7, 3, 4}, {40, 60, 17}} {
		n := s.O * s.I
		opstest.Check(t, opstest.Case{
			Shapes: [][]int{{s.O, s.I}, {s.R, n}}, Big: s.R == 40,
			Build: func(x ...*G.Node) (*G.Node, error) { return ops.Distances(x[0], x[1], s.I) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, s.R*n)
				for i := range y {
					y[i] = math.Abs(x[0][i%n] - x[1][i])
				}
				return y
			},
			Fill: apartFrom(n),
		})
	}
}

// apartFrom draws rows of values in ±[2, 3), against w in [-1, 1): no distance is near 0.
func apartFrom(n int) func(int, []float32, *rand.Rand) {
	return func(input int, x []float32, r *rand.Rand) {
		opstest.Uniform(x, r)
		if input == 0 {
			return
		}
		for i, v := range x {
			x[i] = v/2 + float32(2.5*math.Copysign(1, r.Float64()-.5))
		}
	}
}

// TestSpliceOwn compares with the formulas written out, and with finite differences. A is 0 there: the global weight has steps.
func TestSpliceOwn(t *testing.T) {
	for name, form := range forms {
		if form == ops.SpliceLanguage {
			continue
		}
		for _, s := range []struct{ R, n int }{{1, 1}, {3, 10}, {5, 33}, {40, 1030}} {
			p := ops.OwnSplicing{Form: form, Scale: 2, C: 500, Bins: 10}
			shapes, build := [][]int{{1, s.n}, {s.R, s.n}, {s.R, s.n}}, func(x ...*G.Node) (*G.Node, error) { return ops.SpliceOwn(x[2], x[0], x[1], p) }
			if form == ops.SpliceGlobal {
				shapes, build = shapes[:2], func(x ...*G.Node) (*G.Node, error) { return ops.SpliceOwn(nil, x[0], x[1], p) }
			}
			opstest.Check(t, opstest.Case{
				Name: name, Shapes: shapes, Build: build, Big: s.R == 40,
				Oracle: func(x ...[]float64) []float64 {
					y := make([]float64, s.R*s.n)
					for i := range y {
						var logits []float64
						if form != ops.SpliceGlobal {
							logits = x[2][i : i+1]
						}
						w := weights(ops.Splicing{Form: form, Global: []float64{.5, .5}, Scale: 2, Temperature: 1}, 2, logits)
						y[i] = w[0]*x[0][i%s.n] + w[1]*x[1][i]
					}
					return y
				},
			})
		}
	}
}

// TestSpliceOwnGlobal: the global weight of a row is that of its own entropy.
func TestSpliceOwnGlobal(t *testing.T) {
	const R, n = 4, 50
	r := rand.New(rand.NewPCG(7, 1))
	w, v, z := make([]float32, n), make([]float32, R*n), make([]float32, R*n)
	opstest.Uniform(w, r)
	opstest.Uniform(z, r)
	for row := range R {
		for i := range n {
			v[row*n+i] = float32(math.Pow(r.Float64(), float64(1+2*row)))
		}
	}
	for _, form := range []ops.SpliceForm{ops.SpliceGlobal, ops.SpliceRecommendation} {
		g := G.NewGraph()
		nw, nv := matrix(g, "w", 1, n, w...), matrix(g, "v", R, n, v...)
		var s *G.Node
		if form != ops.SpliceGlobal {
			s = matrix(g, "z", R, n, z...)
		}
		out := must(ops.SpliceOwn(s, nw, nv, ops.OwnSplicing{Form: form, Scale: 1, A: .4, C: .5, Bins: 10}))
		run(t, g)
		seen := map[string]bool{}
		for row := range R {
			own := v[row*n : (row+1)*n]
			gate := .4/math.Pi*math.Atan(.5*(ops.Entropy(w, 10)-ops.Entropy(own, 10))) + .5
			seen[fmt.Sprintf("%.4f", gate)] = true
			for i := range n {
				var logits []float64
				if s != nil {
					logits = []float64{float64(z[row*n+i])}
				}
				u := weights(ops.Splicing{Form: form, Global: []float64{gate, 1 - gate}, Scale: 1, Temperature: 1}, 2, logits)
				want := u[0]*float64(w[i]) + u[1]*float64(own[i])
				if got := float64(opstest.Values(out)[row*n+i]); math.Abs(got-want) > 1e-6 {
					t.Fatalf("form %d, row %d: value %d is %v, want %v", form, row, i, got, want)
				}
			}
		}
		if len(seen) != R {
			t.Errorf("the rows have the global weights %v, want %d different ones", seen, R)
		}
	}
}

func TestSpliceOwnErrors(t *testing.T) {
	g := G.NewGraph()
	six := make([]float32, 6)
	w, v, z := matrix(g, "w", 1, 3, six[:3]...), matrix(g, "v", 2, 3, six...), matrix(g, "z", 2, 3, six...)
	ok := ops.OwnSplicing{Form: ops.SpliceRecommendation, Scale: 1, A: .4, C: 500, Bins: 10}
	for _, tc := range []struct {
		err  func() error
		want string
	}{
		{func() error { _, err := ops.SpliceOwn(nil, w, v, ok); return err }, "each other form has"},
		{func() error { _, err := ops.SpliceOwn(z, z, v, ok); return err }, "as many values in a row of v as in w"},
		{func() error { _, err := ops.SpliceOwn(w, w, v, ok); return err }, "a logit for each value"},
		{func() error {
			p := ok
			p.Bins = 0
			_, err := ops.SpliceOwn(z, w, v, p)
			return err
		}, "a bin"},
		{func() error { _, err := ops.Distances(w, v, 2); return err }, "a multiple of 2"},
	} {
		if err := tc.err(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
}
