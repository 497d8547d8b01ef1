package metric

func init() {
	Register("ndcg", Kind{New: newNDCG, Cutoff: true, Ties: true, Better: Higher, Groups: true, Reads: Logit | Ranks, Needs: APositive})
}

// newNDCG makes ndcg@k: Σ_{ranks r ≤ k} y_r/log2(r+1), over the same of the ideal order.
func newNDCG(name string, k int) Metric {
	return newRanking(name, k, func(r *ranked, k int) (float64, bool) {
		var dcg, ideal float64
		r.blocks(func(before, rows, positives int) bool {
			for i := before; i < before+rows && i < k; i++ {
				dcg += gain(i) * float64(positives) / float64(rows)
			}
			return before+rows < k
		})
		n := r.positives()
		for i := range min(n, k) {
			ideal += gain(i)
		}
		if n == 0 {
			return 0, false
		}
		return dcg / ideal, true
	}, func(p Place, k int) float64 { return p.mean(k, gain) })
}
