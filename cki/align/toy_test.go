package align_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
)

// Layers that no model has yet, declared in the vocabulary of nn and computed here in plain Go over their parameters.

// toy declares a layer in a graph and returns its parameters, all random, and its symmetry.
func toy(t *testing.T, declare func(s *nn.Scope) *G.Node) (*nn.Params, nn.Symmetry) {
	t.Helper()
	p := nn.NewParams(4)
	g := &nn.Graph{Params: p, Graph: G.NewGraph(), Batch: 2}
	s := nn.NewScope(g)
	out := declare(s)
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	for _, q := range p.All() {
		r := rng.New(rng.Key(6, q.Name))
		for i := range q.Data {
			q.Data[i] = float32(0.7 * r.NormFloat64())
		}
	}
	sym := g.Symmetry(out)
	if u := sym.Uncovered(p); u != nil {
		t.Fatalf("uncovered: %v", u)
	}
	return p, sym
}

// preserved checks that no group's permutations and rotations change f, and that a permuted copy is found back.
func preserved(t *testing.T, p *nn.Params, sym nn.Symmetry, f func(p *nn.Params) []float32) {
	t.Helper()
	want := f(p)
	for i, g := range sym.Groups {
		q := clone(t, p)
		if err := align.Apply(q, g, rng.New(uint64(i)).Perm(g.Size)); err != nil {
			t.Fatal(err)
		}
		if d := apart(f(q), want); d > 1e-5 {
			t.Errorf("permuting %s changes the output by %v of the largest", g.Name, d)
		}
		if g.Orthogonal {
			if err := align.Rotate(q, g, modeltest.Rotation(g.Size, uint64(i))); err != nil {
				t.Fatal(err)
			}
			if d := apart(f(q), want); d > 1e-5 {
				t.Errorf("rotating %s changes the output by %v of the largest", g.Name, d)
			}
		}
	}
	q := clone(t, p)
	shuffle(t, q, sym, 12)
	if d := apart(f(q), want); d > 1e-5 {
		t.Errorf("permuting all groups changes the output by %v of the largest", d)
	}
	if distance(q, p) < 0.3 {
		t.Errorf("nothing moved")
	}
	maps, err := align.Weights(context.Background(), p, q, sym.Groups, align.WeightsOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range sym.Groups {
		if maps[i].Perm != nil {
			if err := align.Apply(q, g, maps[i].Perm); err != nil {
				t.Fatal(err)
			}
		}
	}
	if d := distance(q, p); d > 0 {
		t.Errorf("the aligned copy is %v away", d)
	}
}

func names(sym nn.Symmetry) string {
	var out []string
	for _, g := range sym.Groups {
		out = append(out, fmt.Sprintf("%s:%d", g.Name, g.Size))
	}
	return fmt.Sprint(out)
}

// affine returns W·x + b of rows lo to hi.
func affine(w, b []float32, x []float64, lo, hi int) []float64 {
	y := make([]float64, hi-lo)
	for i := range y {
		y[i] = float64(b[lo+i])
		for j, v := range x {
			y[i] += float64(w[(lo+i)*len(x)+j]) * v
		}
	}
	return y
}

func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

// inputs are a few fixed vectors.
func inputs(count, dim int) [][]float64 {
	r, out := rng.New(13), make([][]float64, count)
	for i := range out {
		out[i] = make([]float64, dim)
		for j := range out[i] {
			out[i][j] = r.NormFloat64()
		}
	}
	return out
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func TestGatedRecurrentUnit(t *testing.T) {
	const D, H = 5, 7
	p, sym := toy(t, func(s *nn.Scope) *G.Node {
		x, _ := s.Input("x", s.Batch, D)
		l := s.Sub("gru")
		l.Param("weight_ih", nn.XavierNormal, 3*H, D)
		l.Param("weight_hh", nn.XavierNormal, 3*H, H)
		l.Param("bias_ih", nn.Zeros, 3*H)
		l.Param("bias_hh", nn.Zeros, 3*H)
		y, _ := l.Input("y", s.Batch, H) // stands for the result of a fused operation
		h := l.Units(H)
		l.Rigid(h)
		for _, name := range []string{"weight_ih", "weight_hh", "bias_ih", "bias_hh"} {
			l.Along(name, 0, nn.Join(h, h, h))
		}
		l.Along("weight_ih", 1, l.SpaceOf(x))
		l.Along("weight_hh", 1, h)
		return nn.Linear(s.Sub("fc"), l.Columns(y, h), 1, 0)
	})
	if got := names(sym); got != "[gru:7]" || sym.Groups[0].Orthogonal || len(sym.Groups[0].Uses) != 14 {
		t.Errorf("groups %s, %+v", got, sym.Groups)
	}
	preserved(t, p, sym, func(p *nn.Params) []float32 {
		v := func(name string) []float32 { return p.Get(name).Data }
		h := make([]float64, H)
		for _, x := range inputs(4, D) { // r, z, n as PyTorch's
			a, b := affine(v("gru.weight_ih"), v("gru.bias_ih"), x, 0, 3*H), affine(v("gru.weight_hh"), v("gru.bias_hh"), h, 0, 3*H)
			next := make([]float64, H)
			for i := range H {
				r, z := sigmoid(a[i]+b[i]), sigmoid(a[H+i]+b[H+i])
				n := math.Tanh(a[2*H+i] + r*b[2*H+i])
				next[i] = (1-z)*n + z*h[i]
			}
			h = next
		}
		return narrow(affine(v("fc.weight"), v("fc.bias"), h, 0, 1))
	})
}

// TestTransformerBlock is attention with 3 heads and a feed-forward layer over a residual stream, normalised before each.
func TestTransformerBlock(t *testing.T) {
	const D, V, heads, dk, F, L = 6, 9, 3, 4, 8, 3
	p, sym := toy(t, func(s *nn.Scope) *G.Node {
		norm := func(l *nn.Scope, x *G.Node) *G.Node {
			l.Param("weight", nn.Ones, D)
			l.Param("bias", nn.Zeros, D)
			y, _ := l.Input("y", x.Shape()...)
			sp := l.SpaceOf(x)
			l.Rigid(sp)
			l.Along("weight", 0, sp)
			l.Along("bias", 0, sp)
			return l.Columns(y, sp)
		}
		table := s.Table("tokens", nn.Table, V, D, nn.Normal(1))
		leaf, _ := s.Input("x", s.Batch*L, D)
		stream := s.Sub("tokens").Units(D)
		s.Along("tokens", 0, s.Fixed(table.Shape[0]))
		s.Along("tokens", 1, stream)
		x := s.Columns(leaf, stream)

		a := s.Sub("attention")
		n := norm(s.Sub("norm1"), x)
		q, k, v := nn.Linear(a.Sub("q"), n, heads*dk, 0), nn.Linear(a.Sub("k"), n, heads*dk, 0), nn.Linear(a.Sub("v"), n, heads*dk, 0)
		c, _ := a.Input("context", s.Batch*L, heads*dk)
		a.Heads(a.SpaceOf(q), a.SpaceOf(k), a.SpaceOf(v), heads)
		c = a.Columns(c, a.SpaceOf(v))
		x = nn.Add(s, x, nn.Linear(a.Sub("out"), c, D, 0))

		h := nn.Linear(s.Sub("ff.0"), norm(s.Sub("norm2"), x), F, 1)
		x = nn.Add(s, x, nn.Linear(s.Sub("ff.1"), h, D, 0))
		return nn.Linear(s.Sub("fc"), x, 1, 0)
	})
	want := "[tokens:6 attention.heads:3 attention.head0.qk:4 attention.head0.v:4 attention.head1.qk:4 attention.head1.v:4 " +
		"attention.head2.qk:4 attention.head2.v:4 ff.0:8]"
	if got := names(sym); got != want {
		t.Fatalf("groups %s, want %s", got, want)
	}
	if got := fmt.Sprint(sym.Groups[1].Inner); got != "[[2 3] [4 5] [6 7]]" {
		t.Errorf("groups within the heads: %s", got)
	}
	preserved(t, p, sym, func(p *nn.Params) []float32 {
		v := func(name string) []float32 { return p.Get(name).Data }
		lin := func(name string, x []float64, out int) []float64 {
			return affine(v(name+".weight"), v(name+".bias"), x, 0, out)
		}
		norm := func(name string, x []float64) []float64 {
			var mean, sq float64
			for _, e := range x {
				mean += e / D
			}
			for _, e := range x {
				sq += (e - mean) * (e - mean) / D
			}
			y := make([]float64, D)
			for i, e := range x {
				y[i] = (e-mean)/math.Sqrt(sq+1e-5)*float64(v(name + ".weight")[i]) + float64(v(name + ".bias")[i])
			}
			return y
		}
		var x [L][]float64
		var q, k, val [L][]float64
		for l, id := range []int{3, 8, 1} {
			for _, e := range v("tokens")[id*D : (id+1)*D] {
				x[l] = append(x[l], float64(e))
			}
			n := norm("norm1", x[l])
			q[l], k[l], val[l] = lin("attention.q", n, heads*dk), lin("attention.k", n, heads*dk), lin("attention.v", n, heads*dk)
		}
		var out []float64
		for l := range L {
			context := make([]float64, heads*dk)
			for h := range heads {
				var e [L]float64
				sum := 0.0
				for m := range L {
					for i := h * dk; i < (h+1)*dk; i++ {
						e[m] += q[l][i] * k[m][i] / 2
					}
					e[m] = math.Exp(e[m])
					sum += e[m]
				}
				for m := range L {
					for i := h * dk; i < (h+1)*dk; i++ {
						context[i] += e[m] / sum * val[m][i]
					}
				}
			}
			y := x[l]
			add := func(z []float64) {
				y = append([]float64(nil), y...)
				for i := range y {
					y[i] += z[i]
				}
			}
			add(lin("attention.out", context, D))
			f := lin("ff.0", norm("norm2", y), F)
			for i := range f {
				f[i] = max(0, f[i])
			}
			add(lin("ff.1", f, D))
			out = append(out, lin("fc", y, 1)...)
		}
		return narrow(out)
	})
}

// TestResidualOverFields: a sum with the concatenated embeddings cuts a layer's units into the fields' dimensions.
func TestResidualOverFields(t *testing.T) {
	const A, B, F = 4, 3, 8
	p, sym := toy(t, func(s *nn.Scope) *G.Node {
		leaf, _ := s.Input("x", s.Batch, A+B)
		s.Param("a", nn.XavierNormal, 1, A)
		s.Param("b", nn.XavierNormal, 1, B)
		a, b := s.Sub("a").Units(A), s.Sub("b").Units(B)
		s.Along("a", 1, a)
		s.Along("b", 1, b)
		x := s.Columns(leaf, nn.Join(a, b))
		h := nn.Linear(s.Sub("0"), x, F, 1)
		return nn.Linear(s.Sub("fc"), nn.Add(s, x, nn.Linear(s.Sub("1"), h, A+B, 0)), 1, 0)
	})
	if got := names(sym); got != "[a:4 b:3 0:8]" {
		t.Errorf("groups %s", got)
	}
	preserved(t, p, sym, func(p *nn.Params) []float32 {
		v := func(name string) []float32 { return p.Get(name).Data }
		var x []float64
		for _, e := range v("a") {
			x = append(x, float64(e)*1.3)
		}
		for _, e := range v("b") {
			x = append(x, float64(e)*-0.4)
		}
		h := affine(v("0.weight"), v("0.bias"), x, 0, F)
		for i := range h {
			h[i] = max(0, h[i])
		}
		y := affine(v("1.weight"), v("1.bias"), h, 0, A+B)
		for i := range y {
			y[i] += x[i]
		}
		return narrow(affine(v("fc.weight"), v("fc.bias"), y, 0, 1))
	})
}

// TestHeadsThatAreTied: where heads share units, or one head's lie elsewhere, heads are not exchanged as a whole.
func TestHeadsThatAreTied(t *testing.T) {
	for _, name := range []string{"two attentions over one", "a head seen alone"} {
		_, sym := toy(t, func(s *nn.Scope) *G.Node {
			x, _ := s.Input("x", s.Batch, 5)
			q, k, v := nn.Linear(s.Sub("q"), x, 6, 0), nn.Linear(s.Sub("k"), x, 6, 0), nn.Linear(s.Sub("v"), x, 6, 0)
			s.Sub("first").Heads(s.SpaceOf(q), s.SpaceOf(k), s.SpaceOf(v), 2)
			if name == "two attentions over one" {
				w := nn.Linear(s.Sub("w"), x, 6, 0)
				s.Sub("second").Heads(s.SpaceOf(q), s.SpaceOf(k), s.SpaceOf(w), 2)
				return nn.Linear(s.Sub("fc"), nn.Concat(s, v, w), 1, 0)
			}
			y := nn.Linear(s.Sub("y"), x, 3, 0)
			first := s.SpaceOf(v)
			half := s.Units(3)
			s.Tie(first, nn.Join(half, s.Units(3)))
			s.Tie(half, s.SpaceOf(y))
			return nn.Linear(s.Sub("fc"), nn.Concat(s, v, y), 1, 0)
		})
		for _, g := range sym.Groups {
			if g.Inner != nil {
				t.Errorf("%s: heads %s are exchanged", name, g.Name)
			}
		}
		if len(sym.Groups) < 4 {
			t.Errorf("%s: groups %s, want those within the heads", name, names(sym))
		}
	}
}
