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

// kind says what the rows of a matrix are.
type kind int

const (
	perSequence kind = iota // [B, width]
	perPosition             // [B*L, width]
	ofWeight                // [rows, width]
	scalar
)

type input struct {
	kind  kind
	width int
	rows  int // of a weight; 0 makes it a vector
}

// shape returns the input's shape in a batch of B sequences of L.
func (in input) shape(B, L int) []int {
	switch {
	case in.kind == perSequence:
		return []int{B, in.width}
	case in.kind == perPosition:
		return []int{B * L, in.width}
	case in.rows == 0:
		return []int{in.width}
	}
	return []int{in.rows, in.width}
}

// sequences is a batch of sequences.
type sequences struct {
	B, L int
	len  []int32
	mask []float32
}

func (s sequences) live(b, i int) bool {
	return (s.len == nil || i < int(s.len[b])) && (s.mask == nil || s.mask[b*s.L+i] != 0)
}

// history is an op over sequences with its twin.
type history struct {
	name   string
	in     []input
	noGrad []int
	out    input
	build  func(t *ops.Tokens, x ...*G.Node) (*G.Node, error)
	oracle func(s sequences, x ...[]float64) []float64
	fill   func(input int, x []float32, r *rand.Rand)
	alone  bool // a sequence has the same bits alone and among others
}

// checkHistory checks the op over batches of many kinds, and that padding can hold anything: values and gradients of what is live
// have the same bits for any L and in both layouts, and the gradients of padding are 0.
func checkHistory(t *testing.T, h history) {
	t.Helper()
	t.Run(h.name, func(t *testing.T) {
		long := make([]int32, 40)
		for i := range long {
			long[i] = int32(i * 7 % 35)
		}
		for _, s := range []sequences{
			{B: 1, L: 1},
			{B: 2, L: 5},
			{B: 4, L: 4, len: []int32{4, 0, 1, 3}},
			{B: 3, L: 4, len: []int32{3, 4, 2}, mask: []float32{0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1}},
			{B: 2, L: 2, len: []int32{0, 0}},
			{B: 40, L: 34, len: long},
		} {
			c := opstest.Case{
				Name:   fmt.Sprintf("B=%d,L=%d,len=%v,mask=%v", s.B, s.L, s.len, s.mask),
				NoGrad: h.noGrad,
				Build: func(x ...*G.Node) (*G.Node, error) {
					return h.build(&ops.Tokens{L: s.L, Len: s.len, Mask: s.mask}, x...)
				},
				Oracle: func(x ...[]float64) []float64 { return h.oracle(s, x...) },
				Fill:   h.fill,
				Big:    s.B > 30,
			}
			for _, in := range h.in {
				c.Shapes = append(c.Shapes, in.shape(s.B, s.L))
			}
			opstest.Check(t, c)
		}
		t.Run("padding", func(t *testing.T) { checkPadding(t, h) })
		if h.alone {
			t.Run("alone", func(t *testing.T) { checkAlone(t, h) })
		}
	})
}

func checkPadding(t *testing.T, h history) {
	length := []int32{5, 0, 3, 1}
	B := len(length)
	// values draws an input of so many rows; the live positions have the same values in any layout.
	values := func(in input, rows int, starts []int, seed int) []float32 {
		x, r := make([]float32, rows*in.width), rand.New(rand.NewPCG(1, uint64(seed)))
		if in.kind != perPosition {
			opstest.Uniform(x, r)
			return x
		}
		for i := range x {
			x[i] = float32(math.NaN())
		}
		for b, n := range length {
			opstest.Uniform(x[starts[b]*in.width:][:int(n)*in.width], r)
		}
		return x
	}
	var first [][]float32
	for _, tok := range []*ops.Tokens{
		{L: 5, Len: length},
		{L: 6, Len: length},
		{L: 16, Len: length},
		{L: 40, Len: length},
		packed(length, 5, 9), packed(length, 5, 10), packed(length, 8, 40),
	} {
		g, arena := G.NewGraph(), &ops.Arena{}
		done := ops.Share(g, arena)
		R, starts, ends := layout(tok)
		leaf := func(name string, in input, seed int) *G.Node {
			rows := max(1, in.rows)
			switch in.kind {
			case perSequence:
				rows = B
			case perPosition:
				rows = R
			}
			if v := values(in, rows, starts, seed); in.kind != ofWeight || in.rows > 0 {
				return matrix(g, name, rows, in.width, v...)
			} else {
				return vector(g, name, v...)
			}
		}
		var x, wrt G.Nodes
		var kinds []input
		for i, in := range h.in {
			x = append(x, leaf(fmt.Sprint("x", i), in, i))
			if !slices.Contains(h.noGrad, i) {
				wrt, kinds = append(wrt, x[i]), append(kinds, in)
			}
		}
		y := must(h.build(tok, x...))
		var d G.Nodes
		var err error
		if h.out.kind == scalar {
			d, err = ops.Grad(y, wrt...)
		} else {
			d, err = ops.VJP(y, leaf("dy", h.out, 99), wrt...)
		}
		if err != nil {
			t.Fatal(err)
		}
		done()
		arena.Fill(float32(math.NaN())) // what another graph may leave
		run(t, g)
		var got [][]float32
		for i, n := range append(G.Nodes{y}, d...) {
			in, v := h.out, opstest.Values(n)
			if i > 0 {
				in = kinds[i-1]
			}
			if in.kind != perPosition {
				got = append(got, slices.Clone(v))
				continue
			}
			for b, n := range length {
				seq, n := v[starts[b]*in.width:ends[b]*in.width], int(n)*in.width
				got = append(got, slices.Clone(seq[:n]))
				if k := slices.IndexFunc(seq[n:], func(v float32) bool { return v != 0 }); k >= 0 {
					t.Errorf("L = %d, %d rows: padding of sequence %d of result %d is %v, want 0", tok.L, R, b, i, seq[n+k])
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

// packed lays sequences one after the other, in so many rows.
func packed(length []int32, L, rows int) *ops.Tokens {
	t := &ops.Tokens{L: L, Len: length, Batch: len(length), Rows: rows}
	at := int32(0)
	for _, n := range length {
		t.Start = append(t.Start, at)
		at += n
	}
	return t
}

// layout returns the number of rows, and where the rows of each sequence begin and end, its padding included.
func layout(t *ops.Tokens) (rows int, starts, ends []int) {
	for b := range t.Len {
		at := b * t.L
		if t.Batch > 0 {
			at = int(t.Start[b])
		}
		starts = append(starts, at)
	}
	if rows = t.Rows; t.Batch == 0 {
		rows = len(t.Len) * t.L
	}
	return rows, starts, append(slices.Clone(starts[1:]), rows)
}

// checkAlone checks that the values of a sequence have the same bits in a batch of it alone and among others.
func checkAlone(t *testing.T, h history) {
	const B, L = 70, 9
	r := rand.New(rand.NewPCG(1, 2))
	var x [][]float32
	for _, in := range h.in {
		n := 1
		for _, d := range in.shape(B, L) {
			n *= d
		}
		v := make([]float32, n)
		opstest.Uniform(v, r)
		x = append(x, v)
	}
	length := make([]int32, B)
	for b := range length {
		length[b] = int32(b % (L + 1))
	}
	// values computes the sequences from lo to hi.
	values := func(lo, hi int) []float32 {
		g := G.NewGraph()
		var nodes G.Nodes
		for i, in := range h.in {
			v, per := x[i], len(x[i])/B
			if in.kind != ofWeight {
				v = v[lo*per : hi*per]
			}
			if s := in.shape(hi-lo, L); len(s) == 1 {
				nodes = append(nodes, vector(g, fmt.Sprint("x", i), v...))
			} else {
				nodes = append(nodes, matrix(g, fmt.Sprint("x", i), s[0], s[1], v...))
			}
		}
		y := must(h.build(&ops.Tokens{L: L, Len: length[lo:hi]}, nodes...))
		run(t, g)
		return opstest.Values(y)
	}
	all := values(0, B)
	per := len(all) / B
	for b := range B {
		if got, want := values(b, b+1), all[b*per:(b+1)*per]; !slices.Equal(got, want) {
			t.Fatalf("sequence %d, of %d: alone %v, among others %v", b, length[b], got, want)
		}
	}
}

// Wrong inputs are errors when the graph is built, and wrong lengths when it runs.
func TestHistoryErrors(t *testing.T) {
	g := G.NewGraph()
	in := func(name string, rows, cols int) *G.Node {
		return matrix(g, name, rows, cols, make([]float32, rows*cols)...)
	}
	q, x, six, one := in("q", 2, 3), in("x", 6, 3), in("six", 6, 6), in("one", 6, 1)
	whh, bhh := in("whh", 6, 2), vector(g, "bhh", make([]float32, 6)...)
	tok := &ops.Tokens{L: 3}
	node := func(n *G.Node, err error) error { return err }
	for _, tc := range []struct {
		got  error
		want string
	}{
		{node(ops.TargetAttention(nil, x, x, tok)), "ops: targetattention: q is nil"},
		{node(ops.TargetAttention(q, one, x, tok)), "ops: targetattention: k is (6, 1), want (6, 3): a row for each row of v, as wide as q"},
		{node(ops.TargetAttention(q, x, x, nil)), "ops: targetattention: no tokens to tell the sequences apart"},
		{node(ops.TargetAttention(q, x, x, &ops.Tokens{L: 4})), "ops: targetattention: v has 6 rows, want sequences of 4"},
		{
			node(ops.TargetAttention(q, x, x, &ops.Tokens{L: 2})),
			"ops: targetattention: v has 6 rows, the positions of 3 sequences, and q has 2 rows, want one for each",
		},
		{node(ops.WeightedPool(x, x, tok, true)), "ops: weightedpool: w is (6, 3), want (6, 1): one weight for each row of v"},
		{node(ops.WeightedPool(one, x, nil, true)), "ops: weightedpool: no tokens to tell the sequences apart"},
		{node(ops.Repeat(q, nil)), "ops: repeat: no tokens to tell the sequences apart"},
		{node(ops.Repeat(q, &ops.Tokens{})), "ops: repeat: sequences of 0, want 1 or more"},
		{node(ops.GRU(six, x, bhh, ops.GRUOptions{Tokens: tok})), "ops: gru: whh is (6, 3), want (9, 3): the weights of three gates"},
		{node(ops.GRU(x, whh, bhh, ops.GRUOptions{Tokens: tok})), "ops: gru: x is (6, 3), want (6, 6): three gates per unit of whh"},
		{node(ops.GRU(six, whh, vector(g, "b", 0), ops.GRUOptions{Tokens: tok})), "ops: gru: bhh is (1), want (6): one value per row of whh"},
		{node(ops.GRU(six, whh, bhh, ops.GRUOptions{})), "ops: gru: no tokens to tell the sequences apart"},
		{
			node(ops.GRU(six, whh, bhh, ops.GRUOptions{Tokens: tok, Attention: x})),
			"ops: gru: attention is (6, 3), want (6, 1): one score for each row of x",
		},
	} {
		if tc.got == nil || tc.got.Error() != tc.want {
			t.Errorf("error %v, want %q", tc.got, tc.want)
		}
	}
	long := &ops.Tokens{L: 3, Len: []int32{3, 4}}
	for _, build := range []func(x, q *G.Node) (*G.Node, error){
		func(x, q *G.Node) (*G.Node, error) { return ops.TargetAttention(q, x, x, long) },
		func(x, q *G.Node) (*G.Node, error) {
			return ops.WeightedPool(matrix(x.Graph(), "w", 6, 1, make([]float32, 6)...), x, long, true)
		},
		func(x, q *G.Node) (*G.Node, error) { return ops.Repeat(q, long) },
		func(x, q *G.Node) (*G.Node, error) {
			return ops.GRU(x, matrix(x.Graph(), "whh", 3, 1, 0, 0, 0), vector(x.Graph(), "bhh", 0, 0, 0), ops.GRUOptions{Tokens: long})
		},
		func(x, q *G.Node) (*G.Node, error) {
			return ops.Dice(x, vector(x.Graph(), "alpha", 0, 0, 0), ops.DiceOptions{Stats: runningStats(3), Tokens: long})
		},
	} {
		g := G.NewGraph()
		must(build(matrix(g, "x", 6, 3, make([]float32, 18)...), matrix(g, "q", 2, 3, make([]float32, 6)...)))
		if err := runErr(g); err == nil || !strings.Contains(err.Error(), "sequence 1 has 4 tokens, want 0 to 3") {
			t.Errorf("error %v", err)
		}
	}
}

// appended is the float64 twin of Append.
func appended(s sequences, x, y []float64) []float64 {
	D := len(y) / s.B
	z := make([]float64, s.B*(s.L+1)*D)
	for b := range s.B {
		n := 0
		for i := range s.L {
			if s.live(b, i) {
				n = i + 1
				copy(z[(b*(s.L+1)+i)*D:], x[(b*s.L+i)*D:][:D])
			}
		}
		copy(z[(b*(s.L+1)+n)*D:], y[b*D:][:D])
	}
	return z
}

func TestAppend(t *testing.T) {
	for _, s := range []sequences{
		{B: 1, L: 1},
		{B: 1, L: 1, len: []int32{0}},
		{B: 3, L: 4, len: []int32{4, 0, 2}},
		{B: 3, L: 4, len: []int32{3, 4, 2}, mask: []float32{0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1}},
		{B: 130, L: 9},
	} {
		for _, D := range []int{1, 7} {
			opstest.Check(t, opstest.Case{
				Name:   fmt.Sprintf("len=%v,mask=%v", s.len, s.mask),
				Shapes: [][]int{{s.B * s.L, D}, {s.B, D}},
				Build: func(x ...*G.Node) (*G.Node, error) {
					return ops.Append(x[0], x[1], &ops.Tokens{L: s.L, Len: s.len, Mask: s.mask})
				},
				Oracle: func(x ...[]float64) []float64 { return appended(s, x[0], x[1]) },
				Big:    s.B > 100,
			})
		}
	}
	// What padding holds does not matter: each position weighs as much as its columns add up to.
	checkHistory(t, history{
		name: "weighted",
		in:   []input{{perPosition, 3, 0}, {perSequence, 3, 0}},
		out:  input{perSequence, 3, 0},
		build: func(t *ops.Tokens, x ...*G.Node) (*G.Node, error) {
			z, err := ops.Append(x[0], x[1], t)
			if err != nil {
				return nil, err
			}
			w, err := ops.SumCols(z)
			if err != nil {
				return nil, err
			}
			more := &ops.Tokens{L: t.L + 1}
			if t.Batch > 0 {
				more.Batch, more.Rows = t.Batch, t.Rows+t.Batch
				for b, n := range t.Len {
					more.Len, more.Start = append(more.Len, n+1), append(more.Start, t.Start[b]+int32(b))
				}
			}
			return ops.WeightedPool(w, z, more, false)
		},
		oracle: func(s sequences, x ...[]float64) []float64 {
			z, y := appended(s, x[0], x[1]), make([]float64, s.B*3)
			for i := range s.B * (s.L + 1) {
				for c, v := range z[3*i:][:3] {
					y[i/(s.L+1)*3+c] += v * (z[3*i] + z[3*i+1] + z[3*i+2])
				}
			}
			return y
		},
		alone: true,
	})
}

func TestSoftmaxTokens(t *testing.T) {
	checkHistory(t, history{
		name:  "scores",
		in:    []input{{perPosition, 1, 0}},
		out:   input{perPosition, 1, 0},
		build: func(t *ops.Tokens, x ...*G.Node) (*G.Node, error) { return ops.SoftmaxTokens(x[0], t) },
		oracle: func(s sequences, x ...[]float64) []float64 {
			p := make([]float64, s.B*s.L)
			for b := range s.B {
				sum := 0.0
				for i := range s.L {
					if s.live(b, i) {
						sum += math.Exp(x[0][b*s.L+i])
					}
				}
				for i := range s.L {
					if s.live(b, i) {
						p[b*s.L+i] = math.Exp(x[0][b*s.L+i]) / sum
					}
				}
			}
			return p
		},
		fill: func(_ int, x []float32, r *rand.Rand) {
			for i := range x {
				x[i] = 6*r.Float32() - 3
			}
		},
		alone: true,
	})
}
