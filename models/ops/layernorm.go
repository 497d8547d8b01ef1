package ops

import (
	"math"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// LayerNorm normalises rows (Ba et al. 2016), (x − mean)/√(var + eps)·gamma + beta with the mean and the variance (over
// C) of each row: x [B, C], gamma and beta [C] → [B, C].
//
// Its backward pass is, with x̂ = (x − mean)/√(var + eps), g = dy·gamma and means over a row:
//
//	dgamma = Σ_rows dy·x̂, dbeta = Σ_rows dy, dx = (g − mean(g) − x̂·mean(g·x̂))/√(var + eps)
func LayerNorm(x, gamma, beta *G.Node, eps float64) (*G.Node, error) {
	c := checker{op: "layernorm"}
	B, C := c.mat("x", x)
	c.row("gamma", gamma, C)
	c.row("beta", beta, C)
	if !(eps > 0) {
		c.fail("eps %v, want a number above 0", eps)
	}
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("layernorm", x.Shape(), x, gamma, beta)
	n := &layerNorm{mean: make([]float32, B), inv: make([]float32, B), ones: make([]float32, C)}
	kernel.Fill(n.ones, 1)
	loop := rowwise(B, C, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			x, y := o.in[0][r*C:(r+1)*C], o.out[r*C:(r+1)*C]
			n.mean[r] = kernel.Sum(x) / float32(C)
			copy(y, x)
			kernel.Axpy(y, -n.mean[r], n.ones)
			n.inv[r] = float32(1 / math.Sqrt(kernel.SumSq(y)/float64(C)+eps))
			kernel.Scale(y, y, n.inv[r])
			kernel.Mul(y, y, o.in[1])
			kernel.Add(y, o.in[2])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = n.grad
	return o.apply(x, gamma, beta)
}

// layerNorm is the state that the forward pass leaves to the backward pass: mean and 1/√(var+eps) of each row.
type layerNorm struct{ mean, inv, ones []float32 }

func (n *layerNorm) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	B, C := len(n.mean), len(n.ones)
	o := newOp("layernorm/dx", dy.Shape(), in[0], in[1], dy, out) // out: only to run after it
	p := newPartial(B, C, 3*C)                                    // Σ dy, Σ dy·x̂ and a row of scratch
	loop := p.loop(func(sum []float32, lo, hi int) {
		dbeta, dgamma, xhat := sum[:C], sum[C:2*C], sum[2*C:]
		for r := lo; r < hi; r++ {
			a, z := r*C, (r+1)*C
			dy, dx := o.in[2][a:z], o.out[a:z]
			copy(xhat, o.in[0][a:z])
			kernel.Axpy(xhat, -n.mean[r], n.ones)
			kernel.Scale(xhat, xhat, n.inv[r])
			kernel.Add(dbeta, dy)
			kernel.MulAdd(dgamma, dy, xhat)
			if need[0] {
				kernel.Mul(dx, dy, o.in[1])
				m1, m2 := kernel.Sum(dx)/float32(C), kernel.Dot(dx, xhat)/float32(C)
				kernel.Axpy(dx, -m1, n.ones)
				kernel.Axpy(dx, -m2, xhat)
				kernel.Scale(dx, dx, n.inv[r])
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	dx, err := o.apply(in[0], in[1], dy, out)
	if err != nil {
		return nil, err
	}
	return normGrads("layernorm", p, dx, need)
}
