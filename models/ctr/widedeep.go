package ctr

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// WideDeep is linear terms plus a tower over the embeddings (Cheng et al. 2016).
type WideDeep struct {
	EmbeddingDim int `yaml:"embedding_dim"` // width of each feature's embedding
	Tower        `yaml:",inline"`
}

func init() { models.Register("widedeep", WideDeep{EmbeddingDim: 16, Tower: tower}) }

// Validate reports every option out of range.
func (m WideDeep) Validate() error {
	return errors.Join(registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), m.Tower.Validate())
}

// Build returns the logits, [B, 1].
func (m WideDeep) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	e := in.Embeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	return nn.Add(s, in.Linear(s, "linear"), m.mlp(s.Sub("mlp"), e, 1))
}
