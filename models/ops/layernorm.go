package ops

import (
	"math"
	"slices"

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
	return normRows("layernorm", []*G.Node{x}, gamma, beta, eps)
}

// AddLayerNorm is [LayerNorm] of the sum of a layer's result and its residual, as a post-norm encoder has it after each
// of its layers (Vaswani et al. 2017, section 3.1): x and r [B, C], gamma and beta [C] → [B, C]. The gradients of x and r are
// one and the same.
func AddLayerNorm(x, r, gamma, beta *G.Node, eps float64) (*G.Node, error) {
	return normRows("addlayernorm", []*G.Node{x, r}, gamma, beta, eps)
}

// normRows is the layer norm of the sum of terms, of which there are one or two.
func normRows(name string, terms []*G.Node, gamma, beta *G.Node, eps float64) (*G.Node, error) {
	c := checker{op: name}
	B, C := c.mat("x", terms[0])
	for _, r := range terms[1:] {
		c.shape("r", r, "x and its residual have one shape", B, C)
	}
	c.row("gamma", gamma, C)
	c.row("beta", beta, C)
	if !(eps > 0) {
		c.fail("eps %v, want a number above 0", eps)
	}
	if c.err != nil {
		return nil, c.err
	}
	in := append(append([]*G.Node{}, terms...), gamma, beta)
	o := newOp(name, terms[0].Shape(), in...)
	o.form = eps
	n := &layerNorm{name: name, terms: len(terms), mean: room[float32](in, B), inv: room[float32](in, B), ones: room[float32](in, C)}
	kernel.Fill(n.ones, 1)
	loop := rowwise(B, C, func(lo, hi int) {
		gamma, beta := o.in[n.terms], o.in[n.terms+1]
		for r := lo; r < hi; r++ {
			y := o.out[r*C : (r+1)*C]
			n.sum(y, o.in, r*C)
			n.mean[r] = kernel.Sum(y) / float32(C)
			kernel.Axpy(y, -n.mean[r], n.ones)
			n.inv[r] = float32(1 / math.Sqrt(kernel.SumSq(y)/float64(C)+eps))
			kernel.Scale(y, y, n.inv[r])
			kernel.Mul(y, y, gamma)
			kernel.Add(y, beta)
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = n.grad
	return o.apply(in...)
}

// layerNorm is the state that the forward pass leaves to the backward pass: mean and 1/√(var+eps) of each row.
type layerNorm struct {
	name            string
	terms           int // summed first: x, or x and its residual
	mean, inv, ones []float32
}

// sum sets dst to the sum of the terms' values from place at on.
func (n *layerNorm) sum(dst []float32, in [][]float32, at int) {
	x := in[0][at : at+len(dst)]
	if n.terms == 2 {
		kernel.AddTo(dst, x, in[1][at:at+len(dst)])
	} else {
		copy(dst, x)
	}
}

func (n *layerNorm) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	B, C := out.Shape()[0], out.Shape()[1]
	terms := n.terms
	needX := slices.Contains(need[:terms], true)
	from := append(append([]*G.Node{}, in[:terms+1]...), dy, out) // out: only to run after it
	o := newOp(n.name+"/dx", dy.Shape(), from...)
	p := newPartial(in, B, C, 3*C) // Σ dy, Σ dy·x̂ and a row of scratch
	loop := p.loop(func(sum []float32, lo, hi int) {
		dbeta, dgamma, xhat := sum[:C], sum[C:2*C], sum[2*C:]
		gamma, dys := o.in[terms], o.in[terms+1]
		for r := lo; r < hi; r++ {
			a, z := r*C, (r+1)*C
			dy, dx := dys[a:z], o.out[a:z]
			n.sum(xhat, o.in, a)
			kernel.Axpy(xhat, -n.mean[r], n.ones)
			kernel.Scale(xhat, xhat, n.inv[r])
			kernel.Add(dbeta, dy)
			kernel.MulAdd(dgamma, dy, xhat)
			if needX {
				kernel.Mul(dx, dy, gamma)
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
	dx, err := o.apply(from...)
	if err != nil {
		return nil, err
	}
	d, err := normGrads(n.name, p, dx, []bool{needX, need[terms], need[terms+1]})
	if err != nil {
		return nil, err
	}
	grads := G.Nodes{d[0], d[1], d[2]}
	if terms == 2 {
		grads = G.Nodes{d[0], d[0], d[1], d[2]}
	}
	return grads, nil
}
