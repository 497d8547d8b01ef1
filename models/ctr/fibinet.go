package ctr

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// FiBiNET is linear terms plus a tower over bilinear products of pairs of embeddings, and of the same embeddings weighted by what a
// squeeze-excitation network holds of each (Huang et al., "FiBiNET: Combining Feature Importance and Bilinear feature Interaction for
// Click-Through Rate Prediction", RecSys 2019, arXiv:1905.09433, sections 3.3 to 3.6):
//
//	linear + tower([p, q]),  p_ij = (W·e_i) ⊙ e_j,  q_ij = (W'·v_i) ⊙ v_j,  v_i = a_i·e_i,  a = relu(W_2·relu(W_1·z))
//
// for i < j, where z_i is the mean of e_i.
type FiBiNET struct {
	EmbeddingDim   int    `yaml:"embedding_dim"`   // width of each feature's embedding
	ReductionRatio int    `yaml:"reduction_ratio"` // columns for each unit between W_1 and W_2, of which there is at least one
	BilinearType   string `yaml:"bilinear_type"`   // field_all: one W; field_each: one for each i; field_interaction: one for each pair
	Tower          `yaml:",inline"`
}

func init() {
	models.Register("fibinet", FiBiNET{EmbeddingDim: 10, ReductionRatio: 3, BilinearType: string(nn.FieldInteraction), Tower: tower})
}

// Validate reports every option out of range.
func (m FiBiNET) Validate() error {
	return errors.Join(
		registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), registry.AtLeast("reduction_ratio", m.ReductionRatio, 1),
		registry.OneOf("bilinear_type", m.BilinearType, string(nn.FieldAll), string(nn.FieldEach), string(nn.FieldInteraction)), m.Tower.Validate(),
	)
}

// Build returns the logits, [B, 1].
func (m FiBiNET) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	d, kind := m.EmbeddingDim, nn.Bilinear(m.BilinearType)
	e := in.EqualEmbeddings(s, "embedding", d) // [B, F·D]
	v := nn.SqueezeExcite(s.Sub("senet"), e, d, max(1, len(in.Schema.Features)/m.ReductionRatio))
	p, q := nn.BilinearPairs(s.Sub("bilinear"), e, d, kind), nn.BilinearPairs(s.Sub("senet_bilinear"), v, d, kind)
	return nn.Add(s, in.Linear(s, "linear"), m.mlp(s.Sub("mlp"), nn.Concat(s, p, q), 1))
}
