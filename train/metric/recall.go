package metric

func init() {
	Register("recall", Kind{New: newRecall, Cutoff: true, Ties: true, Better: Higher, Groups: true, Reads: Logit | Ranks, Needs: APositive})
}

// newRecall makes recall@k: the share of the positives that are among the first k.
func newRecall(name string, k int) Metric {
	return newRanking(name, k, func(r *ranked, k int) (float64, bool) {
		var hits float64
		r.blocks(func(before, rows, positives int) bool {
			hits += float64(positives) * float64(min(rows, k-before)) / float64(rows)
			return before+rows < k
		})
		n := r.positives()
		if n == 0 {
			return 0, false
		}
		return hits / float64(n), true
	}, func(p Place, k int) float64 { return p.mean(k, one) })
}
