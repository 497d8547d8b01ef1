package schedule

func init() { Types.Register("linear", Linear{}) }

// Linear lets the rate fall to 0 at the last step: lr·(total − s) / (total − warm) after the warm-up.
type Linear struct {
	Warmup `yaml:",inline"`
}

// New implements [Options].
func (o Linear) New(lr float64, _ bool) Schedule {
	return pure(func(p Progress) float64 {
		if r, ok := o.rise(p); ok {
			return lr * r
		}
		return lr * max(0, float64(p.Total-p.Step)/float64(max(1, p.Total-o.steps(p.Total))))
	})
}
