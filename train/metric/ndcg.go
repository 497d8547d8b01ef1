package metric

import "math"

func init() {
	Register("ndcg", Kind{New: newNDCG, Cutoff: true, Better: Higher, Groups: true, Reads: Logit, Needs: APositive})
}

// newNDCG makes ndcg@k: Σ_{ranks r ≤ k} y_r/log2(r+1), over the same of the ideal order.
func newNDCG(name string, k int) Metric {
	return newGrouped(name, "a positive", func(keys []uint64) (float64, float64) {
		var dcg, ideal float64
		positives := 0
		for i := range keys {
			x := keys[len(keys)-1-i]
			if x&1 == 1 {
				continue
			}
			if i < k {
				dcg += 1 / math.Log2(float64(i+2))
			}
			if positives < k {
				ideal += 1 / math.Log2(float64(positives+2))
			}
			positives++
		}
		if positives == 0 {
			return 0, 0
		}
		return dcg / ideal, 1
	})
}
