package ctr

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// PLE is progressive layered extraction: in each layer, a task has experts of its own beside those that all tasks share, and a gate over
// both; a gate over all experts leads to the shared ones of the next layer (Tang et al., "Progressive Layered Extraction (PLE): A Novel
// Multi-Task Learning (MTL) Model for Personalized Recommendations", RecSys 2020, section 4.2). With one layer it is CGC (section 4.1).
type PLE struct {
	NumLayers          int   `yaml:"num_layers"`           // extraction layers
	NumSharedExperts   int   `yaml:"num_shared_experts"`   // experts of each layer that all tasks share
	NumSpecificExperts int   `yaml:"num_specific_experts"` // experts of each layer and task
	ExpertHiddenUnits  []int `yaml:"expert_hidden_units"`  // units of the hidden layers of each expert
	GateHiddenUnits    []int `yaml:"gate_hidden_units"`    // units of the hidden layers of each gate; empty: a linear layer alone, as in the paper
	TaskTowers         `yaml:",inline"`
}

func init() {
	models.Register("ple", PLE{NumLayers: 1, NumSharedExperts: 2, NumSpecificExperts: 2, ExpertHiddenUnits: []int{256, 128}, TaskTowers: towers})
}

// Validate reports every option out of range.
func (m PLE) Validate() error {
	return m.validate(registry.In("num_layers", m.NumLayers, 1, 64), registry.In("num_shared_experts", m.NumSharedExperts, 1, 1024),
		registry.In("num_specific_experts", m.NumSpecificExperts, 1, 1024), units("expert_hidden_units", m.ExpertHiddenUnits, 1),
		units("gate_hidden_units", m.GateHiddenUnits, 0))
}

// Build returns the tasks' logits side by side, [B, outputs].
func (m PLE) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	shared := in.Embeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	tasks := make(G.Nodes, len(outputsOf(in)))
	for k := range tasks {
		tasks[k] = shared
	}
	for i := range m.NumLayers {
		l := s.Sub("layers").Sub(fmt.Sprint(i))
		all := make([]*nn.Experts, len(tasks))
		for k, x := range tasks {
			all[k] = nn.ExpertsOf(l.Sub("experts").Sub(fmt.Sprint(k)), x, m.NumSpecificExperts, m.layers(s, m.ExpertHiddenUnits))
		}
		common := nn.ExpertsOf(l.Sub("shared_experts"), shared, m.NumSharedExperts, m.layers(s, m.ExpertHiddenUnits))
		for k, x := range tasks {
			tasks[k] = nn.Mix(l.Sub("gates").Sub(fmt.Sprint(k)), x, m.layers(s, m.GateHiddenUnits), all[k], common)
		}
		if i+1 < m.NumLayers {
			shared = nn.Mix(l.Sub("shared_gate"), shared, m.layers(s, m.GateHiddenUnits), append(all, common)...)
		}
	}
	return m.logits(s, in, func(task int) *G.Node { return tasks[task] })
}
