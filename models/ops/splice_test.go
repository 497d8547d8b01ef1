package ops_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// weights is the twin of ops.Splicing.Weights for one gate, term by term as the forms are written.
func weights(p ops.Splicing, parents int, s []float64) []float64 {
	L, l, u := make([]float64, parents), make([]float64, parents), make([]float64, parents)
	sum := 0.0
	for k := range parents {
		switch {
		case len(s) == 0:
		case len(s) == 1 && k == 1:
			L[1] = 1 - L[0]
		default:
			L[k] = 1 / (1 + math.Exp(-p.Scale*s[k]))
		}
		sum += L[k]
	}
	norm := 0.0
	for k := range parents {
		l[k] = L[k] / sum
		switch p.Form {
		case ops.SpliceLocal:
			u[k] = l[k]
		case ops.SpliceGlobal:
			u[k] = p.Global[k]
		case ops.SpliceRecommendation:
			u[k] = math.Exp(p.Global[k] * (1 - math.Exp(-p.Global[k]*L[k])))
		case ops.SpliceLanguage:
			u[k] = p.Global[0] * l[k]
			if k == 0 {
				u[k] += 1 - p.Global[0]
			}
		}
		u[k] = math.Pow(u[k], 1/p.Temperature)
		norm += u[k]
	}
	for k := range u {
		u[k] /= norm
	}
	return u
}

var forms = map[string]ops.SpliceForm{
	"local": ops.SpliceLocal, "global": ops.SpliceGlobal, "recommendation": ops.SpliceRecommendation, "language": ops.SpliceLanguage,
}

func globals(parents int) []float64 {
	g := map[int][]float64{2: {0.65, 0.35}, 3: {0.5, 0.2, 0.3}}
	return g[parents]
}

func TestSplice(t *testing.T) {
	for _, name := range []string{"local", "global", "recommendation", "language"} {
		for _, parents := range []int{2, 3} {
			for i, shape := range [][]int{{4, 3}, {1, 5}, {6}, {7, 11}, {8, 3}, {210, 130}} {
				for _, gate := range []int{0, 1, 2} {
					p := ops.Splicing{Form: forms[name], Global: globals(parents), Scale: 2, Temperature: []float64{1, 0.5}[i%2]}
					if p.Form == ops.SpliceGlobal && gate > 0 || shape[0] > 100 && (parents > 2 || gate > 1) {
						continue
					}
					checkSplice(t, fmt.Sprintf("%s/%d", name, parents), p, parents, shape, [][]int{shape, {shape[0]}, {1}}[gate])
				}
			}
		}
	}
}

func checkSplice(t *testing.T, name string, p ops.Splicing, parents int, shape, gate []int) {
	t.Helper()
	n := p.Logits(parents)
	var shapes [][]int
	for range n {
		shapes = append(shapes, gate)
	}
	var noGrad []int
	for k := range parents {
		shapes, noGrad = append(shapes, shape), append(noGrad, n+k)
	}
	span := tensorSize(shape) / tensorSize(gate)
	opstest.Check(t, opstest.Case{
		Name: name, Shapes: shapes, NoGrad: noGrad, Big: shape[0] > 100,
		Build: func(x ...*G.Node) (*G.Node, error) { return ops.Splice(x[:n], x[n:], p) },
		Oracle: func(x ...[]float64) []float64 {
			y := make([]float64, len(x[n]))
			for i := range y {
				var s []float64
				for _, v := range x[:n] {
					s = append(s, v[i/span])
				}
				for k, w := range weights(p, parents, s) {
					y[i] += w * x[n+k][i]
				}
			}
			return y
		},
	})
}

func tensorSize(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Hard splicing takes the parent of the largest weight; straight-through has its value and the gradient of the soft splice.
func TestSpliceChoices(t *testing.T) {
	const rows, cols = 5, 4
	for name, form := range forms {
		for _, parents := range []int{2, 3} {
			p := ops.Splicing{Form: form, Global: globals(parents), Scale: 1, Temperature: 1}
			if form == ops.SpliceGlobal {
				continue
			}
			n := p.Logits(parents)
			r := rand.New(rand.NewPCG(3, uint64(parents)))
			values := make([][]float32, n+parents)
			for i := range values {
				values[i] = make([]float32, rows*cols)
				opstest.Uniform(values[i], r)
			}
			splice := func(choice ops.SpliceChoice) (y []float32, d [][]float32) {
				p.Choice = choice
				g := G.NewGraph()
				var in G.Nodes
				for i, v := range values {
					in = append(in, matrix(g, fmt.Sprintf("x%d", i), rows, cols, v...))
				}
				out := must(ops.Splice(in[:n], in[n:], p))
				dy := matrix(g, "dy", rows, cols, values[0]...)
				grads, err := ops.VJP(out, dy, in[:n]...)
				if choice == ops.SpliceHard {
					if err == nil || !strings.Contains(err.Error(), "does not depend on") {
						t.Errorf("%s: gradient of a hard splice: error %v, want one", name, err)
					}
				} else if err != nil {
					t.Fatal(err)
				}
				run(t, g)
				for _, v := range grads {
					d = append(d, slices.Clone(opstest.Values(v)))
				}
				return slices.Clone(opstest.Values(out)), d
			}
			_, soft := splice(ops.SpliceSoft)
			hard, _ := splice(ops.SpliceHard)
			through, grads := splice(ops.SpliceStraightThrough)
			if !slices.Equal(hard, through) {
				t.Errorf("%s: straight-through is %v, hard %v", name, through, hard)
			}
			for i := range soft {
				if !slices.Equal(soft[i], grads[i]) {
					t.Errorf("%s: gradient of straight-through %v, soft %v", name, grads[i], soft[i])
				}
			}
			for i, got := range hard {
				var s []float64
				for _, v := range values[:n] {
					s = append(s, float64(v[i]))
				}
				w := weights(p, parents, s)
				if want := values[n+slices.Index(w, slices.Max(w))][i]; got != want {
					t.Errorf("%s: value %d of the hard splice is %v, want %v (weights %v)", name, i, got, want, w)
				}
			}
		}
	}
	if k := ops.Chosen([]float64{0.5, 0.5}); k != 1 {
		t.Errorf("of equal weights parent %d is taken, want the other, 1", k)
	}
}

// Equal parents come out as they are, whatever the gates say.
func TestSpliceOfEqualParents(t *testing.T) {
	g := G.NewGraph()
	v := make([]float32, 12)
	opstest.Uniform(v, rand.New(rand.NewPCG(1, 1)))
	s := matrix(g, "s", 3, 4, v...)
	a, b := matrix(g, "a", 3, 4, v...), matrix(g, "b", 3, 4, slices.Clone(v)...)
	splicing := ops.Splicing{Form: ops.SpliceRecommendation, Global: globals(2), Scale: 1, Temperature: 1}
	y := must(ops.Splice(G.Nodes{s}, G.Nodes{a, b}, splicing))
	run(t, g)
	if got := opstest.Values(y); !slices.Equal(got, v) {
		t.Errorf("the splice of equal parents is %v, want %v", got, v)
	}
}

// Extreme logits give finite weights that sum to 1, and a finite gradient.
func TestSplicingIsFinite(t *testing.T) {
	for name, form := range forms {
		for _, parents := range []int{2, 3} {
			for _, temperature := range []float64{1e-3, 1, 100} {
				p := ops.Splicing{Form: form, Global: globals(parents), Scale: 10, Temperature: temperature}
				s := make([]float64, p.Logits(parents))
				for _, x := range []float64{-1e30, -300, 0, 300, 1e30} {
					for i := range s {
						s[i] = x
					}
					w, ds := make([]float64, parents), make([]float64, len(s))
					p.Weights(w, s, nil)
					p.Grad(ds, s, w, []float64{0, 1, 2}[:parents], nil)
					sum := 0.0
					for _, v := range w {
						sum += v
					}
					bad := func(v float64) bool { return v-v != 0 }
					if !(math.Abs(sum-1) < 1e-9) || slices.ContainsFunc(w, bad) || slices.ContainsFunc(ds, bad) {
						t.Errorf("%s: logits %v, temperature %v: weights %v, gradient %v", name, s, temperature, w, ds)
					}
				}
			}
		}
	}
}

func TestSpliceErrors(t *testing.T) {
	g := G.NewGraph()
	six := make([]float32, 6)
	a, b, c := matrix(g, "a", 2, 3, six...), matrix(g, "b", 2, 3, six...), matrix(g, "c", 3, 2, six...)
	two := vector(g, "two", 0, 0, 0)
	ok := ops.Splicing{Form: ops.SpliceLanguage, Global: globals(2), Scale: 1, Temperature: 1}
	with := func(f func(*ops.Splicing)) ops.Splicing {
		p := ok
		f(&p)
		return p
	}
	for _, tc := range []struct {
		logits, parents G.Nodes
		p               ops.Splicing
		want            string
	}{
		{G.Nodes{a}, G.Nodes{a}, ok, "1 parents, want at least 2"},
		{G.Nodes{a}, G.Nodes{a, c}, ok, "parent is (3, 2), want (2, 3)"},
		{G.Nodes{a, b}, G.Nodes{a, b}, ok, "2 gate logits of 2 parents, want 1"},
		{G.Nodes{two}, G.Nodes{a, b}, ok, "logits are (3), parents (2, 3): want one logit a value, a row or a tensor"},
		{G.Nodes{a}, G.Nodes{a, b}, with(func(p *ops.Splicing) { p.Temperature = 0 }), "temperature 0, want a number in [1e-6, 1e6]"},
		{G.Nodes{a}, G.Nodes{a, b}, with(func(p *ops.Splicing) { p.Scale = math.NaN() }), "scale NaN, want a number in [1e-6, 1e6]"},
		{G.Nodes{a}, G.Nodes{a, b}, with(func(p *ops.Splicing) { p.Global = nil }), "0 global weights of 2 parents"},
		{G.Nodes{a}, G.Nodes{a, b}, with(func(p *ops.Splicing) { p.Form = 9 }), "unknown form 9"},
	} {
		if _, err := ops.Splice(tc.logits, tc.parents, tc.p); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
}
