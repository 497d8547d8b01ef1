package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// Softmax is exp(z_c − m) / Σ_k exp(z_k − m) of each row of z [B, C], with m the row's greatest number. The sum is in float64. Its
// backward pass is y ⊙ (dy − Σ_k dy_k·y_k).
func Softmax(z *G.Node) (*G.Node, error) {
	c := checker{op: "softmax"}
	B, C := c.mat("z", z)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("softmax", z.Shape(), z)
	ones := room[float32]([]*G.Node{z}, C)
	kernel.Fill(ones, 1)
	loop := rowwise(B, C*softmaxCost, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			y := o.out[r*C : (r+1)*C]
			copy(y, o.in[0][r*C:])
			kernel.Axpy(y, -kernel.Max(y), ones)
			kernel.Exp(y, y)
			kernel.Scale(y, y, float32(1/float64(kernel.Sum(y))))
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(_ G.Nodes, y, dy *G.Node, _ []bool) (G.Nodes, error) {
		d, err := softmaxGrad(y, dy)
		return G.Nodes{d}, err
	}
	return o.apply(z)
}

func softmaxGrad(y, dy *G.Node) (*G.Node, error) {
	B, C := y.Shape()[0], y.Shape()[1]
	o := newOp("softmax/dz", y.Shape(), y, dy)
	ones := room[float32]([]*G.Node{y}, C)
	kernel.Fill(ones, 1)
	loop := rowwise(B, C*softmaxCost, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			y, dy, dz := o.in[0][r*C:(r+1)*C], o.in[1][r*C:(r+1)*C], o.out[r*C:(r+1)*C]
			copy(dz, dy)
			kernel.Axpy(dz, -kernel.Dot(dy, y), ones)
			kernel.Mul(dz, dz, y)
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	return o.apply(y, dy)
}
