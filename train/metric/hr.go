package metric

func init() {
	Register("hr", Kind{New: newHR, Cutoff: true, Ties: true, Better: Higher, Groups: true, Reads: Logit | Ranks, Needs: APositive})
}

// newHR makes hr@k: 1 if a positive is among the first k, else 0.
func newHR(name string, k int) Metric {
	return newRanking(name, k, func(r *ranked, k int) (v float64, ok bool) {
		r.first(func(place int, p float64) {
			ok = true
			if place < k {
				v += p
			}
		})
		return v, ok
	}, func(p Place, k int) float64 { return p.mean(k, one) })
}
