package nn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// Activation is what comes after a layer: a function, or one that has parameters.
type Activation struct {
	Act   kernel.Act
	Dice  bool // Dice comes after it
	PReLU bool // PReLU comes after it
}

// ParseActivation returns the activation of a name: those of [ParseAct], dice and prelu.
func ParseActivation(name string) (Activation, error) {
	switch name {
	case "dice", "Dice":
		return Activation{Dice: true}, nil
	case "prelu", "PReLU":
		return Activation{PReLU: true}, nil
	}
	act, err := ParseAct(name)
	if err != nil {
		err = fmt.Errorf("unknown activation %q: want none, relu, tanh, sigmoid, dice or prelu", name)
	}
	return Activation{Act: act}, err
}

// Activations are the names of the activations of a tower's layers: one for all, or one for each, separated by commas. In a config they may
// be a list.
type Activations string

// UnmarshalText takes the names as they are; [Activations.Parse] looks at them.
func (a *Activations) UnmarshalText(text []byte) error {
	*a = Activations(text)
	return nil
}

// MarshalText returns the names.
func (a Activations) MarshalText() ([]byte, error) { return []byte(a), nil }

// Listed says that a config may have a list of names.
func (Activations) Listed() {}

// Parse returns the activation of each of so many layers.
func (a Activations) Parse(layers int) ([]Activation, error) {
	names := strings.Split(string(a), ",")
	each := make([]Activation, len(names))
	for i, name := range names {
		var err error
		if each[i], err = ParseActivation(strings.TrimSpace(name)); err != nil {
			return nil, err
		}
	}
	if len(each) == 1 {
		return slices.Repeat(each, layers), nil
	}
	if len(each) != layers {
		return nil, fmt.Errorf("has %d activations for %d layers; want one for all, or one for each", len(each), layers)
	}
	return each, nil
}

// PReLU returns max(x, 0) + alpha ⊙ min(x, 0), [B, C] → [B, C] (He et al. 2015). The parameter is alpha, a slope for each column that starts at
// 0.1, as in FuxiCTR.
func PReLU(s *Scope, x *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	alpha := s.Param("alpha", Constant(0.1), x.Shape()[1])
	if s.Err() != nil {
		return nil
	}
	return s.scaled(x, s.Check(ops.PReLU(x, alpha)), "alpha")
}
