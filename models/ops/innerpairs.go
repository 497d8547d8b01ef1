package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// InnerPairs has the inner products of all pairs of vectors, ⟨e_i, e_j⟩ for i < j: e [B, F·D] holds the F vectors of a row side by side →
// [B, F·(F−1)/2], first the pairs of e_0, then the other ones of e_1, and so on.
//
// Its backward pass is de_i = Σ_{j≠i} dy_ij·e_j.
func InnerPairs(e *G.Node, fields int) (*G.Node, error) {
	c := checker{op: "innerpairs"}
	B, W := c.mat("e", e)
	if c.err == nil && (fields < 2 || W%fields != 0) {
		c.fail("e is %v, want a width that %d fields divide, of which there are at least 2", e.Shape(), fields)
	}
	if c.err != nil {
		return nil, c.err
	}
	D, P := W/fields, fields*(fields-1)/2
	o := newOp(c.op, tensor.Shape{B, P}, e)
	o.form = fields
	loop := rowwise(B, P*D, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			e, y := o.in[0][r*W:(r+1)*W], o.out[r*P:(r+1)*P]
			for i := range fields - 1 {
				n := fields - 1 - i
				kernel.DotRows(y[:n], e[i*D:(i+1)*D], e[(i+1)*D:])
				y = y[n:]
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, _ []bool) (G.Nodes, error) {
		d, err := innerPairsGrad(in[0], dy, fields)
		return G.Nodes{d}, err
	}
	return o.apply(e)
}

func innerPairsGrad(e, dy *G.Node, fields int) (*G.Node, error) {
	B, W, P := e.Shape()[0], e.Shape()[1], dy.Shape()[1]
	D := W / fields
	o := newOp("innerpairs/de", e.Shape(), e, dy)
	loop := rowwise(B, 2*P*D, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			e, de, dy := o.in[0][r*W:(r+1)*W], o.out[r*W:(r+1)*W], o.in[1][r*P:(r+1)*P]
			for i, at := 0, 0; i < fields; i++ { // of the vectors behind each
				n := fields - 1 - i
				kernel.WeightedRows(de[i*D:(i+1)*D], dy[at:at+n], e[(i+1)*D:])
				at += n
			}
			for i, at := 0, 0; i < fields; i++ { // and of those before
				for j := i + 1; j < fields; j++ {
					kernel.Axpy(de[j*D:(j+1)*D], dy[at], e[i*D:(i+1)*D])
					at++
				}
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	return o.apply(e, dy)
}
