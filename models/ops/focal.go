package ops

import (
	"errors"
	"math"

	G "gorgonia.org/gorgonia"
)

// FocalOptions say how a binary cross-entropy counts the rows of both labels.
type FocalOptions struct {
	Positive float64 // factor of the part of label 1, above 0: pos_weight, or alpha of the focal loss
	Negative float64 // factor of the part of label 0, above 0: 1 − alpha of the focal loss
	Gamma    float64 // focusing parameter, 0 or more; 0: all rows of a label count alike
}

// Focal is the mean over the live rows of the focal loss of logits z [B, 1] with labels y [B, 1], a scalar (Lin et al., "Focal Loss for
// Dense Object Detection", ICCV 2017, eq. 5, whose labels are 0 and 1). With p = σ(z) it is
//
//	Positive·y·(1 − p)^γ·(−log p) + Negative·(1 − y)·p^γ·(−log(1 − p))
//
// times the row's weight. With γ = 0 and Negative = 1 it is PyTorch's binary_cross_entropy_with_logits with pos_weight = Positive.
// Logarithms of probabilities are taken from the logits, in float64. Labels lie in [0, 1]; another value is an error of the run. The
// gradient of the logits is
//
//	w·(Positive·y·(1 − p)^γ·(γ·p·log p − (1 − p)) − Negative·(1 − y)·p^γ·(γ·(1 − p)·log(1 − p) − p))/N
//
// and zero in padding rows. Labels and weights have none.
func Focal(logits *G.Node, o FocalOptions, t Target) (*G.Node, error) {
	if !(o.Positive > 0 && o.Negative > 0 && o.Gamma >= 0) || math.IsInf(o.Positive+o.Negative+o.Gamma, 0) {
		return nil, errors.New("ops: focal: want factors above 0 and a gamma of 0 or more")
	}
	return rowLoss{
		name: "focal", what: "logit", cost: 2 * bceCost, label: isShare, want: wantShare,
		loss: func(x [][]float32, r int) float64 {
			z, y := float64(x[0][r]), float64(x[1][r])
			one, zero := logSigmoid(z), logSigmoid(-z)
			return -o.Positive*y*math.Exp(o.Gamma*zero)*one - o.Negative*(1-y)*math.Exp(o.Gamma*one)*zero
		},
		slope: func(x [][]float32, r int) float64 {
			z, y := float64(x[0][r]), float64(x[1][r])
			one, zero := logSigmoid(z), logSigmoid(-z)
			p, q := math.Exp(one), math.Exp(zero)
			return o.Positive*y*math.Exp(o.Gamma*zero)*(o.Gamma*p*one-q) - o.Negative*(1-y)*math.Exp(o.Gamma*one)*(o.Gamma*q*zero-p)
		},
	}.apply(t, logits)
}
