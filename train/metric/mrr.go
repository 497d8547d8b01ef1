package metric

func init() {
	Register("mrr", Kind{New: newMRR, Cutoff: true, Ties: true, Better: Higher, Groups: true, Reads: Logit | Ranks, Needs: APositive})
}

// newMRR makes mrr@k: 1/r of the rank r of the first positive, 0 if it is not among the first k.
func newMRR(name string, k int) Metric {
	inverse := func(place int) float64 { return 1 / float64(place+1) }
	return newRanking(name, k, func(r *ranked, k int) (v float64, ok bool) {
		r.first(func(place int, p float64) {
			ok = true
			if place < k {
				v += p * inverse(place)
			}
		})
		return v, ok
	}, func(p Place, k int) float64 { return p.mean(k, inverse) })
}
