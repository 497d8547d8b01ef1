package ctr

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// TaskTowers holds the options that models of several tasks share. A task's tower gives one logit, or one for each class of its label.
type TaskTowers struct {
	EmbeddingDim      int     `yaml:"embedding_dim"`      // width of each feature's embedding
	TowerHiddenUnits  []int   `yaml:"tower_hidden_units"` // units of the hidden layers of each task's tower; empty: a linear layer alone
	HiddenActivations string  `yaml:"hidden_activations"` // after each hidden layer: relu, tanh, sigmoid or none
	NetDropout        float64 `yaml:"net_dropout"`        // dropped share of each hidden layer's outputs, in [0, 1)
}

var towers = TaskTowers{EmbeddingDim: 16, TowerHiddenUnits: []int{64}, HiddenActivations: "relu"}

// validate reports every option out of range, beside what else is wrong with a model.
func (t TaskTowers) validate(errs ...error) error {
	errs = append(errs, registry.AtLeast("embedding_dim", t.EmbeddingDim, 1), units("tower_hidden_units", t.TowerHiddenUnits, 0),
		registry.InBelow("net_dropout", t.NetDropout, 0, 1))
	if _, err := nn.ParseAct(t.HiddenActivations); err != nil {
		errs = append(errs, registry.Field("hidden_activations", err.Error()))
	}
	return errors.Join(errs...)
}

// units reports hidden layers that cannot be, or fewer than least.
func units(key string, layers []int, least int) error {
	for i, n := range layers {
		if n < 1 {
			return registry.Field(fmt.Sprintf("%s.%d", key, i), "a layer needs at least 1 unit")
		}
	}
	if len(layers) < least {
		return registry.Field(key, "give at least one hidden layer, such as [64]")
	}
	return nil
}

// layers returns the options of a tower of hidden layers.
func (t TaskTowers) layers(s *nn.Scope, hidden []int) nn.MLPOptions {
	act, err := nn.ParseAct(t.HiddenActivations)
	s.Fail(err)
	return nn.MLPOptions{Hidden: hidden, Activation: act, Dropout: t.NetDropout}
}

// logits returns the logits of all tasks side by side, [B, outputs], by towers over what of returns for each task. The towers are towers.0
// and so on, in the order of the labels.
func (t TaskTowers) logits(s *nn.Scope, in *models.Inputs, of func(task int) *G.Node) *G.Node {
	outputs := outputsOf(in)
	parts := make(G.Nodes, len(outputs))
	for k, n := range outputs {
		o := t.layers(s, t.TowerHiddenUnits)
		o.Output = n
		parts[k] = nn.MLP(s.Sub("towers").Sub(fmt.Sprint(k)), of(k), o)
	}
	return nn.Concat(s, parts...)
}

// outputsOf returns how many logits each task has, in the order of the labels.
func outputsOf(in *models.Inputs) []int {
	if len(in.Schema.Labels) == 0 {
		return []int{1}
	}
	var list []int
	for _, l := range in.Schema.Labels {
		list = append(list, l.Outputs())
	}
	return list
}
