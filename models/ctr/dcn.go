package ctr

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// DCN is a cross network beside a tower, joined by a linear layer (Wang et al. 2017).
type DCN struct {
	EmbeddingDim   int `yaml:"embedding_dim"`    // width of each feature's embedding
	NumCrossLayers int `yaml:"num_cross_layers"` // layers of the cross network
	Tower          `yaml:",inline"`
}

func init() { models.Register("dcn", DCN{EmbeddingDim: 16, NumCrossLayers: 3, Tower: tower}) }

// Validate reports every option out of range.
func (m DCN) Validate() error {
	return errors.Join(registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), registry.AtLeast("num_cross_layers", m.NumCrossLayers, 1),
		m.Tower.Validate())
}

// Build returns the logits, [B, outputs].
func (m DCN) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	e := in.Embeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	c := nn.CrossNet(s.Sub("cross"), e, m.NumCrossLayers)
	h := m.mlp(s.Sub("mlp"), e, 0)
	return nn.Linear(s.Sub("fc"), nn.Concat(s, c, h), in.Schema.Outputs(), kernel.None)
}
