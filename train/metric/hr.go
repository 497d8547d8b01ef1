package metric

func init() {
	Register("hr", Kind{New: newHR, Cutoff: true, Better: Higher, Groups: true, Reads: Logit, Needs: APositive})
}

// newHR makes hr@k: 1 if a positive is among the first k, else 0.
func newHR(name string, k int) Metric {
	return newGrouped(name, "a positive", func(keys []uint64) (float64, float64) {
		for i := range keys {
			if keys[len(keys)-1-i]&1 == 1 {
				continue
			}
			if i < k {
				return 1, 1
			}
			return 0, 1
		}
		return 0, 0
	})
}
