package ctr

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// FM is a factorisation machine of degree 2: linear terms plus the inner products of all pairs of embeddings (Rendle 2010,
// eq. 1).
type FM struct {
	EmbeddingDim int `yaml:"embedding_dim"` // width of each feature's embedding
}

func init() { models.Register("fm", FM{EmbeddingDim: 16}) }

// Validate reports every option out of range.
func (m FM) Validate() error { return registry.AtLeast("embedding_dim", m.EmbeddingDim, 1) }

// Build returns the logits, [B, 1].
func (m FM) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	e := in.EqualEmbeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	return nn.Add(s, in.Linear(s, "linear"), nn.Pairwise(s, e, m.EmbeddingDim))
}
