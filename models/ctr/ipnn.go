package ctr

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// IPNN is the product-based neural network with inner products: a tower over the embeddings and the inner products of all their pairs (Qu et
// al., "Product-based Neural Networks for User Response Prediction", ICDM 2016, arXiv:1611.00144, section III.B, with a weight of its own
// for each product):
//
//	tower([e_1, …, e_F, ⟨e_1, e_2⟩, ⟨e_1, e_3⟩, …])
type IPNN struct {
	EmbeddingDim int `yaml:"embedding_dim"` // width of each feature's embedding
	Tower        `yaml:",inline"`
}

func init() { models.Register("ipnn", IPNN{EmbeddingDim: 10, Tower: tower}) }

// Validate reports every option out of range.
func (m IPNN) Validate() error {
	return errors.Join(registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), m.Tower.Validate())
}

// Build returns the logits, [B, outputs].
func (m IPNN) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	e := in.EqualEmbeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	products := nn.InnerPairs(s, e, m.EmbeddingDim)         // [B, F·(F−1)/2]
	return m.mlp(s.Sub("mlp"), nn.Concat(s, e, products), in.Schema.Outputs())
}
