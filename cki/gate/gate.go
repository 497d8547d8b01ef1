// Package gate computes the model-level weights of parents from the entropies of their weights, in closed form.
package gate

import (
	"math"

	"github.com/splice-ml/splice/models/ops"
)

// Entropy is [ops.Entropy].
func Entropy(w []float32, bins int) float64 { return ops.Entropy(w, bins) }

// Global returns the weights of K parents with entropies h, which sum to 1:
//
//	g_k = 1/K + 2a/(π·K·(K-1)) · sum_{j != k} atan(c·(h_k - h_j))
//
// Each pair's term enters once with either sign, so the terms cancel in the sum over k. For K = 2 this is the published gate
// g_A = a/π·atan(c·(h_A - h_B)) + 1/2, g_B = 1 - g_A (Meng et al. 2020, eq. 6). Each g_k lies in ((1-a)/K, (1+a)/K), so it is
// positive for a <= 1. A parent alone gets 1.
func Global(h []float64, a, c float64) []float64 {
	k := float64(len(h))
	g := make([]float64, len(h))
	for i, x := range h {
		if len(h) == 1 {
			g[i] = 1
			break
		}
		var sum float64
		for j, y := range h {
			if j != i {
				sum += math.Atan(c * (x - y))
			}
		}
		g[i] = 2/(k*(k-1))*(a/math.Pi*sum) + 1/k
	}
	if len(h) == 2 {
		g[1] = 1 - g[0]
	}
	return g
}
