package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Factorized is the interaction of the two halves of a linear map, h = [a, c] [B, 2K] (Zhu et al., "FINAL: Factorized Interaction Layer for CTR
// Prediction", SIGIR 2023, section 3.1). With sum it is, [B, K],
//
//	y = a + a ⊙ c
//
// and else both terms side by side, y = [a, a ⊙ c], [B, 2K]. Its backward pass is da = dy₁ + dy₂ ⊙ c and dc = dy₂ ⊙ a, where dy₁ and dy₂ are
// those of the two terms, and the same with sum.
func Factorized(h *G.Node, sum bool) (*G.Node, error) {
	k := checker{op: "factorized"}
	B, W := k.mat("h", h)
	if k.err == nil && W%2 != 0 {
		k.fail("h is %v, want an even width", h.Shape())
	}
	if k.err != nil {
		return nil, k.err
	}
	K := W / 2
	width, second := W, K // of y, and where the second term begins
	if sum {
		width, second = K, 0
	}
	o := newOp(k.op, tensor.Shape{B, width}, h)
	o.form = sum
	loop := rowwise(B, W, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			a, c := o.in[0][r*W:r*W+K], o.in[0][r*W+K:(r+1)*W]
			y := o.out[r*width : (r+1)*width]
			kernel.Mul(y[second:], a, c)
			if sum {
				kernel.Add(y, a)
			} else {
				copy(y, a)
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, _ []bool) (G.Nodes, error) {
		o := newOp("factorized/dh", in[0].Shape(), in[0], dy)
		loop := rowwise(B, W, func(lo, hi int) {
			for r := lo; r < hi; r++ {
				a, c := o.in[0][r*W:r*W+K], o.in[0][r*W+K:(r+1)*W]
				da, dc := o.out[r*W:r*W+K], o.out[r*W+K:(r+1)*W]
				dy := o.in[1][r*width : (r+1)*width]
				kernel.Mul(da, dy[second:], c)
				kernel.Add(da, dy[:K])
				kernel.Mul(dc, dy[second:], a)
			}
		})
		o.run = func() error {
			loop()
			return nil
		}
		d, err := o.apply(in[0], dy)
		return G.Nodes{d}, err
	}
	return o.apply(h)
}
