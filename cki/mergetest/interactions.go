package mergetest

import (
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
)

// Interactions returns small models of products of embeddings, by name.
func Interactions() map[string]Setting {
	small := ctr.Tower{HiddenUnits: []int{8, 5}, HiddenActivations: "relu"}
	normed := ctr.Tower{HiddenUnits: []int{8, 5}, HiddenActivations: "tanh", NetDropout: .2, BatchNorm: true}
	none := ctr.Tower{HiddenActivations: "relu"}
	out := map[string]Setting{}
	for name, m := range map[string]models.Model{
		"xdeepfm":             ctr.XDeepFM{EmbeddingDim: 4, CINHiddenUnits: []int{5, 3}, Tower: small},
		"xdeepfm/cin":         ctr.XDeepFM{EmbeddingDim: 3, CINHiddenUnits: []int{4}, Tower: none},
		"ipnn":                ctr.IPNN{EmbeddingDim: 4, Tower: small},
		"dlrm":                ctr.DLRM{EmbeddingDim: 4, BottomHiddenUnits: []int{6}, Interaction: "dot", Tower: small},
		"dlrm/cat":            ctr.DLRM{EmbeddingDim: 4, Interaction: "cat", Tower: normed},
		"fibinet":             ctr.FiBiNET{EmbeddingDim: 4, ReductionRatio: 2, BilinearType: "field_interaction", Tower: small},
		"fibinet/each":        ctr.FiBiNET{EmbeddingDim: 4, ReductionRatio: 2, BilinearType: "field_each", Tower: small},
		"fibinet/all":         ctr.FiBiNET{EmbeddingDim: 4, ReductionRatio: 2, BilinearType: "field_all", Tower: normed},
		"autoint":             ctr.AutoInt{EmbeddingDim: 4, AttentionLayers: 2, NumHeads: 2, AttentionDim: 6, UseResidual: true, Tower: none},
		"autoint/no residual": ctr.AutoInt{EmbeddingDim: 4, AttentionLayers: 2, NumHeads: 2, AttentionDim: 6, Tower: none},
		"autoint/tower": ctr.AutoInt{
			EmbeddingDim: 4, AttentionLayers: 1, NumHeads: 2, AttentionDim: 4, UseResidual: true, UseScale: true, UseWide: true, LayerNorm: true, Tower: small,
		},
		"wukong": ctr.Wukong{EmbeddingDim: 4, NumLayers: 2, LCBFeatures: 3, FMBFeatures: 2, FMBRank: 2, FMBHiddenUnits: []int{6}, Tower: small},
		"wukong/products": ctr.Wukong{
			EmbeddingDim: 4, NumLayers: 1, LCBFeatures: 3, FMBFeatures: 4, FMBHiddenUnits: []int{6}, Tower: normed,
		},
	} {
		out[name] = RowsOf(m)
	}
	return out
}
