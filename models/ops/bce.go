package ops

import (
	"math"

	G "gorgonia.org/gorgonia"
)

// BCE is the mean over the live rows of the binary cross-entropy of logits z [B, 1] with labels y [B, 1], a scalar:
//
//	max(z, 0) − z·y + log(1 + exp(−|z|))
//
// times the row's weight. It is summed in float64. Labels lie in [0, 1]; another value is an error of the run. The gradient of the logits
// is w·(σ(z) − y)/N, and zero in padding rows. Labels and weights have none.
func BCE(logits *G.Node, t Target) (*G.Node, error) {
	return rowLoss{
		name: "bce", what: "logit", cost: bceCost, label: isShare, want: wantShare,
		loss: func(x [][]float32, r int) float64 {
			z := float64(x[0][r])
			return max(z, 0) - z*float64(x[1][r]) + math.Log1p(math.Exp(-math.Abs(z)))
		},
		slope: func(x [][]float32, r int) float64 {
			return 1/(1+math.Exp(-float64(x[0][r]))) - float64(x[1][r])
		},
	}.apply(t, logits)
}

// bceCost is about how many additions the exponential and the logarithm of a row take.
const bceCost = 32
