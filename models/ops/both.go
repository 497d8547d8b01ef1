package ops

import (
	"math"

	G "gorgonia.org/gorgonia"
)

// Both is the logit of the product of two probabilities whose logits are a and b [B, 1], such as those of a click and of a conversion after
// one: with p = σ(a)·σ(b), [B, 1]:
//
//	log p − log(1 − p)
//
// so that its sigmoid is p. It is computed from logarithms, in float64, without a clip. Its backward pass is da = dy·σ(−a)/(1 − p) and
// db = dy·σ(−b)/(1 − p).
func Both(a, b *G.Node) (*G.Node, error) {
	c := checker{op: "both"}
	B, _ := c.mat("a", a)
	c.shape("a", a, "one logit per row", B, 1)
	c.shape("b", b, "one logit per row", B, 1)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp(c.op, a.Shape(), a, b)
	loop := rowwise(B, 2*bceCost, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			x, y := float64(o.in[0][r]), float64(o.in[1][r])
			one := logSigmoid(x)
			o.out[r] = float32(one + logSigmoid(y) - logMean(logSigmoid(-x), one+logSigmoid(-y)) - math.Ln2) // 1 − p = σ(−x) + σ(x)·σ(−y)
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		d := make(G.Nodes, 2)
		for i := range 2 {
			if need[i] {
				var err error
				if d[i], err = bothGrad(in[i], in[1-i], dy); err != nil {
					return nil, err
				}
			}
		}
		return d, nil
	}
	return o.apply(a, b)
}

// bothGrad is the gradient of the logits z, beside the others.
func bothGrad(z, other, dy *G.Node) (*G.Node, error) {
	B := z.Shape()[0]
	o := newOp("both/dz", z.Shape(), z, other, dy)
	loop := rowwise(B, 2*bceCost, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			x, y := float64(o.in[0][r]), float64(o.in[1][r])
			// σ(−x)/(σ(−x) + σ(x)·σ(−y)) = 1/(1 + e^x·σ(−y))
			o.out[r] = float32(float64(o.in[2][r]) / (1 + math.Exp(x+logSigmoid(-y))))
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	return o.apply(z, other, dy)
}
