package optim

import (
	"errors"
	"math"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/ops/kernel"
)

func init() { Types.Register("rmsprop", RMSProp{Alpha: 0.99, Eps: 1e-8}) }

// RMSProp is the optimizer of Tieleman and Hinton (2012), as torch.optim.RMSprop computes it:
//
//	g += weight_decay·w;  v = alpha·v + (1−alpha)·g²;  w −= lr·g / (√v + eps)
//
// Centered takes a running mean a of g out of the variance, which makes the root √(v − a²) with a = alpha·a + (1−alpha)·g. With
// momentum the quotient q goes through a buffer: b = momentum·b + q, w −= lr·b.
type RMSProp struct {
	Alpha       float64 `yaml:"alpha"`        // decay of the mean of squares, in [0, 1)
	Eps         float64 `yaml:"eps"`          // added to the denominator
	WeightDecay float64 `yaml:"weight_decay"` // L2: times w, added to the gradient
	Momentum    float64 `yaml:"momentum"`     // of the update, in [0, 1)
	Centered    bool    `yaml:"centered"`     // divide by an estimate of the standard deviation
}

// New implements [Options].
func (o RMSProp) New() *Optimizer {
	return newOptimizer("rmsprop", &rmsprop{RMSProp: o}, o.WeightDecay, 0)
}

// Validate implements the check of a config section.
func (o RMSProp) Validate() error {
	return errors.Join(registry.InBelow("alpha", o.Alpha, 0, 1), registry.AtLeast("eps", o.Eps, 0),
		registry.AtLeast("weight_decay", o.WeightDecay, 0),
		registry.InBelow("momentum", o.Momentum, 0, 1))
}

type rmsprop struct {
	RMSProp
	lr float64
}

func (r *rmsprop) slots() ([]string, float32) {
	names := []string{"square_avg"}
	if r.Momentum > 0 {
		names = append(names, "momentum_buffer")
	}
	if r.Centered {
		names = append(names, "grad_avg")
	}
	return names, 0
}

func (r *rmsprop) step(_ int64, lr float64, _ bool) { r.lr = lr }

func (r *rmsprop) update(w, g []float32, s *slots, _ float64) {
	if r.Momentum == 0 && !r.Centered {
		kernel.RMSProp(w, g, s[0], r.lr, r.Alpha, r.Eps)
		return
	}
	var buf, mean []float32
	if r.Momentum > 0 {
		buf = s[1]
	}
	if r.Centered {
		mean = s[1]
		if buf != nil {
			mean = s[2]
		}
	}
	// The conversions keep a product and a sum from being fused, which some machines do and others do not.
	alpha, beta, eps, mu, lr := float32(r.Alpha), float32(1-r.Alpha), float32(r.Eps), float32(r.Momentum), float32(r.lr)
	for i, v := range s[0] {
		q := g[i]
		v = float32(alpha*v) + float32(float32(q*beta)*q)
		s[0][i] = v
		if mean != nil {
			a := mean[i] + float32(beta*(q-mean[i]))
			mean[i] = a
			v -= float32(a * a)
		}
		q /= float32(math.Sqrt(float64(v))) + eps
		if buf != nil {
			q += float32(mu * buf[i])
			buf[i] = q
		}
		w[i] -= float32(lr * q)
	}
}
