package rounds

import (
	"errors"

	"github.com/splice-ml/splice/configs/registry"
)

// Outer is an optimizer that goes by what a round has changed. Its fields are the options of an `outer:` section.
type Outer interface {
	// Momentum reports whether there is a momentum, one number for each weight.
	Momentum() bool
	// Step returns the next value of a weight, from the mean over the workers and the value at the last merge.
	Step(mean, last float64, momentum *float32) float64
}

// Outers holds the outer optimizers by their `type`.
var Outers = registry.New[Outer]("outer")

func init() {
	Outers.Register("none", None{})
	Outers.Register("nesterov", Nesterov{LearningRate: 0.7, Beta: 0.5})
}

// None takes the mean over the workers.
type None struct{}

// Momentum implements [Outer].
func (None) Momentum() bool { return false }

// Step implements [Outer].
func (None) Step(mean, _ float64, _ *float32) float64 { return mean }

// Nesterov is the outer optimizer of DiLoCo (Douillard et al. 2023, arXiv 2311.08105): what a round has changed, d = mean − last, takes
// the place of the negative gradient in torch.optim.SGD with nesterov. DiLoCo's own values are .7 and .9.
//
//	b = momentum·b + d;  next = last + learning_rate·(d + momentum·b)
type Nesterov struct {
	LearningRate float64 `yaml:"learning_rate"` // times what a round has changed
	Beta         float64 `yaml:"momentum"`      // of the changes, in [0, 1)
}

// Validate reports every option out of range.
func (n Nesterov) Validate() error {
	return errors.Join(registry.Above("learning_rate", n.LearningRate, 0), registry.InBelow("momentum", n.Beta, 0, 1))
}

// Momentum implements [Outer].
func (Nesterov) Momentum() bool { return true }

// Step implements [Outer].
func (n Nesterov) Step(mean, last float64, b *float32) float64 {
	d := mean - last
	m := n.Beta*float64(*b) + d
	*b = float32(m)
	return last + n.LearningRate*(d+n.Beta*m)
}
