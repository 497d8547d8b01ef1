package ctr

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// DCNv2 is a cross network with matrix weights, beside a tower (parallel) or below it (stacked) (Wang et al. 2021, fig. 1).
type DCNv2 struct {
	EmbeddingDim   int    `yaml:"embedding_dim"`    // width of each feature's embedding
	NumCrossLayers int    `yaml:"num_cross_layers"` // layers of the cross network
	LowRank        int    `yaml:"low_rank"`         // rank of the cross layers' weights; 0: full
	ModelStructure string `yaml:"model_structure"`  // parallel, stacked, or crossnet_only
	Tower          `yaml:",inline"`
}

func init() {
	models.Register("dcnv2", DCNv2{EmbeddingDim: 16, NumCrossLayers: 3, ModelStructure: "parallel", Tower: tower})
}

// Validate reports every option out of range.
func (m DCNv2) Validate() error {
	return errors.Join(
		registry.AtLeast("embedding_dim", m.EmbeddingDim, 1),
		registry.AtLeast("num_cross_layers", m.NumCrossLayers, 1),
		registry.AtLeast("low_rank", m.LowRank, 0),
		m.Tower.Validate(),
		registry.OneOf("model_structure", m.ModelStructure, "parallel", "stacked", "crossnet_only"),
	)
}

// Build returns the logits, [B, outputs].
func (m DCNv2) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	e := in.Embeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	x := nn.CrossNetV2(s.Sub("cross"), e, m.NumCrossLayers, m.LowRank)
	switch m.ModelStructure {
	case "stacked":
		x = m.mlp(s.Sub("mlp"), x, 0)
	case "parallel":
		x = nn.Concat(s, x, m.mlp(s.Sub("mlp"), e, 0))
	}
	return nn.Linear(s.Sub("fc"), x, in.Schema.Outputs(), kernel.None)
}
