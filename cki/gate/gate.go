// Package gate computes the model-level weights of parents from the entropies of their weights, in closed form.
package gate

import "math"

// Entropy returns the histogram entropy of w in nats, with `bins` equal bins between its minimum m and maximum M:
//
//	p_i = #{x in w: e_i <= x < e_(i+1)} / len(w),  e_i = m + i·(M - m)/bins
//	H   = -sum_i p_i ln p_i                                 (Meng et al. 2020, section 3.2)
//
// Bins are half-open, so the maximum falls in none, unless the last edge is rounded above it. Edges are float32, as in the published
// computation, so that the numbers are those of the paper. H is 0 for fewer than two distinct values, and for bins below 1.
func Entropy(w []float32, bins int) float64 {
	if len(w) == 0 || bins < 1 {
		return 0
	}
	lo, hi := w[0], w[0]
	for _, x := range w {
		lo, hi = min(lo, x), max(hi, x)
	}
	d := (hi - lo) / float32(bins)
	if d > math.MaxFloat32 { // the difference overflows
		d = hi/float32(bins) - lo/float32(bins)
	}
	if !(d > 0) {
		return 0
	}
	edge := make([]float32, bins+1)
	for i := range edge {
		step := float32(float32(i) * d) // rounded before the sum, on machines that fuse both, too
		edge[i] = lo + step
	}
	count := make([]int, bins+1) // the last one is of what falls in no bin
	for _, x := range w {
		i := min(bins, int((float64(x)-float64(lo))/float64(d)))
		for x < edge[i] {
			i--
		}
		for i < bins && x >= edge[i+1] {
			i++
		}
		count[i]++
	}
	var h float64
	for _, n := range count[:bins] {
		if n > 0 {
			p := float64(n) / float64(len(w))
			h -= p * math.Log(p)
		}
	}
	return h
}

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
