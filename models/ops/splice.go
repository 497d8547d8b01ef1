package ops

import (
	G "gorgonia.org/gorgonia"
)

// Splice computes a tensor from those of K parents, with the weights w_k that a Splicing makes of gate logits:
//
//	soft              W = W_1 + sum_{k>1} w_k·(W_k - W_1), which is sum_k w_k·W_k
//	hard              W = W_k of the largest w_k
//	straight-through  hard, with the gradient of soft
//
// The parents are of one shape and take no gradient. Each of the logits, of which there are Logits(K), has the parents' shape, one
// value a row (a gate per unit), or one value (a gate per tensor). Equal parents come out as they are, bit for bit.
//
// Its backward pass is dw_k = sum dy ⊙ (W_k - W_1) over what shares a gate, and then that of the weights' form.
func Splice(logits, parents G.Nodes, p Splicing) (*G.Node, error) {
	c := checker{op: "splice"}
	if err := p.Check(len(parents)); err != nil {
		c.fail("%w", err)
		return nil, c.err
	}
	K := len(parents)
	shape := c.any("parent 1", parents[0])
	for _, w := range parents[1:] {
		c.shape("parent", w, "all parents have one shape", shape...)
	}
	if len(logits) != p.Logits(K) {
		c.fail("%d gate logits of %d parents, want %d", len(logits), K, p.Logits(K))
	}
	gates := 1
	for i, s := range logits {
		n := c.any("logits", s)
		if c.err != nil {
			return nil, c.err
		}
		if i > 0 && size(n) != gates {
			c.fail("logits are %v and %v, want one shape", logits[0].Shape(), n)
		}
		gates = size(n)
	}
	if c.err == nil && gates != size(shape) && gates != 1 && (len(shape) == 0 || gates != shape[0]) {
		c.fail("logits are %v, parents %v: want one logit a value, a row or a tensor", logits[0].Shape(), shape)
	}
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("splice", shape, append(append(G.Nodes{}, logits...), parents...)...)
	s := &splice{Splicing: p, op: o, parents: K, gates: gates, span: size(shape) / gates}
	var loop func()
	if s.pair = newPair(p, parents, gates, s.span); s.pair != nil {
		loop = flat(gates, s.forwardPair)
	} else {
		s.w = room[float32](parents, K, gates)
		loop = s.loop(s.forward)
	}
	o.run = func() error {
		loop()
		return nil
	}
	if len(logits) > 0 && p.Choice != SpliceHard {
		o.grad = s.grad
		o.diff = make([]bool, len(o.dims))
		for i := range logits {
			o.diff[i] = true
		}
	}
	return o.apply(append(append(G.Nodes{}, logits...), parents...)...)
}

// splice is what the passes of one op share.
type splice struct {
	Splicing
	op      *op
	parents int
	gates   int       // logits of a kind
	span    int       // values that share a gate, one after the other
	w       []float32 // [gates, parents]: the soft weights of the last run
	pair    *pair     // takes the place of w for two parents with a gate for each value; may be nil
}

// gateScratch is the space of one gate's computation.
type gateScratch struct{ w, dw, s, ds, rest []float64 }

// loop returns a function that runs f on all chunks of the gates.
func (s *splice) loop(f func(x *gateScratch, lo, hi int)) func() {
	p := min(s.gates, parts(s.gates*s.span*8)) // a gate costs some exponentials
	n := s.Logits(s.parents)
	scratch := make([]gateScratch, p)
	for i := range scratch {
		scratch[i] = gateScratch{
			w: make([]float64, s.parents), dw: make([]float64, s.parents), s: make([]float64, n), ds: make([]float64, n),
			rest: make([]float64, 3*s.parents),
		}
	}
	return rowParts(s.gates, p, func(i, lo, hi int) { f(&scratch[i], lo, hi) })
}

func (s *splice) forward(x *gateScratch, lo, hi int) {
	o := s.op
	base, others := o.in[len(x.s)], o.in[len(x.s)+1:]
	for g := lo; g < hi; g++ {
		for k := range x.s {
			x.s[k] = float64(o.in[k][g])
		}
		s.Weights(x.w, x.s, x.rest)
		for k, w := range x.w {
			s.w[g*s.parents+k] = float32(w)
		}
		if s.Choice != SpliceSoft {
			at := g * s.span
			copy(o.out[at:at+s.span], o.in[len(x.s)+Chosen(x.w)][at:])
			continue
		}
		for i := g * s.span; i < (g+1)*s.span; i++ {
			b := float64(base[i])
			sum := b
			for k, w := range others {
				sum += x.w[k+1] * (float64(w[i]) - b)
			}
			o.out[i] = float32(sum)
		}
	}
}

// grad makes the gradients of the logits: one pass computes all, those after the first are views of its buffers.
func (s *splice) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	n := s.Logits(s.parents)
	args := append(append(G.Nodes{}, in...), dy, out)
	o := newOp("splice/ds", in[0].Shape(), args...)
	ds := make([][]float32, n)
	for k := 1; k < n; k++ {
		ds[k] = room[float32](in, s.gates)
	}
	if s.pair != nil {
		loop := flat(s.gates, func(lo, hi int) { s.gradPair(o.out, o.in[1], o.in[2], o.in[3], lo, hi) })
		o.run = func() error {
			loop()
			return nil
		}
		d, err := o.apply(args...)
		return append(G.Nodes{d}, make(G.Nodes, len(in)-1)...), err
	}
	loop := s.loop(func(x *gateScratch, lo, hi int) {
		dy := o.in[len(in)]
		base, others := o.in[n], o.in[n+1:len(in)]
		for g := lo; g < hi; g++ {
			for k := range x.s {
				x.s[k] = float64(o.in[k][g])
			}
			for k := range x.w {
				x.w[k] = float64(s.w[g*s.parents+k])
			}
			for k, w := range others {
				sum := 0.0
				for i := g * s.span; i < (g+1)*s.span; i++ {
					sum += float64(dy[i]) * (float64(w[i]) - float64(base[i]))
				}
				x.dw[k+1] = sum
			}
			s.Grad(x.ds, x.s, x.w, x.dw, x.rest)
			for k, v := range x.ds {
				ds[k][g] = float32(v)
			}
		}
	})
	o.run = func() error {
		ds[0] = o.out
		loop()
		return nil
	}
	first, err := o.apply(args...)
	if err != nil {
		return nil, err
	}
	d := make(G.Nodes, len(in))
	d[0] = first
	for k := 1; k < n; k++ {
		if need[k] {
			if d[k], err = view("splice/ds", in[k].Shape(), ds[k], first); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}
