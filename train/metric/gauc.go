package metric

func init() {
	Register("gauc", Kind{New: newGAUC, Better: Higher, Groups: true, Reads: Logit, Needs: GroupBoth})
	Register("user_auc", Kind{New: newUserAUC, Better: Higher, Groups: true, Reads: Logit, Needs: GroupBoth})
}

// newGAUC makes gauc: the AUC, weighted by the rows of the group (Zhou et al. 2018, DIN, eq. 7, by impressions).
func newGAUC(name string, _ int) Metric {
	return newGrouped(name, "both classes", func(keys []uint64) (float64, float64) {
		v, ok := groupAUC(keys)
		if !ok {
			return 0, 0
		}
		return v, float64(len(keys))
	})
}

// newUserAUC makes user_auc: the AUC, each group counting the same.
func newUserAUC(name string, _ int) Metric {
	return newGrouped(name, "both classes", func(keys []uint64) (float64, float64) {
		v, ok := groupAUC(keys)
		if !ok {
			return 0, 0
		}
		return v, 1
	})
}

func groupAUC(keys []uint64) (float64, bool) {
	var r ranks
	for _, k := range keys {
		r.add(k)
	}
	return r.auc()
}
