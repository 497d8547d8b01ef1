package ops_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// runningStats are fresh statistics of C columns.
func runningStats(C int) *ops.BatchStats {
	st := &ops.BatchStats{Mean: make([]float32, C), Var: make([]float32, C), Momentum: 0.01, Eps: 1e-9}
	for j := range C {
		st.Mean[j], st.Var[j] = float32(j%3)/4, 1+float32(j%5)/2
	}
	return st
}

// dice is the float64 twin of Dice.
func dice(x, alpha []float64, C int, live []bool, st *ops.BatchStats, train bool) []float64 {
	n := 0.0
	for _, l := range live {
		if l {
			n++
		}
	}
	y := make([]float64, len(x))
	for j := range C {
		mean, variance := float64(st.Mean[j]), float64(st.Var[j])
		if train && n > 1 {
			mean, variance = 0, 0
			for r, l := range live {
				if l {
					mean += x[r*C+j] / n
				}
			}
			for r, l := range live {
				if l {
					variance += (x[r*C+j] - mean) * (x[r*C+j] - mean) / n
				}
			}
		}
		for r, l := range live {
			if v := x[r*C+j]; l {
				p := 1 / (1 + math.Exp(-(v-mean)/math.Sqrt(variance+st.Eps)))
				y[r*C+j] = p*v + (1-p)*alpha[j]*v
			}
		}
	}
	return y
}

func TestDice(t *testing.T) {
	for _, s := range []struct{ B, N, C int }{{1, 1, 1}, {4, 4, 3}, {5, 3, 2}, {9, 1, 4}, {900, 860, 33}} {
		for _, train := range []bool{false, true} {
			live := make([]bool, s.B)
			for r := range s.N {
				live[r] = true
			}
			opstest.Check(t, opstest.Case{
				Name:   fmt.Sprintf("rows=%d,train=%v", s.N, train),
				Shapes: [][]int{{s.B, s.C}, {s.C}},
				Build: func(x ...*G.Node) (*G.Node, error) {
					return ops.Dice(x[0], x[1], ops.DiceOptions{Stats: runningStats(s.C), Rows: &ops.Rows{N: s.N}, Train: train})
				},
				Oracle: func(x ...[]float64) []float64 { return dice(x[0], x[1], s.C, live, runningStats(s.C), train) },
				Big:    s.B > 100,
			})
		}
	}
}

func TestDiceTokens(t *testing.T) {
	for _, C := range []int{1, 6} {
		for _, train := range []bool{false, true} {
			checkHistory(t, history{
				name: fmt.Sprintf("C=%d,train=%v", C, train),
				in:   []input{{perPosition, C, 0}, {ofWeight, C, 0}},
				out:  input{perPosition, C, 0},
				build: func(t *ops.Tokens, x ...*G.Node) (*G.Node, error) {
					return ops.Dice(x[0], x[1], ops.DiceOptions{Stats: runningStats(C), Tokens: t, Train: train})
				},
				oracle: func(s sequences, x ...[]float64) []float64 {
					live := make([]bool, s.B*s.L)
					for r := range live {
						live[r] = s.live(r/s.L, r%s.L)
					}
					return dice(x[0], x[1], C, live, runningStats(C), train)
				},
				alone: !train,
			})
		}
	}
}

// The running statistics move as those of a batch normalisation over the live rows, and only in training.
func TestDiceStats(t *testing.T) {
	const B, N, C = 700, 650, 5
	x := make([]float32, B*C)
	opstest.Uniform(x, rand.New(rand.NewPCG(1, 2)))
	for i := range x {
		x[i] += 30
	}
	alpha, rows := make([]float32, C), &ops.Rows{N: N}
	for _, train := range []bool{false, true} {
		got, want := runningStats(C), runningStats(C)
		g := G.NewGraph()
		xn, v := matrix(g, "x", B, C, x...), vector(g, "alpha", alpha...)
		must(ops.Dice(xn, v, ops.DiceOptions{Stats: got, Rows: rows, Train: train}))
		must(ops.BatchNorm(xn, v, v, want, kernel.None, rows, train))
		run(t, g)
		if slices.Equal(want.Mean, runningStats(C).Mean) == train {
			t.Fatalf("training %v: the mean is %v", train, want.Mean)
		}
		for j := range C {
			if !near(got.Mean[j], want.Mean[j]) || !near(got.Var[j], want.Var[j]) {
				t.Errorf("training %v: mean %v, variance %v, want %v, %v", train, got.Mean, got.Var, want.Mean, want.Var)
				break
			}
		}
	}
}

// A mean that is far from 0 costs no digits of the variance.
func TestDiceFarMean(t *testing.T) {
	const N, step = 700, 0.0625
	g := G.NewGraph()
	st := runningStats(1)
	st.Momentum = 1
	x := make([]float32, N)
	for i := range x {
		x[i] = 1e6 + step*float32(i%2)
	}
	must(ops.Dice(matrix(g, "x", N, 1, x...), vector(g, "alpha", 0), ops.DiceOptions{Stats: st, Train: true}))
	run(t, g)
	if got, want := st.Var[0], float32(step*step/4*N/(N-1)); !near(got, want) {
		t.Errorf("variance %v, want %v", got, want)
	}
}

func near(a, b float32) bool { return math.Abs(float64(a-b)) <= 1e-6*math.Abs(float64(b)) }

func TestDiceErrors(t *testing.T) {
	g := G.NewGraph()
	x, alpha, short := matrix(g, "x", 4, 2, make([]float32, 8)...), vector(g, "alpha", 0, 0), vector(g, "short", 0)
	for _, tc := range []struct {
		alpha *G.Node
		opt   ops.DiceOptions
		want  string
	}{
		{short, ops.DiceOptions{Stats: runningStats(2)}, "ops: dice: alpha is (1), want (2): one value per column"},
		{alpha, ops.DiceOptions{}, "ops: dice: no running statistics"},
		{alpha, ops.DiceOptions{Stats: runningStats(3)}, "ops: dice: running statistics of 3 and 3 columns, x is (4, 2)"},
		{alpha, ops.DiceOptions{Stats: runningStats(2), Tokens: &ops.Tokens{L: 3}}, "ops: dice: x has 4 rows, want sequences of 3"},
		{
			alpha,
			ops.DiceOptions{Stats: runningStats(2), Tokens: &ops.Tokens{L: 2}, Rows: &ops.Rows{}},
			"ops: dice: rows are live by Rows and by Tokens, want one of them",
		},
	} {
		if _, err := ops.Dice(x, tc.alpha, tc.opt); err == nil || err.Error() != tc.want {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
}
