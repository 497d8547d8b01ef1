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
	"gorgonia.org/tensor"
)

// attend is the float64 twin of Attention. drop is what the weight of (sequence, head, row, column) is multiplied by.
func attend(q, k, v []float64, B, L, H, heads int, causal bool, live func(b, i int) bool,
	drop func(b, h, i, j int) float64,
) []float64 {
	y, d := make([]float64, B*L*H), H/heads
	for b := range B {
		for h := range heads {
			for i := range L {
				if !live(b, i) {
					continue
				}
				w, sum := make([]float64, L), 0.0
				for j := range L {
					if !live(b, j) || causal && j > i {
						continue
					}
					dot := 0.0
					for c := range d {
						dot += q[(b*L+i)*H+h*d+c] * k[(b*L+j)*H+h*d+c]
					}
					w[j] = math.Exp(dot / math.Sqrt(float64(d)))
					sum += w[j]
				}
				for j := range L {
					for c := range d {
						y[(b*L+i)*H+h*d+c] += w[j] / sum * drop(b, h, i, j) * v[(b*L+j)*H+h*d+c]
					}
				}
			}
		}
	}
	return y
}

func noDrop(b, h, i, j int) float64 { return 1 }

// wideInput draws q and k so that the softmax has some contrast.
func wideInput(i int, x []float32, r *rand.Rand) {
	opstest.Uniform(x, r)
	if i < 2 {
		for j := range x {
			x[j] *= 2
		}
	}
}

func TestAttention(t *testing.T) {
	for _, s := range []struct {
		B, L, heads, d int
		len            []int32
		mask           []float32
		causal         bool
	}{
		{B: 1, L: 1, heads: 1, d: 1},
		{B: 1, L: 5, heads: 1, d: 3},
		{B: 3, L: 4, heads: 2, d: 1, len: []int32{4, 1, 0}},
		{B: 2, L: 7, heads: 3, d: 5, len: []int32{2, 7}},
		{B: 2, L: 3, heads: 1, d: 4, mask: []float32{1, 0, 1, 0, 1, 1}},
		{B: 3, L: 4, heads: 2, d: 3, len: []int32{3, 4, 2}, mask: []float32{0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1}},
		{B: 5, L: 33, heads: 4, d: 17, len: []int32{33, 1, 20, 5, 32}},
		{B: 1, L: 1, heads: 1, d: 1, causal: true},
		{B: 2, L: 3, heads: 1, d: 4, causal: true, mask: []float32{1, 0, 1, 0, 1, 1}},
		{B: 3, L: 4, heads: 2, d: 3, causal: true, len: []int32{3, 0, 2}},
		{B: 2, L: 67, heads: 1, d: 5, causal: true, len: []int32{67, 33}},
		{B: 4, L: 70, heads: 3, d: 16, causal: true, len: []int32{33, 70, 64, 1}},
	} {
		H := s.heads * s.d
		tok := &ops.Tokens{L: s.L, Len: s.len, Mask: s.mask}
		live := func(b, i int) bool {
			return (s.len == nil || i < int(s.len[b])) && (s.mask == nil || s.mask[b*s.L+i] != 0)
		}
		opstest.Check(t, opstest.Case{
			Name:   fmt.Sprintf("heads=%d,causal=%v,len=%v,mask=%v", s.heads, s.causal, s.len, s.mask),
			Shapes: [][]int{{s.B * s.L, H}, {s.B * s.L, H}, {s.B * s.L, H}},
			Build: func(x ...*G.Node) (*G.Node, error) {
				return ops.Attention(x[0], x[1], x[2], ops.AttentionOptions{Heads: s.heads, Tokens: tok, Causal: s.causal})
			},
			Oracle: func(x ...[]float64) []float64 {
				return attend(x[0], x[1], x[2], s.B, s.L, H, s.heads, s.causal, live, noDrop)
			},
			Fill: wideInput,
			Big:  s.B*s.L > 100,
		})
	}
}

// With v the identity, the results are the weights: which of them are dropped is then known to the twin.
func TestAttentionDropout(t *testing.T) {
	const B, L, heads = 3, 6, 2
	const H = heads * L
	length := []int32{6, 2, 5}
	opt := ops.AttentionOptions{
		Heads: heads, Tokens: &ops.Tokens{L: L, Len: length},
		Dropout: 0.4, Name: "layer.0", Step: &ops.Step{Seed: 3, N: 9},
	}
	weights := func(opt ops.AttentionOptions) []float32 {
		g := G.NewGraph()
		q, k, v := make([]float32, B*L*H), make([]float32, B*L*H), make([]float32, B*L*H)
		for r := range B * L {
			for h := range heads {
				v[r*H+h*L+r%L] = 1
			}
		}
		y := must(ops.Attention(matrix(g, "q", B*L, H, q...), matrix(g, "k", B*L, H, k...), matrix(g, "v", B*L, H, v...), opt))
		run(t, g)
		return slices.Clone(opstest.Values(y))
	}
	w := weights(opt)
	drop := func(b, h, i, j int) float64 { return float64(w[(b*L+i)*H+h*L+j]) * float64(length[b]) }
	zeros, n := 0, 0
	for b := range B {
		for i := range int(length[b]) {
			for h := range heads {
				for j := range int(length[b]) {
					n++
					if f := drop(b, h, i, j); f == 0 {
						zeros++
					} else if math.Abs(f-1/0.6) > 1e-5 {
						t.Fatalf("factor %v, want 0 or %v", f, 1/0.6)
					}
				}
			}
		}
	}
	if zeros < n/5 || zeros > 3*n/5 {
		t.Errorf("%d of %d weights dropped, want about 0.4 of them", zeros, n)
	}
	for _, opt.Causal = range []bool{true, false} {
		opstest.Check(t, opstest.Case{
			Name:   fmt.Sprintf("dropout,causal=%v", opt.Causal),
			Shapes: [][]int{{B * L, H}, {B * L, H}, {B * L, H}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Attention(x[0], x[1], x[2], opt) },
			Oracle: func(x ...[]float64) []float64 {
				return attend(x[0], x[1], x[2], B, L, H, heads, opt.Causal, func(b, i int) bool { return i < int(length[b]) }, drop)
			},
			Fill: wideInput,
		})
	}
	for _, other := range []func(o *ops.AttentionOptions){
		func(o *ops.AttentionOptions) { o.Name = "layer.1" },
		func(o *ops.AttentionOptions) { o.Step = &ops.Step{Seed: 3, N: 10} },
		func(o *ops.AttentionOptions) { o.Step = &ops.Step{Seed: 4, N: 9} },
	} {
		o := opt
		other(&o)
		if slices.Equal(weights(o), w) {
			t.Errorf("name %s, step %+v: same weights dropped", o.Name, *o.Step)
		}
	}
	if !slices.Equal(weights(opt), w) {
		t.Error("other weights dropped when run again")
	}
}

// The tokens of a sequence come out with the same bits, and with the same gradients, whatever the padding is and holds.
func TestAttentionPadding(t *testing.T) {
	t.Run("full", func(t *testing.T) { attentionPadding(t, false, []int32{5, 3, 1}) })
	t.Run("causal", func(t *testing.T) { attentionPadding(t, true, []int32{5, 3, 1}) })
}

func attentionPadding(t *testing.T, causal bool, length []int32) {
	const B, heads, H = 3, 2, 10
	var first [][]float32
	for _, tok := range []*ops.Tokens{
		{L: 5, Len: length},
		{L: 6, Len: length},
		{L: 16, Len: length},
		{L: 40, Len: length},
		packed(length, 5, 20), packed(length, 8, 40),
	} {
		g, arena := G.NewGraph(), &ops.Arena{}
		done := ops.Share(g, arena)
		R, starts, ends := layout(tok)
		var leaves G.Nodes
		for i, name := range []string{"q", "k", "v", "dy"} {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			x := make([]float32, R*H)
			for i := range x {
				x[i] = float32(math.NaN())
			}
			for b := range B {
				opstest.Uniform(x[starts[b]*H:][:int(length[b])*H], r)
			}
			leaves = append(leaves, matrix(g, name, R, H, x...))
		}
		y := must(ops.Attention(leaves[0], leaves[1], leaves[2], ops.AttentionOptions{
			Heads: heads, Tokens: tok, Causal: causal, Dropout: 0.2, Name: "a", Step: &ops.Step{Seed: 1},
		}))
		d, err := ops.VJP(y, leaves[3], leaves[:3]...)
		if err != nil {
			t.Fatal(err)
		}
		done()
		arena.Fill(float32(math.NaN()))
		run(t, g)
		var got [][]float32
		for _, n := range append(G.Nodes{y}, d...) {
			x := opstest.Values(n)
			for b := range B {
				n := int(length[b]) * H
				seq := x[starts[b]*H : ends[b]*H]
				got = append(got, slices.Clone(seq[:n]))
				if i := slices.IndexFunc(seq[n:], func(v float32) bool { return v != 0 }); i >= 0 {
					t.Errorf("L = %d, %d rows: padding of sequence %d is %v", tok.L, R, b, seq[n+i])
				}
			}
		}
		if first == nil {
			first = got
		}
		for i := range got {
			if !slices.Equal(got[i], first[i]) {
				t.Errorf("L = %d, %d rows: result %d is %v, without padding %v", tok.L, R, i, got[i], first[i])
			}
		}
	}
}

// What comes later changes no bit of a causal attention's earlier tokens, and a gradient of earlier ones does not reach it.
func TestAttentionCausal(t *testing.T) {
	const L, H, heads = 70, 6, 2
	for _, at := range []int{1, 31, 32, 33, 69} { // tokens from here on change
		var first [][]float32
		for change := range 2 {
			g := G.NewGraph()
			var leaves G.Nodes
			for i, name := range []string{"q", "k", "v", "dy"} {
				x := make([]float32, L*H)
				opstest.Uniform(x, rand.New(rand.NewPCG(1, uint64(i))))
				if change == 1 {
					opstest.Uniform(x[at*H:], rand.New(rand.NewPCG(2, uint64(i))))
				}
				if name == "dy" {
					clear(x[at*H:])
				}
				leaves = append(leaves, matrix(g, name, L, H, x...))
			}
			y := must(ops.Attention(leaves[0], leaves[1], leaves[2], ops.AttentionOptions{
				Heads: heads, Tokens: &ops.Tokens{L: L}, Causal: true, Dropout: 0.1, Name: "a", Step: &ops.Step{},
			}))
			d, err := ops.VJP(y, leaves[3], leaves[:3]...)
			if err != nil {
				t.Fatal(err)
			}
			run(t, g)
			var got [][]float32
			for i, n := range append(G.Nodes{y}, d...) {
				x := opstest.Values(n)
				got = append(got, slices.Clone(x[:at*H]))
				if k := slices.IndexFunc(x[at*H:], func(v float32) bool { return v != 0 }); i > 0 && k >= 0 {
					t.Errorf("token %d: gradient %d is %v there, want 0", at+k/H, i, x[at*H+k])
				}
			}
			if first == nil {
				first = got
			}
			for i := range got {
				if !slices.Equal(got[i], first[i]) {
					t.Errorf("tokens from %d on changed: result %d of earlier ones changed", at, i)
				}
			}
		}
	}
}

// Nothing of a batch shows in the next one, whose sequences are of other lengths and fewer.
func TestAttentionNextBatch(t *testing.T) {
	const B, L, H = 3, 5, 4
	build := func(tok *ops.Tokens, rows *ops.Rows) (*G.ExprGraph, G.Nodes) {
		g := G.NewGraph()
		r := rand.New(rand.NewPCG(1, 2))
		draw := func(name string, rows, cols int) *G.Node {
			v := make([]float32, rows*cols)
			opstest.Uniform(v, r)
			return matrix(g, name, rows, cols, v...)
		}
		x := G.Nodes{draw("q", B*L, H), draw("k", B*L, H), draw("v", B*L, H)}
		y := must(ops.Attention(x[0], x[1], x[2], ops.AttentionOptions{Heads: 2, Tokens: tok}))
		z := must(ops.MeanTokens(y, tok))
		w := draw("w", B*L, H)
		loss := must(ops.Add(
			must(ops.SoftmaxCE(z, ops.Target{Label: matrix(g, "y", B, 1, 0, 3, 2), Rows: rows})),
			must(ops.SoftmaxCESoft(must(ops.MeanTokens(w, tok)), ops.Target{Label: matrix(g, "p", B, H, .5, .5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1), Rows: rows})),
		))
		d, err := ops.Grad(loss, append(x, w, z)...)
		if err != nil {
			t.Fatal(err)
		}
		return g, append(d, y, z, loss)
	}
	tok, rows := &ops.Tokens{L: L}, &ops.Rows{N: B}
	g, got := build(tok, rows)
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	for _, b := range []struct {
		len  []int32
		mask []float32
		rows int
	}{
		{[]int32{5, 5, 4}, nil, 3},
		{[]int32{2, 4, 0}, nil, 2},
		{[]int32{5, 1, 5}, []float32{1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0}, 3},
		{[]int32{3, 0, 0}, nil, 1},
	} {
		tok.Len, tok.Mask, rows.N = b.len, b.mask, b.rows
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		vm.Reset()
		fresh, want := build(tok, rows)
		run(t, fresh)
		for i, n := range got {
			if a, b := opstest.Values(n), opstest.Values(want[i]); !slices.Equal(a, b) {
				t.Errorf("lengths %v: result %d is %v, in a new graph %v", tok.Len, i, a, b)
			}
		}
	}
}

// Scores far out do not overflow: each token attends to the one with the greatest score.
func TestAttentionExtremes(t *testing.T) {
	g := G.NewGraph()
	q, k := matrix(g, "q", 2, 1, 1e4, -1e4), matrix(g, "k", 2, 1, 3, 1)
	y := must(ops.Attention(q, k, matrix(g, "v", 2, 1, 7, 9), ops.AttentionOptions{Heads: 1, Tokens: &ops.Tokens{L: 2}}))
	run(t, g)
	if got, want := opstest.Values(y), []float32{7, 9}; !slices.Equal(got, want) {
		t.Errorf("result %v, want %v", got, want)
	}
}

func TestAttentionErrors(t *testing.T) {
	g := G.NewGraph()
	in := func(name string, s ...int) *G.Node {
		return G.NewTensor(g, tensor.Float32, len(s), G.WithShape(s...), G.WithName(name), G.WithInit(G.Zeroes()))
	}
	x, z := in("x", 6, 4), in("z", 4, 4)
	opt := func(heads, L int) ops.AttentionOptions {
		return ops.AttentionOptions{Heads: heads, Tokens: &ops.Tokens{L: L}}
	}
	for _, tc := range []struct {
		q, k, v *G.Node
		opt     ops.AttentionOptions
		want    string
	}{
		{nil, x, x, opt(2, 3), "ops: attention: q is nil"},
		{x, z, x, opt(2, 3), "ops: attention: k is (4, 4), want (6, 4): q, k and v have one shape"},
		{x, x, x, opt(3, 3), "ops: attention: q is (6, 4), want a width that 3 heads divide"},
		{x, x, x, opt(0, 3), "ops: attention: q is (6, 4), want a width that 0 heads divide"},
		{x, x, x, opt(2, 4), "ops: attention: q has 6 rows, want sequences of 4"},
		{x, x, x, ops.AttentionOptions{Heads: 2}, "ops: attention: no tokens to tell the sequences apart"},
		{
			x, x, x,
			ops.AttentionOptions{Heads: 2, Tokens: &ops.Tokens{L: 3}, Dropout: 1, Name: "a"},
			"ops: attention: a: dropout 1, want a number in [0, 1)",
		},
		{
			x, x, x,
			ops.AttentionOptions{Heads: 2, Tokens: &ops.Tokens{L: 3}, Dropout: .1, Name: "a"},
			"ops: attention: a: no step to draw the dropout from",
		},
	} {
		if _, err := ops.Attention(tc.q, tc.k, tc.v, tc.opt); err == nil || err.Error() != tc.want {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
	for _, tc := range []struct {
		tok  ops.Tokens
		want string
	}{
		{ops.Tokens{L: 3, Len: []int32{3}}, "1 lengths of sequences in a batch of 2"},
		{ops.Tokens{L: 3, Len: []int32{3, 4}}, "sequence 1 has 4 tokens, want 0 to 3"},
		{ops.Tokens{L: 3, Len: []int32{-1, 3}}, "sequence 0 has -1 tokens, want 0 to 3"},
		{ops.Tokens{L: 3, Mask: []float32{1}}, "mask of 1 positions in a batch of 2 sequences of 3"},
	} {
		g := G.NewGraph()
		x := matrix(g, "x", 6, 1, make([]float32, 6)...)
		must(ops.Attention(x, x, x, ops.AttentionOptions{Heads: 1, Tokens: &tc.tok}))
		if err := runErr(g); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
}

func BenchmarkAttention(b *testing.B) {
	const B, L, heads, d = 32, 64, 12, 32
	g := G.NewGraph()
	v := make([]float32, B*L*heads*d)
	opstest.Uniform(v, rand.New(rand.NewPCG(1, 1)))
	var x G.Nodes
	for _, name := range []string{"q", "k", "v", "dy"} {
		x = append(x, matrix(g, name, B*L, heads*d, v...))
	}
	y := must(ops.Attention(x[0], x[1], x[2], ops.AttentionOptions{
		Heads: heads, Tokens: &ops.Tokens{L: L}, Dropout: 0.1, Name: "a", Step: &ops.Step{},
	}))
	if _, err := ops.VJP(y, x[3], x[:3]...); err != nil {
		b.Fatal(err)
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	for b.Loop() {
		if err := vm.RunAll(); err != nil {
			b.Fatal(err)
		}
		vm.Reset()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(B*L), "ns/row")
}
