package schedule

import (
	"errors"
	"math"

	"github.com/splice-ml/splice/configs/registry"
)

func init() { Types.Register("cosine", Cosine{NumCycles: 0.5}) }

// Cosine lets the rate fall along a cosine after the warm-up (Loshchilov and Hutter 2017): lr·½(1 + cos(2π·cycles·d)), where d in
// [0, 1] is the share of the steps after the warm-up that is over. Half a cycle ends at 0.
type Cosine struct {
	Warmup    `yaml:",inline"`
	NumCycles float64 `yaml:"num_cycles"`  // waves of the cosine; 0.5 falls once, to the end
	MinLRRate float64 `yaml:"min_lr_rate"` // the lowest rate as a part of train.learning_rate, in [0, 1]
}

// New implements [Options].
func (o Cosine) New(lr float64, _ bool) Schedule {
	return pure(func(p Progress) float64 {
		if r, ok := o.rise(p); ok {
			return lr * r
		}
		f := 0.5 * (1 + math.Cos(2*math.Pi*o.NumCycles*o.done(p)))
		return lr * max(0, f*(1-o.MinLRRate)+o.MinLRRate)
	})
}

// Validate implements the check of a config section.
func (o Cosine) Validate() error {
	return errors.Join(o.Warmup.Validate(), registry.Above("num_cycles", o.NumCycles, 0), registry.In("min_lr_rate", o.MinLRRate, 0, 1))
}
