package ops

import (
	"math"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// WeightedPool is the sum of the live positions of each sequence with one weight for each of them: w [R, 1] and v [R, D] over the positions →
// [B, D],
//
//	y = Σ_i p_i·v_i,  p = w, or with softmax p_i = exp(w_i) / Σ_j exp(w_j)
//
// over the live positions of the sequence. DIN sums so, without softmax (Zhou et al. 2018, eq. 3). A sequence without live
// positions gives 0. Padding is not read and takes no gradient, and results have the same bits for any L.
//
// Its backward pass is, with dp_i = v_i·dy:
//
//	dv_i = p_i·dy, dw_i = dp_i, or with softmax dw_i = p_i·(dp_i − Σ_j p_j·dp_j)
func WeightedPool(w, v *G.Node, t *Tokens, softmax bool) (*G.Node, error) {
	c := checker{op: "weightedpool"}
	R, D := c.mat("v", v)
	c.shape("w", w, "one weight for each row of v", R, 1)
	B := c.tokens("v", R, t)
	if c.err != nil {
		return nil, c.err
	}
	s := newWeighted([]*G.Node{w, v}, B, t, softmax)
	o := newOp("weightedpool", tensor.Shape{B, D}, w, v)
	o.form = WeightedPoolForm{Tokens: t, Softmax: softmax}
	loop := s.loop(D, func(b, n int, p []float32) {
		at, mask := t.at(b), t.mask(b)
		for i := range n {
			p[i] = float32(math.Inf(-1))
			if seen(mask, i) {
				p[i] = o.in[0][at+i]
			}
		}
		if softmax {
			s.normalise(p)
		}
		s.sum(o.out[b*D:(b+1)*D], p, o.in[1][at*D:], mask)
	})
	o.run = func() error {
		if err := t.live(s.live); err != nil {
			return err
		}
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
		o := newOp("weightedpool/dw", in[0].Shape(), in[0], in[1], dy, out) // out: only to run after it
		var dv []float32
		if need[1] {
			dv = buffer(in, R, D)
		}
		loop := s.loop(D, func(b, n int, p []float32) {
			at, mask := t.at(b), t.mask(b)
			dy := o.in[2][b*D : (b+1)*D]
			s.spread(dv, p, dy, b, mask)
			if need[0] {
				_, end := t.span(b)
				clear(o.out[at+n : end])
				s.slopes(o.out[at:at+n], p, o.in[1][at*D:], dy, mask)
			}
		})
		o.run = func() error {
			loop()
			return nil
		}
		return withViews(o, in, need, [][]float32{nil, dv}, in[0], in[1], dy, out)
	}
	return o.apply(w, v)
}

// weighted is what the passes of a sum over positions with weights share.
type weighted struct {
	B, L    int
	tokens  *Tokens
	softmax bool
	live    []int     // [B]: positions of each sequence up to its last live one
	probs   []float32 // [B, L]: the weights of this run
	ones    []float32 // [L]
}

func newWeighted(in []*G.Node, B int, t *Tokens, softmax bool) *weighted {
	w := &weighted{B: B, L: t.L, tokens: t, softmax: softmax}
	w.live, w.probs, w.ones = room[int](in, B), room[float32](in, B, t.L), room[float32](in, t.L)
	kernel.Fill(w.ones, 1)
	return w
}

// loop returns a function that runs f on all sequences, with the positions up to the last live one and their weights.
func (w *weighted) loop(width int, f func(b, n int, p []float32)) func() {
	return rowParts(w.B, min(w.B, parts(w.B*w.L*width)), func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			f(b, w.live[b], w.probs[b*w.L:][:w.live[b]])
		}
	})
}

// seen tells whether the mask, which may be nil, leaves a position live.
func seen(mask []float32, i int) bool { return mask == nil || mask[i] != 0 }

// normalise replaces scores by their softmax.
func (w *weighted) normalise(p []float32) {
	if len(p) == 0 {
		return
	}
	kernel.Axpy(p, -kernel.Max(p), w.ones[:len(p)])
	kernel.Exp(p, p)
	kernel.Scale(p, p, 1/kernel.Sum(p))
}

// dots sets d to the products of q with the rows of x that the mask leaves, and to hidden for the others.
func (w *weighted) dots(d, q, x, mask []float32, hidden float32) {
	if mask == nil {
		kernel.DotRows(d, q, x)
		return
	}
	for i := range d {
		d[i] = hidden
		if mask[i] != 0 {
			d[i] = kernel.Dot(q, x[i*len(q):])
		}
	}
}

// sum is y = Σ_i p_i·x_i over the rows x_i, as wide as y, that the mask leaves.
func (w *weighted) sum(y, p, x, mask []float32) {
	if mask == nil {
		kernel.WeightedRows(y, p, x)
		return
	}
	clear(y)
	for i, v := range p {
		if mask[i] != 0 {
			kernel.Axpy(y, v, x[i*len(y):][:len(y)])
		}
	}
}

// spread2 sets row i of sequence b in dx to p_i·x + s_i·y where the mask leaves it, and the others to 0. A nil dx is left alone.
func (w *weighted) spread2(dx, p, x, s, y []float32, b int, mask []float32) {
	if dx == nil {
		return
	}
	D := len(x)
	at, end := w.tokens.span(b)
	kernel.OuterRows(dx[at*D:][:len(p)*D], p, x, s, y)
	for i := range end - at {
		if i >= len(p) || !seen(mask, i) {
			clear(dx[(at+i)*D:][:D])
		}
	}
}

// spread sets row i of sequence b in dx to p_i·x where the mask leaves it, and the others to 0. A nil dx
// is left alone.
func (w *weighted) spread(dx, p, x []float32, b int, mask []float32) {
	if dx == nil {
		return
	}
	at, end := w.tokens.span(b)
	for i := range end - at {
		row := dx[(at+i)*len(x):][:len(x)]
		if i < len(p) && seen(mask, i) {
			kernel.Scale(row, x, p[i])
		} else {
			clear(row)
		}
	}
}

// slopes sets d to the gradient of the weights, or of the scores that they are the softmax of.
func (w *weighted) slopes(d, p, x, dy, mask []float32) {
	w.dots(d, dy, x, mask, 0)
	if w.softmax && len(d) > 0 {
		kernel.Axpy(d, -kernel.Dot(d, p), w.ones[:len(d)])
		kernel.Mul(d, d, p)
	}
}
