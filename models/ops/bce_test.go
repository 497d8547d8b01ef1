package ops_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// logits draws logits from [-8, 8) and labels from [0, 1), every second of them hard.
func logits(input int, x []float32, r *rand.Rand) {
	for i := range x {
		switch {
		case input == 0:
			x[i] = 16*r.Float32() - 8
		case i%2 == 0:
			x[i] = float32(r.IntN(2))
		default:
			x[i] = r.Float32()
		}
	}
}

// crossEntropy is the mean cross-entropy of the first n rows, by its definition.
func crossEntropy(z, y []float64, n int) []float64 {
	sum := 0.0
	for i := range n {
		p := 1 / (1 + math.Exp(-z[i]))
		sum -= y[i]*math.Log(p) + (1-y[i])*math.Log(1-p)
	}
	return []float64{sum / float64(n)}
}

func TestBCE(t *testing.T) {
	for _, s := range []struct{ B, N int }{{1, 1}, {5, 5}, {5, 3}, {7, 1}, {40001, 40001}, {40001, 30011}} {
		c := opstest.Case{
			Name:   "bce",
			Shapes: [][]int{{s.B, 1}, {s.B, 1}},
			Build: func(x ...*G.Node) (*G.Node, error) {
				if s.N == s.B {
					return ops.BCE(x[0], ops.Target{Label: x[1]})
				}
				return ops.BCE(x[0], ops.Target{Label: x[1], Rows: &ops.Rows{N: s.N}})
			},
			Oracle: func(x ...[]float64) []float64 { return crossEntropy(x[0], x[1], s.N) },
			Fill:   logits,
			NoGrad: []int{1},
			Big:    s.B > 1000,
		}
		opstest.Check(t, c)
	}
}

// Logits far out must neither overflow nor lose the loss; padding rows hold anything.
func TestBCEExtremes(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	g := G.NewGraph()
	z := matrix(g, "z", 5, 1, 1000, -1000, 0, nan, inf)
	y := matrix(g, "y", 5, 1, 0, 0, 1, nan, 9)
	l := must(ops.BCE(z, ops.Target{Label: y, Rows: &ops.Rows{N: 3}}))
	d, err := ops.Grad(l, z)
	if err != nil {
		t.Fatal(err)
	}
	run(t, g)
	if got, want := opstest.Values(l)[0], float32((1000+math.Ln2)/3); math.Abs(float64(got/want-1)) > 1e-6 {
		t.Errorf("loss %v, want %v", got, want)
	}
	want := []float32{1. / 3, 0, -.5 / 3, 0, 0}
	for i, got := range opstest.Values(d[0]) {
		if math.Abs(float64(got-want[i])) > 1e-7 {
			t.Errorf("gradient of logit %d is %v, want %v", i, got, want[i])
		}
	}
}

func TestBCEBadValues(t *testing.T) {
	for _, tc := range []struct {
		name  string
		label float32
		live  int
		want  string
	}{
		{"label", 1.5, 2, "ops: bce: label of row 1 is 1.5, want a number in [0, 1]"},
		{"nan", float32(math.NaN()), 2, "ops: bce: label of row 1 is NaN, want a number in [0, 1]"},
		{"none", 1, 0, "ops: bce: 0 live rows in a batch of 2, want 1 to 2"},
		{"many", 1, 3, "ops: bce: 3 live rows in a batch of 2, want 1 to 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := G.NewGraph()
			must(ops.BCE(matrix(g, "z", 2, 1, 0, 0), ops.Target{Label: matrix(g, "y", 2, 1, 0, tc.label), Rows: &ops.Rows{N: tc.live}}))
			if err := runErr(g); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
