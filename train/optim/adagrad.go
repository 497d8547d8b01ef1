package optim

import (
	"errors"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/ops/kernel"
)

func init() { Types.Register("adagrad", Adagrad{Eps: 1e-10}) }

// Adagrad is the optimizer of Duchi, Hazan and Singer (2011), as torch.optim.Adagrad computes it:
//
//	g += weight_decay·w;  sum += g²;  w −= lr/(1 + (t−1)·lr_decay) · g / (√sum + eps)
type Adagrad struct {
	LRDecay                 float64 `yaml:"lr_decay"`                  // decay of the learning rate a step
	WeightDecay             float64 `yaml:"weight_decay"`              // L2: times w, added to the gradient
	InitialAccumulatorValue float64 `yaml:"initial_accumulator_value"` // what the sum of squares starts with
	Eps                     float64 `yaml:"eps"`                       // added to the denominator
}

// New implements [Options].
func (o Adagrad) New() *Optimizer {
	return newOptimizer("adagrad", &adagrad{Adagrad: o}, o.WeightDecay, 0)
}

// Validate implements the check of a config section.
func (o Adagrad) Validate() error {
	return errors.Join(registry.AtLeast("lr_decay", o.LRDecay, 0), registry.AtLeast("weight_decay", o.WeightDecay, 0),
		registry.AtLeast("initial_accumulator_value", o.InitialAccumulatorValue, 0), registry.AtLeast("eps", o.Eps, 0))
}

type adagrad struct {
	Adagrad
	lr float64
}

func (a *adagrad) slots() ([]string, float32) {
	return []string{"sum"}, float32(a.InitialAccumulatorValue)
}

func (a *adagrad) step(t int64, lr float64, _ bool) {
	a.lr = lr / (1 + float64(t-1)*a.LRDecay)
}

func (a *adagrad) update(w, g []float32, s *slots, _ float64) {
	kernel.Adagrad(w, g, s[0], a.lr, a.Eps)
}
