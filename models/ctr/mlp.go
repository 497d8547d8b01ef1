package ctr

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// MLP is a tower over the concatenated embeddings. BARS calls it DNN.
type MLP struct {
	EmbeddingDim int `yaml:"embedding_dim"` // width of each feature's embedding
	Tower        `yaml:",inline"`
}

func init() { models.Register("mlp", MLP{EmbeddingDim: 16, Tower: tower}) }

// Validate reports every option out of range.
func (m MLP) Validate() error {
	return errors.Join(registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), m.Tower.Validate())
}

// Build returns the logits, [B, outputs].
func (m MLP) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	return m.mlp(s.Sub("mlp"), in.Embeddings(s, "embedding", m.EmbeddingDim), in.Schema.Outputs())
}
