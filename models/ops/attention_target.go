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
//
// k and v may be the same node, whose gradient is the sum of both.
func TargetAttention(q, k, v *G.Node, t *Tokens) (*G.Node, error) {
	c := checker{op: "targetattention"}
	B, D := c.mat("q", q)
	R, E := c.mat("v", v)
	c.shape("k", k, "a row for each row of v, as wide as q", R, D)
	c.sequences("v", R, t, "q", B)
	if c.err != nil {
		return nil, c.err
	}
	in := G.Nodes{q, k, v}
	if k == v {
		in = in[:2]
	}
	last := len(in) - 1 // v
	scale := float32(1 / math.Sqrt(float64(D)))
	w := newWeighted(in, B, t, true)
	o := newOp("targetattention", tensor.Shape{B, E}, in...)
	o.form = t
	loop := w.loop(D+E, func(b, n int, p []float32) {
		at, mask := t.at(b), t.mask(b)
		w.dots(p, o.in[0][b*D:(b+1)*D], o.in[1][at*D:], mask, float32(math.Inf(-1)))
		kernel.Scale(p, p, scale)
		w.normalise(p)
		w.sum(o.out[b*E:(b+1)*E], p, o.in[last][at*E:], mask)
	})
	o.run = func() error {
		if err := t.live(w.live); err != nil {
			return err
		}
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
		args := append(append(G.Nodes{}, in...), dy, out) // out: only to run after it
		o := newOp("targetattention/dq", in[0].Shape(), args...)
		d := make([][]float32, len(in)) // of k and v
		for i := 1; i < len(in); i++ {
			if need[i] {
				d[i] = buffer(in, R, in[i].Shape()[1])
			}
		}
		ds := room[float32](in, B, w.L)
		loop := w.loop(D+E, func(b, n int, p []float32) {
			at, mask := t.at(b), t.mask(b)
			q, dy, s := o.in[0][b*D:(b+1)*D], o.in[len(in)][b*E:(b+1)*E], ds[b*w.L:][:n]
			w.slopes(s, p, o.in[last][at*E:], dy, mask)
			kernel.Scale(s, s, scale)
			w.sum(o.out[b*D:(b+1)*D], s, o.in[1][at*D:], mask)
			if last == 1 {
				w.spread2(d[1], p, dy, s, q, b, mask)
				return
			}
			w.spread(d[1], s, q, b, mask)
			w.spread(d[2], p, dy, b, mask)
		})
		o.run = func() error {
			loop()
			return nil
		}
		return withViews(o, in, need, d, args...)
	}
	return o.apply(in...)
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
