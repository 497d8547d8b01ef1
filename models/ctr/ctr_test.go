package ctr_test

import (
	"testing"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
)

// TestModels runs the conformance suite over every registered model, small, and over its variants.
func TestModels(t *testing.T) {
	small := ctr.Tower{HiddenUnits: []int{16, 8}, HiddenActivations: "tanh"}
	full := ctr.Tower{HiddenUnits: []int{16, 8}, HiddenActivations: "relu", NetDropout: 0.2, BatchNorm: true}
	cases := map[string]models.Model{
		"lr": ctr.LR{}, "fm": ctr.FM{EmbeddingDim: 4},
		"mlp": ctr.MLP{EmbeddingDim: 4, Tower: small}, "mlp/full": ctr.MLP{EmbeddingDim: 5, Tower: full},
		"widedeep": ctr.WideDeep{EmbeddingDim: 4, Tower: small},
		"deepfm":   ctr.DeepFM{EmbeddingDim: 4, Tower: small}, "deepfm/full": ctr.DeepFM{EmbeddingDim: 17, Tower: full},
		"dcn":                 ctr.DCN{EmbeddingDim: 4, NumCrossLayers: 3, Tower: small},
		"dcnv2":               ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "parallel", Tower: small},
		"dcnv2/stacked":       ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "stacked", Tower: small},
		"dcnv2/crossnet_only": ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 1, ModelStructure: "crossnet_only", Tower: small},
		"dcnv2/low_rank":      ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, LowRank: 3, ModelStructure: "parallel", Tower: full},
	}
	for _, name := range models.Registry.Names() {
		if cases[name] == nil {
			t.Errorf("model %s is registered and has no case here", name)
		}
	}
	for name, m := range cases {
		t.Run(name, func(t *testing.T) { modeltest.Check(t, m) })
	}
}
