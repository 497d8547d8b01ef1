package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Pairwise is the second-order term of a factorization machine, the sum of ⟨e_f, e_g⟩ over all pairs of fields f < g:
//
//	½·Σ_d ((Σ_f e_fd)² − Σ_f e_fd²)
//
// (Rendle 2010, lemma 3.1). e [B, F·D] holds the F fields of a row one after the other → [B, 1].
//
// Its backward pass is de_f = dy·(Σ_g e_g − e_f), with the sum kept from the forward pass.
func Pairwise(e *G.Node, fields int) (*G.Node, error) {
	c := checker{op: "pairwise"}
	B, W := c.mat("e", e)
	if c.err == nil && (fields < 1 || W%fields != 0) {
		c.fail("e is %v, want a width that %d fields divide", e.Shape(), fields)
	}
	if c.err != nil {
		return nil, c.err
	}
	D := W / fields
	o := newOp("pairwise", tensor.Shape{B, 1}, e)
	o.form = fields
	s := room[float32]([]*G.Node{e}, B, D) // Σ_f e_f
	loop := rowwise(B, W, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			o.out[r] = kernel.PairwiseFwd(o.in[0][r*W:(r+1)*W], fields, D, s[r*D:(r+1)*D])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, _ []bool) (G.Nodes, error) {
		d, err := pairwiseGrad(in[0], out, dy, s, D)
		return G.Nodes{d}, err
	}
	return o.apply(e)
}

// pairwiseGrad takes the result of the forward pass as an input only to run after it, when s is filled.
func pairwiseGrad(e, out, dy *G.Node, s []float32, D int) (*G.Node, error) {
	B, W := e.Shape()[0], e.Shape()[1]
	o := newOp("pairwise/de", e.Shape(), e, dy, out)
	loop := newPartial([]*G.Node{e}, B, W, D).loop(func(ds []float32, lo, hi int) {
		for r := lo; r < hi; r++ {
			g, row := o.in[1][r], o.out[r*W:(r+1)*W]
			kernel.Scale(ds, s[r*D:(r+1)*D], g)
			kernel.Scale(row, o.in[0][r*W:(r+1)*W], -g)
			kernel.BiasAct(row, ds, kernel.None) // adds ds to each field
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	return o.apply(e, dy, out)
}
