package ops

import (
	"math"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// SoftmaxTokens is the softmax of scores over the live positions of each sequence: w [R, 1] → [R, 1],
//
//	p_i = exp(w_i) / Σ_j exp(w_j)
//
// and 0 at the others, which are not read and take no gradient. A sequence has the same bits alone and among others. Its backward pass is
// dw_i = p_i·(dp_i − Σ_j p_j·dp_j).
func SoftmaxTokens(w *G.Node, t *Tokens) (*G.Node, error) {
	c := checker{op: "softmaxtokens"}
	R, _ := c.mat("w", w)
	c.shape("w", w, "one score for each position", R, 1)
	B := c.tokens("w", R, t)
	if c.err != nil {
		return nil, c.err
	}
	s := newWeighted([]*G.Node{w}, B, t, true)
	o := newOp("softmaxtokens", w.Shape(), w)
	o.form = t
	loop := s.loop(1, func(b, n int, p []float32) {
		mask := t.mask(b)
		at, end := t.span(b)
		for i := range n {
			p[i] = float32(math.Inf(-1))
			if seen(mask, i) {
				p[i] = o.in[0][at+i]
			}
		}
		s.normalise(p)
		clear(o.out[at+copy(o.out[at:], p) : end])
	})
	o.run = func() error {
		if err := t.live(s.live); err != nil {
			return err
		}
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dp *G.Node, _ []bool) (G.Nodes, error) {
		o := newOp("softmaxtokens/dw", in[0].Shape(), dp, out) // out: only to run after it
		loop := s.loop(1, func(b, n int, p []float32) {
			mask := t.mask(b)
			at, end := t.span(b)
			dw := o.out[at:][:n]
			for i := range dw {
				dw[i] = 0
				if seen(mask, i) {
					dw[i] = o.in[0][at+i]
				}
			}
			if n > 0 {
				kernel.Axpy(dw, -kernel.Dot(dw, p), s.ones[:n])
				kernel.Mul(dw, dw, p)
			}
			clear(o.out[at+n : end])
		})
		o.run = func() error {
			loop()
			return nil
		}
		d, err := o.apply(dp, out)
		return G.Nodes{d}, err
	}
	return o.apply(w)
}
