package ctr

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// SharedBottom is a tower that all tasks share, below a tower of each (Caruana 1997).
type SharedBottom struct {
	BottomHiddenUnits []int `yaml:"bottom_hidden_units"` // units of the hidden layers that all tasks share
	TaskTowers        `yaml:",inline"`
}

func init() {
	models.Register("shared_bottom", SharedBottom{BottomHiddenUnits: []int{400, 400}, TaskTowers: towers})
}

// Validate reports every option out of range.
func (m SharedBottom) Validate() error {
	return m.validate(units("bottom_hidden_units", m.BottomHiddenUnits, 1))
}

// Build returns the tasks' logits side by side, [B, outputs].
func (m SharedBottom) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	e := in.Embeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	x := nn.MLP(s.Sub("bottom"), e, m.layers(s, m.BottomHiddenUnits))
	return m.logits(s, in, func(int) *G.Node { return x })
}
