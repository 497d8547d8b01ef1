package ctr

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// DeepFM is a factorisation machine plus a tower over the same embeddings (Guo et al. 2017, eq. 1).
type DeepFM struct {
	EmbeddingDim int `yaml:"embedding_dim"` // width of each feature's embedding
	Tower        `yaml:",inline"`
}

func init() { models.Register("deepfm", DeepFM{EmbeddingDim: 16, Tower: tower}) }

// Validate reports every option out of range.
func (m DeepFM) Validate() error {
	return errors.Join(registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), m.Tower.Validate())
}

// Build returns the logits, [B, 1].
func (m DeepFM) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	e := in.EqualEmbeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	return nn.Add(s, in.Linear(s, "linear"), nn.Pairwise(s, e, m.EmbeddingDim), m.mlp(s.Sub("mlp"), e, 1))
}
