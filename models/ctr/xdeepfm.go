package ctr

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// XDeepFM is linear terms, a compressed interaction network and a tower over the same embeddings (Lian et al., "xDeepFM: Combining Explicit and
// Implicit Feature Interactions for Recommender Systems", KDD 2018, arXiv:1803.05170, section 3.3):
//
//	linear + w·[Σ_d x¹, Σ_d x², …] + tower,  x^k_h = Σ_i Σ_j w^k_hij·(x^{k−1}_i ⊙ x⁰_j) + b^k_h
//
// where x⁰ are the embeddings. All maps of a layer enter the next one and the sums. Without hidden_units there is no tower: BARS calls that CIN.
type XDeepFM struct {
	EmbeddingDim   int   `yaml:"embedding_dim"`    // width of each feature's embedding
	CINHiddenUnits []int `yaml:"cin_hidden_units"` // feature maps of each layer of the compressed interaction network
	Tower          `yaml:",inline"`
}

func init() {
	models.Register("xdeepfm", XDeepFM{EmbeddingDim: 10, CINHiddenUnits: []int{16, 16, 16}, Tower: tower})
}

// Validate reports every option out of range.
func (m XDeepFM) Validate() error {
	return errors.Join(registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), units("cin_hidden_units", m.CINHiddenUnits, 1), m.optional())
}

// Build returns the logits, [B, 1].
func (m XDeepFM) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	e := in.EqualEmbeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	maps := nn.CIN(s.Sub("cin"), e, m.EmbeddingDim, m.CINHiddenUnits)
	terms := []*G.Node{in.Linear(s, "linear"), nn.Linear(s.Sub("fc"), maps, 1, kernel.None)}
	if len(m.HiddenUnits) > 0 {
		terms = append(terms, m.mlp(s.Sub("mlp"), e, 1))
	}
	return nn.Add(s, terms...)
}
