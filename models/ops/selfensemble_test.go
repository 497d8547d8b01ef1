package ops_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// selfEnsemble returns the loss of the first n rows by its definition. The passes' mean is a constant of the loss: it is that of the last
// inputs that differ from those before in more than one value, so that differences of one value leave it alone.
func selfEnsemble(n int) func(x ...[]float64) []float64 {
	var base, fixed []float64
	sigmoid := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	bce := func(p, y float64) float64 { return -y*math.Log(p) - (1-y)*math.Log(1-p) }
	return func(x ...[]float64) []float64 {
		all, moved := slices.Concat(x...), 0
		for i := range base {
			if all[i] != base[i] {
				moved++
			}
		}
		if base == nil || moved > 1 {
			base, fixed = all, make([]float64, n)
			for i := range fixed {
				fixed[i] = (sigmoid(x[0][i]) + sigmoid(x[1][i])) / 2
			}
		}
		sum := 0.0
		for i, m := range fixed {
			p, q := sigmoid(x[0][i]), sigmoid(x[1][i])
			sum += bce((p+q)/2, x[2][i]) + bce(p, m) + bce(q, m)
		}
		return []float64{sum / float64(n)}
	}
}

func TestSelfEnsemble(t *testing.T) {
	for _, s := range []struct{ B, N int }{{1, 1}, {5, 5}, {5, 3}, {7, 1}, {20001, 20001}, {20001, 15011}} {
		opstest.Check(t, opstest.Case{
			Name:   "selfensemble",
			Shapes: [][]int{{s.B, 1}, {s.B, 1}, {s.B, 1}},
			Build: func(x ...*G.Node) (*G.Node, error) {
				return ops.SelfEnsemble(x[0], x[1], ops.Target{Label: x[2], Rows: &ops.Rows{N: s.N}})
			},
			Oracle: selfEnsemble(s.N),
			Fill:   func(input int, x []float32, r *rand.Rand) { logits(input/2, x, r) },
			NoGrad: []int{2},
			Big:    s.B > 1000,
		})
	}
}

// Equal passes have three times the cross-entropy with themselves for labels, and its gradient is half that of the labels each. Logits far out
// must neither overflow nor lose the loss; padding rows hold anything.
func TestSelfEnsembleExtremes(t *testing.T) {
	nan := float32(math.NaN())
	g := G.NewGraph()
	a, b := matrix(g, "a", 5, 1, 1000, -1000, 0, 1000, nan), matrix(g, "b", 5, 1, 1000, -1000, 0, -1000, nan)
	y := matrix(g, "y", 5, 1, 0, 0, 1, 1, 9)
	l := must(ops.SelfEnsemble(a, b, ops.Target{Label: y, Rows: &ops.Rows{N: 4}}))
	d, err := ops.Grad(l, a, b)
	if err != nil {
		t.Fatal(err)
	}
	run(t, g)
	// the rows' losses: 1000; 0; 3·log 2; log 2 and, from each pass, half of 1000
	if got, want := opstest.Values(l)[0], float32((1000+3*math.Ln2+math.Ln2+1000)/4); math.Abs(float64(got/want-1)) > 1e-6 {
		t.Errorf("loss %v, want %v", got, want)
	}
	for i, want := range [][]float32{{0, 0, -.25 / 4, .5 / 4, 0}, {0, 0, -.25 / 4, -.5 / 4, 0}} {
		want[0] = .5 / 4 // (1 − y)·p·(1 − p)/(1 − m)/2, where p = m
		for r, got := range opstest.Values(d[i]) {
			if math.Abs(float64(got-want[r])) > 1e-7 {
				t.Errorf("gradient of logit %d of pass %d is %v, want %v", r, i, got, want[r])
			}
		}
	}
}

func TestSelfEnsembleBadValues(t *testing.T) {
	g := G.NewGraph()
	must(ops.SelfEnsemble(matrix(g, "a", 2, 1, 0, 0), matrix(g, "b", 2, 1, 0, 0), ops.Target{Label: matrix(g, "y", 2, 1, 0, 1.5)}))
	if err := runErr(g); err == nil || !strings.Contains(err.Error(), "ops: selfensemble: label of row 1 is 1.5, want a number in [0, 1]") {
		t.Errorf("error %v", err)
	}
	g = G.NewGraph()
	_, err := ops.SelfEnsemble(matrix(g, "a", 2, 1, 0, 0), matrix(g, "b", 1, 1, 0), ops.Target{Label: matrix(g, "y", 2, 1, 0, 1)})
	if err == nil || !strings.Contains(err.Error(), "logits of the other pass") {
		t.Errorf("error %v", err)
	}
}
