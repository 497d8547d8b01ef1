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

// softCE is the sum of the cross-entropies of the rows of z and p [·, C], by the definition.
func softCE(z, p []float64, C int) float64 {
	loss := 0.0
	for at := 0; at < len(z); at += C {
		sum := 0.0
		for _, v := range z[at : at+C] {
			sum += math.Exp(v)
		}
		for j, v := range z[at : at+C] {
			loss -= p[at+j] * math.Log(math.Exp(v)/sum)
		}
	}
	return loss
}

func TestSoftmaxCE(t *testing.T) {
	for _, s := range []struct {
		name    string
		B, C, N int
		ignore  int // each so manieth row is left out; 0: none
	}{
		{"one", 1, 1, 1, 0},
		{"all", 5, 2, 5, 0},
		{"padding", 5, 3, 2, 0},
		{"ignored", 7, 17, 6, 3},
		{"everything ignored", 3, 4, 3, 1},
		{"wide", 2, 515, 2, 0},
		{"big", 701, 33, 650, 7},
		{"big vocabulary", 9, 5003, 9, 2},
	} {
		t.Run(s.name, func(t *testing.T) {
			opstest.Check(t, opstest.Case{
				Name:   "softmaxce",
				Shapes: [][]int{{s.B, s.C}, {s.B, 1}},
				Build: func(x ...*G.Node) (*G.Node, error) {
					if s.N == s.B {
						return ops.SoftmaxCE(x[0], ops.Target{Label: x[1]})
					}
					return ops.SoftmaxCE(x[0], ops.Target{Label: x[1], Rows: &ops.Rows{N: s.N}})
				},
				Oracle: func(x ...[]float64) []float64 {
					loss, n := 0.0, 0.0
					for r := range s.N {
						if y := int(x[1][r]); y >= 0 {
							p := make([]float64, s.C)
							p[y] = 1
							loss += softCE(x[0][r*s.C:(r+1)*s.C], p, s.C)
							n++
						}
					}
					return []float64{loss / max(1, n)}
				},
				Fill: func(i int, x []float32, r *rand.Rand) {
					for j := range x {
						switch {
						case i == 0:
							x[j] = 8*r.Float32() - 4
						case s.ignore > 0 && j%s.ignore == 0:
							x[j] = ops.Ignored
						default:
							x[j] = float32(r.IntN(s.C))
						}
					}
				},
				NoGrad: []int{1},
				Big:    s.B*s.C > 5000,
			})
		})
	}
}

func TestSoftmaxCESoft(t *testing.T) {
	for _, s := range []struct{ B, C, N int }{{1, 1, 1}, {5, 2, 5}, {5, 3, 2}, {4, 17, 4}, {701, 33, 650}} {
		opstest.Check(t, opstest.Case{
			Name:   "soft",
			Shapes: [][]int{{s.B, s.C}, {s.B, s.C}},
			Build: func(x ...*G.Node) (*G.Node, error) {
				return ops.SoftmaxCESoft(x[0], ops.Target{Label: x[1], Rows: &ops.Rows{N: s.N}})
			},
			Oracle: func(x ...[]float64) []float64 {
				return []float64{softCE(x[0][:s.N*s.C], x[1][:s.N*s.C], s.C) / float64(s.N)}
			},
			Fill: func(i int, x []float32, r *rand.Rand) {
				opstest.Uniform(x, r)
				if i == 0 {
					for j := range x {
						x[j] *= 4
					}
					return
				}
				for at := 0; at < len(x); at += s.C {
					row, sum := x[at:at+s.C], float32(0)
					for j := range row {
						row[j] = max(0, row[j])
						if j == 0 {
							row[j] = 0.1
						}
						sum += row[j]
					}
					for j := range row {
						row[j] /= sum
					}
				}
			},
			NoGrad: []int{1},
			Big:    s.B > 700,
		})
	}
}

// A class is a distribution with all weight on it: both forms give the same loss and gradient.
func TestSoftmaxCEForms(t *testing.T) {
	z := []float32{1, -2, 0.5, 3, 3, 3}
	var got [2][]float32
	for i := range got {
		g := G.NewGraph()
		x := matrix(g, "z", 2, 3, z...)
		loss := must(ops.SoftmaxCE(x, ops.Target{Label: matrix(g, "y", 2, 1, 2, 0)}))
		if i == 1 {
			g = G.NewGraph()
			x = matrix(g, "z", 2, 3, z...)
			loss = must(ops.SoftmaxCESoft(x, ops.Target{Label: matrix(g, "p", 2, 3, 0, 0, 1, 1, 0, 0)}))
		}
		d, err := ops.Grad(loss, x)
		if err != nil {
			t.Fatal(err)
		}
		run(t, g)
		got[i] = append(slices.Clone(opstest.Values(loss)), opstest.Values(d[0])...)
	}
	if !slices.Equal(got[0], got[1]) {
		t.Errorf("classes give %v, distributions %v", got[0], got[1])
	}
}

// Logits far out neither overflow nor lose the loss; padding and ignored rows hold anything and have no gradient.
func TestSoftmaxCEExtremes(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	g := G.NewGraph()
	z := matrix(g, "z", 5, 2, 1e30, -1e30, -200, 200, 300, 300, nan, inf, nan, nan)
	loss := must(ops.SoftmaxCE(z, ops.Target{Label: matrix(g, "y", 5, 1, 0, 0, 1, ops.Ignored, nan), Rows: &ops.Rows{N: 4}}))
	d, err := ops.Grad(loss, z)
	if err != nil {
		t.Fatal(err)
	}
	run(t, g)
	if got, want := float64(opstest.Values(loss)[0]), (0+400+math.Ln2)/3; math.Abs(got/want-1) > 1e-6 {
		t.Errorf("loss %v, want %v", got, want)
	}
	want := []float32{0, 0, -1. / 3, 1. / 3, 1. / 6, -1. / 6, 0, 0, 0, 0}
	for i, got := range opstest.Values(d[0]) {
		if !(math.Abs(float64(got-want[i])) <= 1e-7) {
			t.Errorf("gradient of logit %d is %v, want %v", i, got, want[i])
		}
	}
}

func TestSoftmaxCEBadValues(t *testing.T) {
	nan := float32(math.NaN())
	for _, tc := range []struct {
		name  string
		label float32
		live  int
		want  string
	}{
		{"great", 2, 2, "ops: softmaxce: label of row 1 is 2, want a class from 0 to 1, or -1 to leave the row out"},
		{"small", -2, 2, "ops: softmaxce: label of row 1 is -2, want"},
		{"broken", 0.5, 2, "ops: softmaxce: label of row 1 is 0.5, want"},
		{"nan", nan, 2, "ops: softmaxce: label of row 1 is NaN, want"},
		{"none", 1, 0, "ops: softmaxce: 0 live rows in a batch of 2, want 1 to 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := G.NewGraph()
			must(ops.SoftmaxCE(matrix(g, "z", 2, 2, 0, 0, 0, 0), ops.Target{Label: matrix(g, "y", 2, 1, 0, tc.label), Rows: &ops.Rows{N: tc.live}}))
			if err := runErr(g); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	for _, tc := range []struct {
		p    []float32
		want string
	}{
		{[]float32{0.5, 0.6}, "ops: softmaxcesoft: targets of row 0 have the sum 1.1"},
		{[]float32{1.5, -0.5}, "ops: softmaxcesoft: target 1 of row 0 is -0.5, want a number of 0 or more"},
		{[]float32{nan, 1}, "ops: softmaxcesoft: target 0 of row 0 is NaN, want"},
	} {
		g := G.NewGraph()
		must(ops.SoftmaxCESoft(matrix(g, "z", 1, 2, 0, 0), ops.Target{Label: matrix(g, "p", 1, 2, tc.p...)}))
		if err := runErr(g); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
	g := G.NewGraph()
	z := matrix(g, "z", 3, 2, make([]float32, 6)...)
	if _, err := ops.SoftmaxCE(z, ops.Target{Label: z}); err == nil || err.Error() != "ops: softmaxce: label is (3, 2), want (3, 1): one class per row" {
		t.Errorf("error %v", err)
	}
	_, err := ops.SoftmaxCESoft(z, ops.Target{Label: matrix(g, "y", 3, 1, 0, 0, 0)})
	if err == nil || err.Error() != "ops: softmaxcesoft: target is (3, 1), want (3, 2): one number per logit" {
		t.Errorf("error %v", err)
	}
}
