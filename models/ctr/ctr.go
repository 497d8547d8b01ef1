// Package ctr holds models that predict click-through rates, one in a file. Their definitions and the names of their options are
// FuxiCTR's (Zhu et al., BARS, SIGIR 2022). A model returns one logit for each row, or one for each of several labels and classes.
package ctr

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/nn"
)

// Tower holds the options of a deep part.
type Tower struct {
	HiddenUnits []int `yaml:"hidden_units"` // units of the hidden layers
	// after each hidden layer: relu, tanh, sigmoid, dice, prelu or none; or a list with one for each, such as [relu, dice]
	HiddenActivations nn.Activations `yaml:"hidden_activations"`
	NetDropout        float64        `yaml:"net_dropout"` // dropped share of each hidden layer's outputs, in [0, 1)
	BatchNorm         bool           `yaml:"batch_norm"`  // normalise between the linear map and the activation
}

var tower = Tower{HiddenUnits: []int{400, 400, 400}, HiddenActivations: "relu"}

// Validate reports every option out of range.
func (t Tower) Validate() error { return t.validate("", "net_dropout") }

// validate is Validate of a tower whose keys have a prefix, and of which dropout is another key.
func (t Tower) validate(prefix, dropout string) error {
	var errs []error
	for _, n := range t.HiddenUnits {
		if n < 1 {
			errs = append(errs, registry.Field(prefix+"hidden_units", "a layer needs at least 1 unit"))
			break
		}
	}
	if len(t.HiddenUnits) == 0 {
		errs = append(errs, registry.Field(prefix+"hidden_units", "give at least one hidden layer, such as [400, 400]"))
	}
	if _, err := t.HiddenActivations.Parse(len(t.HiddenUnits)); err != nil {
		errs = append(errs, registry.Field(prefix+"hidden_activations", "%v", err))
	}
	return errors.Join(append(errs, registry.InBelow(dropout, t.NetDropout, 0, 1))...)
}

// optional is Validate of a tower that a model may go without: it has no hidden layers then.
func (t Tower) optional() error {
	if len(t.HiddenUnits) == 0 {
		t.HiddenUnits = []int{1}
	}
	return t.Validate()
}

// normEps is what PyTorch's layer norms add to a variance.
const normEps = 1e-5

// mlp builds the tower, with a linear layer of output units at its end if output is above 0.
func (t Tower) mlp(s *nn.Scope, x *G.Node, output int) *G.Node {
	acts, err := t.HiddenActivations.Parse(len(t.HiddenUnits))
	if err != nil {
		s.Fail(err)
		return nil
	}
	return nn.MLP(s, x, nn.MLPOptions{
		Hidden: t.HiddenUnits, Each: acts, Dropout: t.NetDropout, BatchNorm: t.BatchNorm, Output: output,
	})
}
