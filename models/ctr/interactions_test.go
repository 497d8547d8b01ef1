package ctr_test

import (
	"strings"
	"testing"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
)

// interactions are models of products of embeddings, small, and what their options make of them.
func interactions() map[string]models.Model {
	small := ctr.Tower{HiddenUnits: []int{16, 8}, HiddenActivations: "tanh"}
	full := ctr.Tower{HiddenUnits: []int{16, 8}, HiddenActivations: "relu", NetDropout: 0.2, BatchNorm: true}
	none := ctr.Tower{HiddenActivations: "relu"}
	return map[string]models.Model{
		"xdeepfm":              ctr.XDeepFM{EmbeddingDim: 4, CINHiddenUnits: []int{5, 3}, Tower: small},
		"xdeepfm/full":         ctr.XDeepFM{EmbeddingDim: 5, CINHiddenUnits: []int{3}, Tower: full},
		"xdeepfm/cin":          ctr.XDeepFM{EmbeddingDim: 1, CINHiddenUnits: []int{1, 4, 2}, Tower: none},
		"ipnn":                 ctr.IPNN{EmbeddingDim: 4, Tower: small},
		"ipnn/full":            ctr.IPNN{EmbeddingDim: 17, Tower: full},
		"dlrm":                 ctr.DLRM{EmbeddingDim: 4, BottomHiddenUnits: []int{6}, Interaction: "dot", Tower: small},
		"dlrm/full":            ctr.DLRM{EmbeddingDim: 5, BottomHiddenUnits: []int{7, 6}, Interaction: "dot", Tower: full},
		"dlrm/cat":             ctr.DLRM{EmbeddingDim: 4, Interaction: "cat", Tower: small},
		"fibinet":              ctr.FiBiNET{EmbeddingDim: 4, ReductionRatio: 2, BilinearType: "field_interaction", Tower: small},
		"fibinet/each":         ctr.FiBiNET{EmbeddingDim: 4, ReductionRatio: 3, BilinearType: "field_each", Tower: small},
		"fibinet/all":          ctr.FiBiNET{EmbeddingDim: 3, ReductionRatio: 100, BilinearType: "field_all", Tower: full},
		"autoint":              ctr.AutoInt{EmbeddingDim: 4, AttentionLayers: 2, NumHeads: 2, AttentionDim: 6, UseResidual: true, Tower: none},
		"autoint/tower":        ctr.AutoInt{EmbeddingDim: 6, AttentionLayers: 2, NumHeads: 3, AttentionDim: 6, UseResidual: true, UseScale: true, UseWide: true, LayerNorm: true, Tower: full},
		"autoint/plain":        ctr.AutoInt{EmbeddingDim: 4, AttentionLayers: 1, NumHeads: 1, AttentionDim: 3, Tower: small},
		"wukong":               ctr.Wukong{EmbeddingDim: 4, NumLayers: 2, LCBFeatures: 3, FMBFeatures: 2, FMBRank: 2, FMBHiddenUnits: []int{8}, Tower: small},
		"wukong/full":          ctr.Wukong{EmbeddingDim: 5, NumLayers: 1, LCBFeatures: 4, FMBFeatures: 3, FMBHiddenUnits: []int{8, 6}, Tower: full},
		"wukong/equal columns": ctr.Wukong{EmbeddingDim: 3, NumLayers: 2, LCBFeatures: 4, FMBFeatures: 3, FMBRank: 3, FMBHiddenUnits: []int{6}, Tower: small},
	}
}

// TestInteractions runs the conformance suite over them.
func TestInteractions(t *testing.T) {
	for name, m := range interactions() {
		t.Run(name, func(t *testing.T) { modeltest.Check(t, m) })
		if !strings.Contains(name, "/") {
			t.Run(name+"/widths", func(t *testing.T) { modeltest.CheckWidths(t, m, true) })
		}
	}
}
