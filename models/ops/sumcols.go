package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// SumCols is the sum of each row, over its columns: x [B, K] → [B, 1]. Its backward pass repeats dy in each column.
func SumCols(x *G.Node) (*G.Node, error) {
	c := checker{op: "sumcols"}
	B, K := c.mat("x", x)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("sumcols", tensor.Shape{B, 1}, x)
	loop := rowwise(B, K, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			o.out[r] = kernel.Sum(o.in[0][r*K : (r+1)*K])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, _ []bool) (G.Nodes, error) {
		d, err := repeat(dy, K)
		return G.Nodes{d}, err
	}
	return o.apply(x)
}

// repeat returns x [B, 1] in each of K columns: [B, K].
func repeat(x *G.Node, K int) (*G.Node, error) {
	B := x.Shape()[0]
	o := newOp("sumcols/dx", tensor.Shape{B, K}, x)
	loop := rowwise(B, K, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			kernel.Fill(o.out[r*K:(r+1)*K], o.in[0][r])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	return o.apply(x)
}
