package ops

import (
	"math"

	G "gorgonia.org/gorgonia"
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
// that of b the same with q, and both are zero in padding rows. Loss and gradients are times the row's weight. Logarithms of
// probabilities are taken from the logits, in float64. Labels lie in [0, 1]; another value is an error of the run. Labels and weights have
// no gradient.
func SelfEnsemble(a, b *G.Node, t Target) (*G.Node, error) {
	return rowLoss{
		name: "selfensemble", what: "logit", cost: bceCost, label: isShare, want: wantShare,
		loss:  func(x [][]float32, r int) float64 { return passesOf(x[0][r], x[1][r]).loss(float64(x[2][r])) },
		slope: func(x [][]float32, r int) float64 { return passesOf(x[0][r], x[1][r]).slope(float64(x[2][r])) },
		order: func(xs []*G.Node, i int) []*G.Node { return []*G.Node{xs[i], xs[1-i]} },
	}.apply(t, a, b)
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
