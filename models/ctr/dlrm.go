package ctr

import (
	"errors"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// DLRM is a tower over the interactions of embeddings with the output of another tower over the numeric columns (Naumov et al., "Deep Learning
// Recommendation Model for Personalization and Recommendation Systems", 2019, arXiv:1906.00091, section 2.1.4):
//
//	top([z, ⟨v_i, v_j⟩ for i < j]),  z = bottom(numbers),  v = [z, embeddings]
//
// bottom has an activation after its last layer too, whose width is embedding_dim, and no dropout. The numbers enter as they are, those of vectors among them.
// Without numeric columns there is no z. With interaction: cat the top tower reads v itself.
type DLRM struct {
	EmbeddingDim      int    `yaml:"embedding_dim"`       // width of each embedding, and of the bottom tower's output
	BottomHiddenUnits []int  `yaml:"bottom_hidden_units"` // units of the layers below the output of the bottom tower; empty: a single layer
	Interaction       string `yaml:"interaction"`         // dot: inner products of all pairs; cat: none
	Tower             `yaml:",inline"`
}

func init() {
	models.Register("dlrm", DLRM{
		EmbeddingDim: 16, BottomHiddenUnits: []int{512, 256, 64}, Interaction: "dot",
		Tower: Tower{HiddenUnits: []int{512, 256}, HiddenActivations: "relu"},
	})
}

// Validate reports every option out of range.
func (m DLRM) Validate() error {
	errs := []error{
		registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), units("bottom_hidden_units", m.BottomHiddenUnits, 0),
		registry.OneOf("interaction", m.Interaction, "dot", "cat"), m.Tower.Validate(),
	}
	if _, err := m.bottom().HiddenActivations.Parse(len(m.BottomHiddenUnits) + 1); err != nil {
		errs = append(errs, registry.Field("hidden_activations", "of the bottom tower, which has one layer more than bottom_hidden_units: %v", err))
	}
	return errors.Join(errs...)
}

// bottom is the tower over the numeric columns.
func (m DLRM) bottom() Tower {
	t := m.Tower
	t.HiddenUnits, t.NetDropout = append(slices.Clone(m.BottomHiddenUnits), m.EmbeddingDim), 0
	return t
}

// Build returns the logits, [B, outputs].
func (m DLRM) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	var v, x []*G.Node
	if numbers := in.Numbers(s, "numbers"); numbers != nil {
		z := m.bottom().mlp(s.Sub("bottom"), numbers, 0) // [B, D]
		v, x = append(v, z), append(x, z)
	}
	if e := in.EqualTokens(s, "embedding", m.EmbeddingDim); e != nil {
		v = append(v, e)
	}
	all := nn.Concat(s, v...) // [B, F·D]
	if m.Interaction == "cat" {
		return m.mlp(s.Sub("mlp"), all, in.Schema.Outputs())
	}
	x = append(x, nn.InnerPairs(s, all, m.EmbeddingDim))
	return m.mlp(s.Sub("mlp"), nn.Concat(s, x...), in.Schema.Outputs())
}
