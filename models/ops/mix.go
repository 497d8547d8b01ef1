package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// Mix weighs the results of E experts, which lie side by side: h [B, E·R], gate [B, E] → [B, E·R],
//
//	y_e = gate_e · h_e
//
// Its backward pass is dh_e = gate_e · dy_e and dgate_e = Σ_k dy_ek · h_ek.
func Mix(h, gate *G.Node) (*G.Node, error) {
	c := checker{op: "mix"}
	B, W := c.mat("h", h)
	gates, E := c.mat("gate", gate)
	if c.err == nil && (gates != B || W%E != 0) {
		c.fail("gate is %v, want one for each of the experts side by side in h %v", gate.Shape(), h.Shape())
	}
	if c.err != nil {
		return nil, c.err
	}
	R := W / E
	o := newOp("mix", h.Shape(), h, gate)
	loop := rowwise(B, W, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			for e, g := range o.in[1][r*E : (r+1)*E] {
				at := r*W + e*R
				kernel.Scale(o.out[at:at+R], o.in[0][at:at+R], g)
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		d := make(G.Nodes, 2)
		var err error
		if need[0] {
			if d[0], err = Mix(dy, in[1]); err != nil {
				return nil, err
			}
		}
		if need[1] {
			d[1], err = mixGate(in[0], in[1], dy)
		}
		return d, err
	}
	return o.apply(h, gate)
}

func mixGate(h, gate, dy *G.Node) (*G.Node, error) {
	B, W, E := h.Shape()[0], h.Shape()[1], gate.Shape()[1]
	R := W / E
	o := newOp("mix/dgate", gate.Shape(), h, dy)
	loop := rowwise(B, W, func(lo, hi int) {
		for i := lo * E; i < hi*E; i++ {
			o.out[i] = kernel.Dot(o.in[0][i*R:(i+1)*R], o.in[1][i*R:(i+1)*R])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	return o.apply(h, dy)
}
