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

// weightedLoss is a loss with weights, and its rows by their definition.
type weightedLoss struct {
	name   string
	inputs int // nodes of [B, C] before the label
	C, L   int // columns of an input, and of the label
	build  func(x []*G.Node, t ops.Target) (*G.Node, error)
	row    func(x [][]float64, r int) float64 // the label is the last of x
}

func weightedLosses() []weightedLoss {
	p := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	focal := ops.FocalOptions{Positive: .3, Negative: .7, Gamma: 2}
	return []weightedLoss{
		{
			"bce", 1, 1, 1, func(x []*G.Node, t ops.Target) (*G.Node, error) { return ops.BCE(x[0], t) },
			func(x [][]float64, r int) float64 {
				return -x[1][r]*math.Log(p(x[0][r])) - (1-x[1][r])*math.Log(1-p(x[0][r]))
			},
		},
		{
			"pos_weight", 1, 1, 1, func(x []*G.Node, t ops.Target) (*G.Node, error) {
				return ops.Focal(x[0], ops.FocalOptions{Positive: 5, Negative: 1}, t)
			},
			func(x [][]float64, r int) float64 {
				return -5*x[1][r]*math.Log(p(x[0][r])) - (1-x[1][r])*math.Log(1-p(x[0][r]))
			},
		},
		{
			"focal", 1, 1, 1, func(x []*G.Node, t ops.Target) (*G.Node, error) { return ops.Focal(x[0], focal, t) },
			func(x [][]float64, r int) float64 {
				q := p(x[0][r])
				return -.3*x[1][r]*(1-q)*(1-q)*math.Log(q) - .7*(1-x[1][r])*q*q*math.Log(1-q)
			},
		},
		{
			"focal of gamma .5", 1, 1, 1, func(x []*G.Node, t ops.Target) (*G.Node, error) {
				return ops.Focal(x[0], ops.FocalOptions{Positive: 1, Negative: 1, Gamma: .5}, t)
			},
			func(x [][]float64, r int) float64 {
				q := p(x[0][r])
				return -x[1][r]*math.Sqrt(1-q)*math.Log(q) - (1-x[1][r])*math.Sqrt(q)*math.Log(1-q)
			},
		},
		{
			"mse", 1, 1, 1, func(x []*G.Node, t ops.Target) (*G.Node, error) { return ops.MSE(x[0], t) },
			func(x [][]float64, r int) float64 { return (x[0][r] - x[1][r]) * (x[0][r] - x[1][r]) },
		},
		{
			"softmaxce", 1, 3, 1, func(x []*G.Node, t ops.Target) (*G.Node, error) { return ops.SoftmaxCE(x[0], t) },
			func(x [][]float64, r int) float64 {
				y := make([]float64, 3)
				y[int(x[1][r])] = 1
				return softCE(x[0][3*r:3*r+3], y, 3)
			},
		},
		{
			"softmaxfocal", 1, 3, 1, func(x []*G.Node, t ops.Target) (*G.Node, error) {
				return ops.SoftmaxFocal(x[0], ops.SoftmaxFocalOptions{Factors: []float64{1, 2, .5}, Gamma: 1.5}, t)
			},
			func(x [][]float64, r int) float64 {
				y := make([]float64, 3)
				y[int(x[1][r])] = 1
				ce := softCE(x[0][3*r:3*r+3], y, 3)
				return []float64{1, 2, .5}[int(x[1][r])] * math.Pow(1-math.Exp(-ce), 1.5) * ce
			},
		},
		{
			"softmaxcesoft", 1, 3, 3, func(x []*G.Node, t ops.Target) (*G.Node, error) { return ops.SoftmaxCESoft(x[0], t) },
			func(x [][]float64, r int) float64 { return softCE(x[0][3*r:3*r+3], x[1][3*r:3*r+3], 3) },
		},
	}
}

// fillWeighted draws logits, labels and weights, every fifth of which is 0.
func (l weightedLoss) fill(input int, x []float32, r *rand.Rand) {
	for i := range x {
		switch {
		case input < l.inputs:
			x[i] = 8*r.Float32() - 4
		case input > l.inputs:
			x[i] = 3 * r.Float32() * float32(min(i%5, 1))
		case l.L == 1 && l.C > 1:
			x[i] = float32(r.IntN(l.C))
		case l.L == 1:
			x[i] = r.Float32()
		default:
			x[i] = []float32{.5, .25, .25}[i%3]
		}
	}
}

// The mean is over the live rows, whatever their weights.
func TestWeights(t *testing.T) {
	for _, l := range weightedLosses() {
		for _, s := range []struct{ B, N int }{{1, 1}, {6, 6}, {7, 4}, {20001, 20001}, {20001, 15011}} {
			opstest.Check(t, opstest.Case{
				Name:   l.name,
				Shapes: [][]int{{s.B, l.C}, {s.B, l.L}, {s.B, 1}},
				Build: func(x ...*G.Node) (*G.Node, error) {
					return l.build(x, ops.Target{Label: x[1], Weight: x[2], Rows: &ops.Rows{N: s.N}})
				},
				Oracle: func(x ...[]float64) []float64 {
					sum := 0.0
					for r := range s.N {
						if w := x[2][r]; w != 0 {
							sum += w * l.row(x[:2], r)
						}
					}
					return []float64{sum / float64(s.N)}
				},
				Fill:   l.fill,
				NoGrad: []int{1, 2},
				Big:    s.B > 1000,
			})
		}
	}
}

// A row of weight 0 has no part, whatever its label is; padding rows hold anything. A weight of no number is an error.
func TestWeightsOfNothing(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, l := range weightedLosses() {
		for _, tc := range []struct {
			name    string
			weights []float32
			bad     string
		}{
			{"zero", []float32{0, 2, nan}, ""},
			{"negative", []float32{0, -1, 1}, "weight of row 1 is -1, want a finite number of 0 or more"},
			{"nan", []float32{0, nan, 1}, "weight of row 1 is NaN"},
			{"infinite", []float32{0, inf, 1}, "weight of row 1 is +Inf"},
		} {
			t.Run(l.name+" "+tc.name, func(t *testing.T) {
				g := G.NewGraph()
				z, y := make([]float32, 3*l.C), make([]float32, 3*l.L)
				z[l.C] = .25
				for i := range l.L {
					y[i] = nan
					y[l.L+i] = float32(1) / float32(l.L)
				}
				zn := matrix(g, "z", 3, l.C, z...)
				loss := must(l.build([]*G.Node{zn}, ops.Target{
					Label: matrix(g, "y", 3, l.L, y...), Weight: matrix(g, "w", 3, 1, tc.weights...), Rows: &ops.Rows{N: 2},
				}))
				d, err := ops.Grad(loss, zn)
				if err != nil {
					t.Fatal(err)
				}
				err = runErr(g)
				if tc.bad != "" {
					if err == nil || !strings.Contains(err.Error(), tc.bad) {
						t.Errorf("error %v, want %q", err, tc.bad)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				dz := opstest.Values(d[0])
				if v := opstest.Values(loss)[0]; !(v > 0) || slices.ContainsFunc(slices.Concat(dz[:l.C], dz[2*l.C:]), func(v float32) bool { return v != 0 }) {
					t.Errorf("loss %v, gradient %v, want one of the second row alone", v, dz)
				}
				if !slices.ContainsFunc(dz[l.C:2*l.C], func(v float32) bool { return v != 0 }) {
					t.Errorf("gradient %v, the second row has none", dz)
				}
			})
		}
	}
}

// Logits far out neither overflow nor lose the loss.
func TestFocalExtremes(t *testing.T) {
	g := G.NewGraph()
	z := matrix(g, "z", 4, 1, 1000, -1000, 1000, -1000)
	loss := must(ops.Focal(z, ops.FocalOptions{Positive: 1, Negative: 3, Gamma: 2}, ops.Target{Label: matrix(g, "y", 4, 1, 0, 0, 1, 1)}))
	d, err := ops.Grad(loss, z)
	if err != nil {
		t.Fatal(err)
	}
	run(t, g)
	if got := opstest.Values(loss)[0]; got != 1000 {
		t.Errorf("loss %v, want 1000", got)
	}
	if got := opstest.Values(d[0]); !slices.Equal(got, []float32{.75, 0, 0, -.25}) {
		t.Errorf("gradient %v", got)
	}
}

func TestFocalRefuses(t *testing.T) {
	g := G.NewGraph()
	y := matrix(g, "y", 2, 1, 0, 1)
	for _, o := range []ops.FocalOptions{{}, {Positive: 1}, {Positive: 1, Negative: 1, Gamma: -1}, {Positive: math.Inf(1), Negative: 1}} {
		if _, err := ops.Focal(y, o, ops.Target{Label: y}); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
	z := matrix(g, "z", 2, 2, 0, 0, 0, 0)
	for _, o := range []ops.SoftmaxFocalOptions{{Factors: []float64{1}}, {Factors: []float64{1, 0}}, {Gamma: -1}, {Gamma: math.NaN()}} {
		if _, err := ops.SoftmaxFocal(z, o, ops.Target{Label: y}); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
	_, err := ops.BCE(y, ops.Target{Label: y, Weight: matrix(g, "w", 1, 1, 1)})
	if err == nil || err.Error() != "ops: bce: weight is (1, 1), want (2, 1): one weight per row" {
		t.Errorf("error %v of one weight", err)
	}
}

func TestSmoothShares(t *testing.T) {
	g := G.NewGraph()
	y := must(ops.SmoothShares(matrix(g, "y", 4, 1, 0, 1, .5, 9), .2, &ops.Rows{N: 3}))
	run(t, g)
	if got := opstest.Values(y); !slices.Equal(got, []float32{.1, .9, .5, 0}) {
		t.Errorf("%v, want [0.1 0.9 0.5 0]", got)
	}
	g = G.NewGraph()
	must(ops.SmoothShares(matrix(g, "y", 1, 1, 1.1), .2, nil))
	if err := runErr(g); err == nil || !strings.Contains(err.Error(), "label of row 0 is 1.1, want a number in [0, 1]") {
		t.Errorf("error %v", err)
	}
	if _, err := ops.SmoothShares(matrix(g, "x", 1, 1, 0), 1.5, nil); err == nil {
		t.Error("smoothing by 1.5 is no error")
	}
}
