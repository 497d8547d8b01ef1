package ops

import (
	"math"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// AddLayerNorm is [LayerNorm] of the sum of a layer's result and its residual, as a post-norm encoder has it after each
// of its layers (Vaswani et al. 2017, section 3.1): with s = x + r,
//
//	(s − mean)/√(var + eps)·gamma + beta
//
// x and r [B, C], gamma and beta [C] → [B, C].
//
// Its backward pass is LayerNorm's; the gradients of x and r are one and the same.
func AddLayerNorm(x, r, gamma, beta *G.Node, eps float64) (*G.Node, error) {
	c := checker{op: "addlayernorm"}
	B, C := c.mat("x", x)
	c.shape("r", r, "x and its residual have one shape", B, C)
	c.row("gamma", gamma, C)
	c.row("beta", beta, C)
	if !(eps > 0) {
		c.fail("eps %v, want a number above 0", eps)
	}
	if c.err != nil {
		return nil, c.err
	}
	n := &addNorm{mean: make([]float32, B), inv: make([]float32, B), ones: make([]float32, C)}
	kernel.Fill(n.ones, 1)
	o := newOp("addlayernorm", x.Shape(), x, r, gamma, beta)
	loop := rowwise(B, C, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			a, z := i*C, (i+1)*C
			y := o.out[a:z]
			kernel.AddTo(y, o.in[0][a:z], o.in[1][a:z])
			n.mean[i] = kernel.Sum(y) / float32(C)
			kernel.Axpy(y, -n.mean[i], n.ones)
			n.inv[i] = float32(1 / math.Sqrt(kernel.SumSq(y)/float64(C)+eps))
			kernel.Scale(y, y, n.inv[i])
			kernel.Mul(y, y, o.in[2])
			kernel.Add(y, o.in[3])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = n.grad
	return o.apply(x, r, gamma, beta)
}

// addNorm is the state that the forward pass leaves to the backward pass: mean and 1/√(var+eps) of each row.
type addNorm struct{ mean, inv, ones []float32 }

func (n *addNorm) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	B, C := len(n.mean), len(n.ones)
	o := newOp("addlayernorm/dx", dy.Shape(), in[0], in[1], in[2], dy, out) // out: only to run after it
	p := newPartial(B, C, 3*C)                                              // Σ dy, Σ dy·x̂ and a row of scratch
	loop := p.loop(func(sum []float32, lo, hi int) {
		dbeta, dgamma, xhat := sum[:C], sum[C:2*C], sum[2*C:]
		for r := lo; r < hi; r++ {
			a, z := r*C, (r+1)*C
			dy, dx := o.in[3][a:z], o.out[a:z]
			kernel.AddTo(xhat, o.in[0][a:z], o.in[1][a:z])
			kernel.Axpy(xhat, -n.mean[r], n.ones)
			kernel.Scale(xhat, xhat, n.inv[r])
			kernel.Add(dbeta, dy)
			kernel.MulAdd(dgamma, dy, xhat)
			if need[0] || need[1] {
				kernel.Mul(dx, dy, o.in[2])
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
	dx, err := o.apply(in[0], in[1], in[2], dy, out)
	if err != nil {
		return nil, err
	}
	d, err := normGrads("addlayernorm", p, dx, []bool{need[0] || need[1], need[2], need[3]})
	if err != nil {
		return nil, err
	}
	return G.Nodes{d[0], d[0], d[1], d[2]}, nil
}
