package schedule

func init() { Types.Register("constant", Constant{}) }

// Constant keeps the rate. It is lr·s/warm at step s of the warm-up, then lr (Hugging Face's constant_with_warmup).
type Constant struct {
	Warmup `yaml:",inline"`
}

// New implements [Options].
func (o Constant) New(lr float64, _ bool) Schedule {
	return pure(func(p Progress) float64 {
		if r, ok := o.rise(p); ok {
			return lr * r
		}
		return lr
	})
}
