package ctr

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// MMoE is a multi-gate mixture of experts: each task has a tower over a mean of experts that all tasks share, weighted by a gate of its own
// (Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018, eq. 6 to 8).
type MMoE struct {
	NumExperts        int   `yaml:"num_experts"`         // experts that all tasks share
	ExpertHiddenUnits []int `yaml:"expert_hidden_units"` // units of the hidden layers of each expert
	GateHiddenUnits   []int `yaml:"gate_hidden_units"`   // units of the hidden layers of each task's gate; empty: a linear layer alone, as in the paper
	TaskTowers        `yaml:",inline"`
}

func init() {
	models.Register("mmoe", MMoE{NumExperts: 4, ExpertHiddenUnits: []int{256, 128}, TaskTowers: towers})
}

// Validate reports every option out of range.
func (m MMoE) Validate() error {
	return m.validate(registry.In("num_experts", m.NumExperts, 1, 1024), units("expert_hidden_units", m.ExpertHiddenUnits, 1),
		units("gate_hidden_units", m.GateHiddenUnits, 0))
}

// Build returns the tasks' logits side by side, [B, outputs].
func (m MMoE) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	x := in.Embeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	experts := nn.ExpertsOf(s.Sub("experts"), x, m.NumExperts, m.layers(s, m.ExpertHiddenUnits))
	return m.logits(s, in, func(task int) *G.Node {
		return nn.Mix(s.Sub("gates").Sub(fmt.Sprint(task)), x, m.layers(s, m.GateHiddenUnits), experts)
	})
}
