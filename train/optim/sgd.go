package optim

import (
	"errors"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/ops/kernel"
)

func init() { Types.Register("sgd", SGD{}) }

// SGD is stochastic gradient descent, as torch.optim.SGD computes it without dampening:
//
//	g += weight_decay·w;  b = momentum·b + g;  w −= lr·b        (Nesterov: w −= lr·(g + momentum·b))
type SGD struct {
	Momentum    float64 `yaml:"momentum"`     // in [0, 1); 0 keeps no state
	Nesterov    bool    `yaml:"nesterov"`     // look ahead; needs momentum
	WeightDecay float64 `yaml:"weight_decay"` // L2: times w, added to the gradient
}

// New implements [Options].
func (o SGD) New() *Optimizer { return newOptimizer("sgd", &sgd{SGD: o}, o.WeightDecay, 0) }

// Validate implements the check of a config section.
func (o SGD) Validate() error {
	err := errors.Join(registry.InBelow("momentum", o.Momentum, 0, 1), registry.AtLeast("weight_decay", o.WeightDecay, 0))
	if o.Nesterov && o.Momentum == 0 {
		err = errors.Join(err, registry.Field("nesterov", "needs a momentum above 0"))
	}
	return err
}

type sgd struct {
	SGD
	lr float64
}

func (s *sgd) slots() ([]string, float32) {
	if s.Momentum == 0 {
		return nil, 0
	}
	return []string{"momentum_buffer"}, 0
}

func (s *sgd) step(_ int64, lr float64, _ bool) { s.lr = lr }

func (s *sgd) update(w, g []float32, st *slots, _ float64) {
	if !s.Nesterov {
		kernel.SGD(w, g, st[0], s.lr, s.Momentum) // st[0] is nil without momentum
		return
	}
	// The conversions keep a product and a sum from being fused, which some machines do and others do not.
	lr, mu := float32(s.lr), float32(s.Momentum)
	for i, b := range st[0] {
		b = float32(mu*b) + g[i]
		st[0][i] = b
		w[i] -= float32(lr * (g[i] + float32(mu*b)))
	}
}
