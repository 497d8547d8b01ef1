package ops

import (
	G "gorgonia.org/gorgonia"
)

// PReLU is max(x, 0) + alpha ⊙ min(x, 0) with a slope for each column (He et al. 2015, section 2.1): x [B, C], alpha [C] → [B, C].
//
// Its backward pass is dx = dy where x > 0, else alpha ⊙ dy, and dalpha = Σ_rows dy ⊙ min(x, 0).
func PReLU(x, alpha *G.Node) (*G.Node, error) {
	c := checker{op: "prelu"}
	B, C := c.mat("x", x)
	c.row("alpha", alpha, C)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("prelu", x.Shape(), x, alpha)
	loop := rowwise(B, C, func(lo, hi int) {
		alpha := o.in[1][:C]
		for r := lo; r < hi; r++ {
			x, y := o.in[0][r*C:(r+1)*C], o.out[r*C:(r+1)*C]
			for j, v := range x {
				if v <= 0 {
					v *= alpha[j]
				}
				y[j] = v
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		d := make(G.Nodes, 2)
		dx, p, err := preluGrad(in[0], in[1], dy)
		if err != nil {
			return nil, err
		}
		if need[0] {
			d[0] = dx
		}
		if need[1] {
			d[1], err = totals("prelu/dalpha", p, 0, in[1].Shape(), dx)
		}
		return d, err
	}
	return o.apply(x, alpha)
}

// preluGrad returns the gradient of x, and the sums of that of alpha, which are there when its node has run.
func preluGrad(x, alpha, dy *G.Node) (*G.Node, *partial, error) {
	B, C := x.Shape()[0], x.Shape()[1]
	o := newOp("prelu/dx", x.Shape(), x, alpha, dy)
	p := newPartial([]*G.Node{x}, B, C, C)
	loop := p.loop(func(sum []float32, lo, hi int) {
		alpha := o.in[1][:C]
		for r := lo; r < hi; r++ {
			x, dy, dx := o.in[0][r*C:(r+1)*C], o.in[2][r*C:(r+1)*C], o.out[r*C:(r+1)*C]
			for j, v := range x {
				d := dy[j]
				if v <= 0 {
					sum[j] += d * v
					d *= alpha[j]
				}
				dx[j] = d
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	dx, err := o.apply(x, alpha, dy)
	return dx, p, err
}
