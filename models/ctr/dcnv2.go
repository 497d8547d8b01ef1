package ctr

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// DCNv2 is a cross network with matrix weights, beside a tower (parallel) or below it (stacked), or both (Wang et al. 2021, fig. 1).
type DCNv2 struct {
	EmbeddingDim   int    `yaml:"embedding_dim"`     // width of each feature's embedding
	NumCrossLayers int    `yaml:"num_cross_layers"`  // layers of the cross network
	LowRank        int    `yaml:"low_rank"`          // rank of the cross layers' weights; 0: full
	NumExperts     int    `yaml:"num_experts,added"` // experts of rank low_rank that each cross layer mixes; 0: it has one matrix
	ModelStructure string `yaml:"model_structure"`   // parallel, stacked, stacked_parallel, or crossnet_only
	// of stacked_parallel: units of the tower beside the cross network, where hidden_units are of the one above it; empty: the same
	ParallelHiddenUnits []int `yaml:"parallel_hidden_units,added"`
	Tower               `yaml:",inline"`
}

func init() {
	models.Register("dcnv2", DCNv2{EmbeddingDim: 16, NumCrossLayers: 3, ModelStructure: "parallel", Tower: tower})
}

// Validate reports every option out of range.
func (m DCNv2) Validate() error {
	var errs []error
	if m.NumExperts > 0 && m.LowRank == 0 {
		errs = append(errs, registry.Field("num_experts", "are of low rank; set low_rank, such as 32"))
	}
	if len(m.ParallelHiddenUnits) > 0 && m.ModelStructure != "stacked_parallel" {
		errs = append(errs, registry.Field("parallel_hidden_units", "are of model_structure: stacked_parallel; remove them, or set that"))
	}
	for i, n := range m.ParallelHiddenUnits {
		errs = append(errs, registry.AtLeast(fmt.Sprintf("parallel_hidden_units.%d", i), n, 1))
	}
	if _, err := m.HiddenActivations.Parse(len(m.ParallelHiddenUnits)); err != nil && len(m.ParallelHiddenUnits) > 0 {
		errs = append(errs, registry.Field("hidden_activations", "of parallel_hidden_units: %v", err))
	}
	return errors.Join(append(
		errs,
		registry.AtLeast("num_experts", m.NumExperts, 0),
		registry.AtLeast("embedding_dim", m.EmbeddingDim, 1),
		registry.AtLeast("num_cross_layers", m.NumCrossLayers, 1),
		registry.AtLeast("low_rank", m.LowRank, 0),
		m.Tower.Validate(),
		registry.OneOf("model_structure", m.ModelStructure, "parallel", "stacked", "stacked_parallel", "crossnet_only"),
	)...)
}

// Build returns the logits, [B, outputs].
func (m DCNv2) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	e := in.Embeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	var x *G.Node
	if m.NumExperts > 0 {
		x = nn.CrossMix(s.Sub("cross"), e, m.NumCrossLayers, m.NumExperts, m.LowRank)
	} else {
		x = nn.CrossNetV2(s.Sub("cross"), e, m.NumCrossLayers, m.LowRank)
	}
	switch m.ModelStructure {
	case "stacked_parallel":
		beside := m.Tower
		if len(m.ParallelHiddenUnits) > 0 {
			beside.HiddenUnits = m.ParallelHiddenUnits
		}
		x = nn.Concat(s, m.mlp(s.Sub("stacked"), x, 0), beside.mlp(s.Sub("mlp"), e, 0))
	case "stacked":
		x = m.mlp(s.Sub("mlp"), x, 0)
	case "parallel":
		x = nn.Concat(s, x, m.mlp(s.Sub("mlp"), e, 0))
	}
	return nn.Linear(s.Sub("fc"), x, in.Schema.Outputs(), kernel.None)
}
