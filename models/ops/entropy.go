package ops

import "math"

// maxBins is the largest number of bins that take no memory.
const maxBins = 64

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
	var edges [maxBins + 1]float32
	var counts [maxBins + 1]int
	edge, count := edges[:], counts[:] // the last count is of what falls in no bin
	if bins > maxBins {
		edge, count = make([]float32, bins+1), make([]int, bins+1)
	}
	edge = edge[:bins+1]
	for i := range edge {
		step := float32(float32(i) * d) // rounded before the sum, on machines that fuse both, too
		edge[i] = lo + step
	}
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
