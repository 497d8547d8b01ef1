package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// LinearOwn is a fully connected layer whose weights are each row's own, act(W_r·x_r + b_r): x [B, I], w [B, O·I], which is W_r [O, I]
// row by row, b [B, O] → [B, O]. A network that makes the weights of another one for each row needs it (Ha et al. 2017).
//
// Its backward pass is dz = dy·act′(y), dx_r = W_rᵀ·dz_r, dW_r = dz_r·x_rᵀ and db = dz.
func LinearOwn(x, w, b *G.Node, act kernel.Act) (*G.Node, error) {
	c := checker{op: "linearown"}
	B, I := c.mat("x", x)
	_, O := c.mat("b", b)
	c.shape("b", b, "each row has a bias for each output", B, O)
	c.shape("w", w, "each row has a weight for each pair of output and input", B, O*I)
	c.act(act)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp(c.op, tensor.Shape{B, O}, x, w, b)
	o.form = act
	loop := rowwise(B, O*I, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			y, row, w := o.out[r*O:(r+1)*O], o.in[0][r*I:(r+1)*I], o.in[1][r*O*I:(r+1)*O*I]
			for k := range y {
				y[k] = o.in[2][r*O+k] + kernel.Dot(w[k*I:(k+1)*I], row)
			}
			kernel.Activate(y, y, act)
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
		dz, err := dy, error(nil)
		if act != kernel.None {
			if dz, err = actGrad(out, dy, act, nil); err != nil {
				return nil, err
			}
		}
		d := G.Nodes{nil, nil, dz}
		if !need[2] {
			d[2] = nil
		}
		if need[0] {
			p := newOp("linearown/dx", tensor.Shape{B, I}, dz, in[1])
			loop := rowwise(B, O*I, func(lo, hi int) {
				for r := lo; r < hi; r++ {
					dx := p.out[r*I : (r+1)*I]
					clear(dx)
					for k, g := range p.in[0][r*O : (r+1)*O] {
						kernel.Axpy(dx, g, p.in[1][(r*O+k)*I:][:I])
					}
				}
			})
			p.run = func() error {
				loop()
				return nil
			}
			if d[0], err = p.apply(dz, in[1]); err != nil {
				return nil, err
			}
		}
		if need[1] {
			p := newOp("linearown/dw", tensor.Shape{B, O * I}, dz, in[0])
			loop := rowwise(B, O*I, func(lo, hi int) {
				for r := lo; r < hi; r++ {
					x := p.in[1][r*I : (r+1)*I]
					for k, g := range p.in[0][r*O : (r+1)*O] {
						kernel.Scale(p.out[(r*O+k)*I:][:I], x, g)
					}
				}
			})
			p.run = func() error {
				loop()
				return nil
			}
			if d[1], err = p.apply(dz, in[0]); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return o.apply(x, w, b)
}
