package ops

import (
	"math"

	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// AttentionOptions describes an attention.
type AttentionOptions struct {
	Heads   int     // H/Heads columns belong to each head
	Tokens  *Tokens // which rows are the tokens of a sequence, and which of them are live
	Causal  bool    // a token sees itself and those before it only
	Dropout float64 // probability with which a weight of the softmax is dropped, in [0, 1); 0 in evaluation graphs
	Name    string  // path of the layer, which names the stream of the dropout
	Step    *Step   // seed and step of the training; may be nil without dropout
}

// Attention is multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2): q, k and v [R, H] over the tokens of B sequences →
// [R, H], for each sequence and each head of d = H/Heads columns
//
//	P = softmax(q·kᵀ/√d)  [n, n],  y = drop(P)·v  [n, d]
//
// over the n live tokens of the sequence. Padding takes no part: its rows are not read, its result is 0, it takes no gradient, and
// the result of the live tokens has the same bits for any L. Rows that a mask hides between live ones must be finite. A causal
// attention has P_ij = 0, exactly, for all j > i, and neither values nor gradients pass from a token to one before it. drop is
// [Dropout] of the weights. Which of them are dropped depends on the seed, the name, the step and the place in the sequence, and
// not on L.
//
// Its backward pass uses the weights P that the forward pass leaves behind, B·Heads·L² numbers that only a graph with a
// backward pass keeps. With dP = drop(dy·vᵀ):
//
//	dv = drop(P)ᵀ·dy, dS = P⊙(dP − Σ_columns dP⊙P)/√d, dq = dS·k, dk = dSᵀ·q
func Attention(q, k, v *G.Node, opt AttentionOptions) (*G.Node, error) {
	c := checker{op: "attention"}
	R, H := c.mat("q", q)
	c.shape("k", k, "q, k and v have one shape", R, H)
	c.shape("v", v, "q, k and v have one shape", R, H)
	B := c.tokens("q", R, opt.Tokens)
	if opt.Heads < 1 || c.err == nil && H%opt.Heads != 0 {
		c.fail("q is %v, want a width that %d heads divide", tensor.Shape{R, H}, opt.Heads)
	}
	if !(opt.Dropout >= 0 && opt.Dropout < 1) {
		c.fail("%s: dropout %v, want a number in [0, 1)", opt.Name, opt.Dropout)
	}
	if opt.Dropout > 0 && opt.Step == nil {
		c.fail("%s: no step to draw the dropout from", opt.Name)
	}
	if c.err != nil {
		return nil, c.err
	}
	if opt.Dropout > 0 {
		opt.Step.drawn = true
	}
	L, d := opt.Tokens.L, H/opt.Heads
	ins := []*G.Node{q, k, v}
	a := &attention{
		AttentionOptions: opt, B: B, L: L, H: H, d: d,
		scale: float32(1 / math.Sqrt(float64(d))), key: rng.Key(0, "attention", opt.Name),
		live: room[int](ins, B), ones: room[float32](ins, L), precision: precisionOf(q),
	}
	kernel.Fill(a.ones, 1)
	o := newOp("attention", q.Shape(), q, k, v)
	o.form = opt
	loop := a.loop(ins, func(i int, space []float32) { a.forward(i, o.in, o.out, space) })
	o.run = func() error {
		if err := a.Tokens.live(a.live); err != nil {
			return err
		}
		a.begin()
		loop()
		return nil
	}
	o.grad = a.grad
	return o.apply(q, k, v)
}

// attention is what the passes of one op share. A piece of its work is one head of one sequence.
type attention struct {
	AttentionOptions
	B, L, H, d int
	scale      float32
	key, now   uint64    // of the dropout's stream, and at this step
	live       []int     // [B]: live tokens of this run
	probs      []float32 // [B*Heads, L*L]: P of each piece, [n, n] at its start; nil without a backward pass
	ones       []float32
	precision  kernel.Precision
}

// begin sets the dropout's key for the step that runs.
func (a *attention) begin() {
	if a.Dropout > 0 {
		a.now = rng.Mix(rng.Mix(a.key^a.Step.Seed) + uint64(a.Step.N))
	}
}

// loop returns a function that runs f on all pieces, with a workspace [L, L] for each that runs at the same time. Chunk i
// takes each c-th piece: sequences of any order of lengths are spread evenly.
func (a *attention) loop(in []*G.Node, f func(i int, space []float32)) func() {
	pieces, n := a.B*a.Heads, a.L*a.L
	c := min(pieces, parts(pieces*a.L*max(a.L, a.d)))
	space := room[float32](in, c, n)
	return rowParts(c, c, func(chunk, _, _ int) {
		for i := chunk; i < pieces; i += c {
			f(i, space[chunk*n:(chunk+1)*n])
		}
	})
}

// piece returns the sequence of piece i, its live tokens, and where its columns begin in a matrix over tokens.
func (a *attention) piece(i int) (b, n, at int) {
	b, h := i/a.Heads, i%a.Heads
	return b, a.live[b], a.Tokens.at(b)*a.H + h*a.d
}

// drop sets dst to x [n, n] with the dropout of piece i; the gradient with the same call.
func (a *attention) drop(dst, x []float32, i int) {
	kernel.DropoutMask(dst, x, a.now, uint64(i)<<32, float32(a.Dropout))
}

// clear sets the padding of a piece of sequence b to zero.
func (a *attention) clear(m []float32, b, n, at int) {
	start, end := a.Tokens.span(b)
	for r := n; r < end-start; r++ {
		clear(m[at+r*a.H:][:a.d])
	}
}

func (a *attention) forward(i int, in [][]float32, y, space []float32) {
	b, n, at := a.piece(i)
	a.clear(y, b, n, at)
	if n == 0 {
		return
	}
	q, k, v := in[0][at:], in[1][at:], in[2][at:]
	p, kept := space[:n*n], space[:n*n]
	if a.probs != nil {
		p = a.probs[i*a.L*a.L:][:n*n]
	}
	for lo := 0; lo < n; lo += a.height(n) {
		hi := min(n, lo+a.height(n))
		a.precision.GemmST(false, true, hi-lo, hi, a.d, q[lo*a.H:], a.H, k, a.H, p[lo*n:], n, false)
	}
	a.softmax(p, n, a.Tokens.mask(b))
	if a.Dropout > 0 {
		a.drop(kept, p, i)
	} else {
		kept = p
	}
	a.rows(n, kept, v, y[at:])
}

// causalRows is the number of rows of P that a causal attention computes at once: with all columns up to the last row's, so
// that of the zeros above the diagonal at most this many are computed in each row.
const causalRows = 32

// height is the number of rows of P [n, n] that are computed at once.
func (a *attention) height(n int) int {
	if a.Causal {
		return causalRows
	}
	return n
}

// width is the number of tokens that token i of n sees.
func (a *attention) width(i, n int) int {
	if a.Causal {
		return i + 1
	}
	return n
}

// rows is y = p·x for p [n, n], and x and y [n, d] with a stride of H.
func (a *attention) rows(n int, p, x, y []float32) {
	for lo := 0; lo < n; lo += a.height(n) {
		hi := min(n, lo+a.height(n))
		a.precision.GemmST(false, false, hi-lo, a.d, hi, p[lo*n:], n, x, a.H, y[lo*a.H:], a.H, false)
	}
}

// columns is y = pᵀ·x likewise.
func (a *attention) columns(n int, p, x, y []float32) {
	for lo := 0; lo < n; lo += a.height(n) {
		hi := min(n, lo+a.height(n))
		from := lo
		if !a.Causal {
			from = 0
		}
		a.precision.GemmST(true, false, hi-lo, a.d, n-from, p[from*n+lo:], n, x[from*a.H:], a.H, y[lo*a.H:], a.H, false)
	}
}

// softmax replaces scores [n, n] by the softmax of each row of them times scale. Hidden tokens have rows and columns of
// zeros, and a causal attention has zeros above the diagonal.
func (a *attention) softmax(p []float32, n int, mask []float32) {
	kernel.Scale(p, p, a.scale)
	for r := range n {
		row := p[r*n : (r+1)*n]
		kernel.Fill(row[a.width(r, n):], float32(math.Inf(-1)))
		for j, m := range mask[:min(n, len(mask))] {
			if m == 0 {
				row[j] = float32(math.Inf(-1))
			}
		}
		kernel.Axpy(row, -kernel.Max(row), a.ones)
	}
	kernel.Exp(p, p)
	for r := range n {
		row := p[r*n : (r+1)*n]
		if mask != nil && mask[r] == 0 {
			clear(row)
			continue
		}
		kernel.Scale(row, row, 1/kernel.Sum(row))
	}
}

// grad makes the gradients of q, k and v: one pass computes all, those of k and v are views of its buffers.
func (a *attention) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	if a.probs == nil {
		a.probs = buffer(in, a.B, a.Heads, a.L, a.L)
	}
	o := newOp("attention/dq", in[0].Shape(), in[0], in[1], in[2], dy, out) // out: only to run after it
	var g [3][]float32
	for i := 1; i < 3; i++ {
		if need[i] {
			g[i] = buffer(in, o.shape...)
		}
	}
	loop := a.loop(in, func(i int, space []float32) { a.backward(i, o.in, &g, space) })
	o.run = func() error {
		g[0] = o.out
		a.begin()
		loop()
		return nil
	}
	first, err := o.apply(in[0], in[1], in[2], dy, out)
	if err != nil {
		return nil, err
	}
	d := make(G.Nodes, 3)
	if need[0] {
		d[0] = first
	}
	for i, name := range []string{"", "attention/dk", "attention/dv"} {
		if i > 0 && need[i] {
			if d[i], err = view(name, in[i].Shape(), g[i], first); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

func (a *attention) backward(i int, in [][]float32, g *[3][]float32, space []float32) {
	b, n, at := a.piece(i)
	for _, m := range g {
		if m != nil {
			a.clear(m, b, n, at)
		}
	}
	if n == 0 {
		return
	}
	q, k, v, dy := in[0][at:], in[1][at:], in[2][at:], in[3][at:]
	p, s := a.probs[i*a.L*a.L:][:n*n], space[:n*n]
	if g[2] != nil {
		kept := p
		if a.Dropout > 0 {
			a.drop(s, p, i)
			kept = s
		}
		a.columns(n, kept, dy, g[2][at:])
	}
	for lo := 0; lo < n; lo += a.height(n) {
		hi := min(n, lo+a.height(n))
		a.precision.GemmST(false, true, hi-lo, hi, a.d, dy[lo*a.H:], a.H, v, a.H, s[lo*n:], n, false)
		for r := lo; r < hi; r++ {
			clear(s[r*n+a.width(r, n) : (r+1)*n])
		}
	}
	if a.Dropout > 0 {
		a.drop(s, s, i)
	}
	for r := range n {
		row := s[r*n : (r+1)*n]
		kernel.Axpy(row, -kernel.Dot(row, p[r*n:(r+1)*n]), a.ones)
	}
	kernel.Mul(s, s, p)
	kernel.Scale(s, s, a.scale)
	a.rows(n, s, k, g[0][at:])
	if g[1] != nil {
		a.columns(n, s, q, g[1][at:])
	}
}
