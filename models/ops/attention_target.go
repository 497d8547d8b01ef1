package ops

import (
	"math"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TargetAttention is scaled dot-product attention with one query for each sequence, such as the item whose click is to be
// predicted: q [B, D], k [R, D] and v [R, E] over the positions → [B, E],
//
//	p = softmax(q·kᵀ/√D)  [n],  y = p·v
//
// over the n live positions of the sequence. A sequence without live positions gives 0. Padding is not read and takes no gradient,
// and results have the same bits for any L.
//
// Its backward pass is, with dp_i = v_i·dy and ds_i = p_i·(dp_i − Σ_j p_j·dp_j)/√D:
//
//	dv_i = p_i·dy, dq = Σ_i ds_i·k_i, dk_i = ds_i·q
func TargetAttention(q, k, v *G.Node, t *Tokens) (*G.Node, error) {
	c := checker{op: "targetattention"}
	B, D := c.mat("q", q)
	R, E := c.mat("v", v)
	c.shape("k", k, "a row for each row of v, as wide as q", R, D)
	c.sequences("v", R, t, "q", B)
	if c.err != nil {
		return nil, c.err
	}
	scale := float32(1 / math.Sqrt(float64(D)))
	w := newWeighted([]*G.Node{q, k, v}, B, t, true)
	o := newOp("targetattention", tensor.Shape{B, E}, q, k, v)
	loop := w.loop(D+E, func(b, n int, p []float32) {
		at, mask := t.at(b), t.mask(b)
		for i := range n {
			p[i] = float32(math.Inf(-1))
			if seen(mask, i) {
				p[i] = scale * kernel.Dot(o.in[0][b*D:(b+1)*D], o.in[1][(at+i)*D:])
			}
		}
		w.normalise(p)
		w.sum(o.out[b*E:(b+1)*E], p, o.in[2][at*E:], mask)
	})
	o.run = func() error {
		if err := t.live(w.live); err != nil {
			return err
		}
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
		o := newOp("targetattention/dq", in[0].Shape(), in[0], in[1], in[2], dy, out) // out: only to run after it
		var dk, dv []float32
		if need[1] {
			dk = buffer(in, R, D)
		}
		if need[2] {
			dv = buffer(in, R, E)
		}
		ds := room[float32](in, B, w.L)
		loop := w.loop(D+E, func(b, n int, p []float32) {
			at, mask := t.at(b), t.mask(b)
			dy, s := o.in[3][b*E:(b+1)*E], ds[b*w.L:][:n]
			w.spread(dv, p, dy, b, mask)
			w.slopes(s, p, o.in[2][at*E:], dy, mask)
			kernel.Scale(s, s, scale)
			w.sum(o.out[b*D:(b+1)*D], s, o.in[1][at*D:], mask)
			w.spread(dk, s, o.in[0][b*D:(b+1)*D], b, mask)
		})
		o.run = func() error {
			loop()
			return nil
		}
		return withViews(o, in, need, [][]float32{nil, dk, dv}, in[0], in[1], in[2], dy, out)
	}
	return o.apply(q, k, v)
}

// withViews applies o, which computes the gradient of input 0 as its result and those of the others, as far as they are needed, in
// bufs, and returns their nodes.
func withViews(o *op, in G.Nodes, need []bool, bufs [][]float32, args ...*G.Node) (G.Nodes, error) {
	first, err := o.apply(args...)
	if err != nil {
		return nil, err
	}
	d := make(G.Nodes, len(in))
	if need[0] {
		d[0] = first
	}
	for i, buf := range bufs {
		if i == 0 || !need[i] {
			continue
		}
		if d[i], err = view(o.name+"+", in[i].Shape(), buf, first); err != nil {
			return nil, err
		}
	}
	return d, nil
}
