package ops

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// SelfEnsemble is the self-ensemble loss of two dropout passes over the same rows, a scalar (Li et al., "Revisiting Feature Interactions
// from the Perspective of Quadratic Neural Networks for Click-through Rate Prediction", KDD 2025, arXiv:2505.17999, in the form of the
// authors' code). a and b [B, 1] are the logits of the passes, and y [B, 1] the labels. With p = σ(a), q = σ(b), m = (p + q)/2 and
// BCE(x, t) = −t·log(x) − (1 − t)·log(1 − x), it is the mean over the live rows of
//
//	BCE(m, y) + BCE(p, sg(m)) + BCE(q, sg(m))
//
// The passes learn from their mean as from fixed labels: sg stops the gradient. So the gradient of a is
//
//	(½·p·(1 − p)·((1 − y)/(1 − m) − y/m) + p − m)/N
//
// that of b the same with q, and both are zero in padding rows. Logarithms of probabilities are taken from the logits, in float64.
// Labels lie in [0, 1] and have no gradient; another value is an error of the run. A nil rows means that all rows are live.
func SelfEnsemble(a, b, label *G.Node, rows *Rows) (*G.Node, error) {
	c := checker{op: "selfensemble"}
	B, _ := c.mat("logits", a)
	c.shape("logits", a, "one logit per row", B, 1)
	c.shape("logits of the other pass", b, "one logit per row", B, 1)
	c.shape("label", label, "one label per row", B, 1)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("selfensemble", tensor.Shape{}, a, b, label)
	o.diff = []bool{true, true, false}
	live := 0
	p := parts(2 * B * bceCost)
	sums, bad := make([]float64, p), make([]int, p)
	loop := rowParts(B, p, func(i, lo, hi int) {
		sum := 0.0
		bad[i] = -1
		for r := lo; r < min(hi, live); r++ {
			t := float64(o.in[2][r])
			if !(t >= 0 && t <= 1) {
				bad[i] = r
				break
			}
			sum += passesOf(o.in[0][r], o.in[1][r]).loss(t)
		}
		sums[i] = sum
	})
	o.run = func() (err error) {
		if live, err = rows.live(B); err != nil {
			return err
		}
		loop()
		sum := 0.0
		for i, s := range sums {
			if r := bad[i]; r >= 0 {
				return fmt.Errorf("label of row %d is %v, want a number in [0, 1]", r, o.in[2][r])
			}
			sum += s
		}
		o.out[0] = float32(sum / float64(live))
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		d := make(G.Nodes, 3)
		for i := range 2 {
			if need[i] {
				var err error
				if d[i], err = selfEnsembleGrad(in[i], in[1-i], in[2], dy, rows); err != nil {
					return nil, err
				}
			}
		}
		return d, nil
	}
	return o.apply(a, b, label)
}

// selfEnsembleGrad is the gradient of the logits z, beside those of the other pass.
func selfEnsembleGrad(z, other, label, dy *G.Node, rows *Rows) (*G.Node, error) {
	B := z.Shape()[0]
	o := newOp("selfensemble/dz", z.Shape(), z, other, label, dy)
	live, scale := 0, 0.0
	loop := rowParts(B, parts(2*B*bceCost), func(_, lo, hi int) {
		for r := lo; r < hi; r++ {
			if r >= live {
				o.out[r] = 0
				continue
			}
			o.out[r] = float32(passesOf(o.in[0][r], o.in[1][r]).slope(float64(o.in[2][r])) * scale)
		}
	})
	o.run = func() (err error) {
		if live, err = rows.live(B); err != nil {
			return err
		}
		scale = float64(o.in[3][0]) / float64(live)
		loop()
		return nil
	}
	return o.apply(z, other, label, dy)
}

// passes are the logarithms of the probabilities of labels 1 and 0 by two passes, and by their mean.
type passes struct{ p1, p0, q1, q0, m1, m0 float64 }

func passesOf(a, b float32) passes {
	x := passes{p1: logSigmoid(float64(a)), q1: logSigmoid(float64(b)), p0: logSigmoid(-float64(a)), q0: logSigmoid(-float64(b))}
	x.m1, x.m0 = logMean(x.p1, x.q1), logMean(x.p0, x.q0)
	return x
}

// loss is that of a row with the label t.
func (x passes) loss(t float64) float64 {
	m := math.Exp(x.m1)
	return -t*x.m1 - (1-t)*x.m0 - m*(x.p1+x.q1) - (1-m)*(x.p0+x.q0)
}

// slope is the derivative of loss for the first logit.
func (x passes) slope(t float64) float64 {
	pull := (1-t)*math.Exp(x.p1+x.p0-x.m0) - t*math.Exp(x.p1+x.p0-x.m1)
	return pull/2 + math.Exp(x.p1) - math.Exp(x.m1)
}

// logSigmoid is log(σ(z)).
func logSigmoid(z float64) float64 { return min(z, 0) - math.Log1p(math.Exp(-math.Abs(z))) }

// logMean is the logarithm of the mean of the numbers whose logarithms are a and b.
func logMean(a, b float64) float64 {
	return max(a, b) + math.Log1p(math.Exp(-math.Abs(a-b))) - math.Ln2
}
