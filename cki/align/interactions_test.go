package align_test

import (
	"fmt"
	"testing"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
)

// interactions are models of the interactions of features.
func interactions() map[string]models.Model {
	tower := ctr.Tower{HiddenUnits: []int{24, 12}, HiddenActivations: "relu"}
	mask := ctr.MaskNet{
		EmbeddingDim: 4, ModelStructure: "serial", HiddenUnits: []int{12, 9}, HiddenActivations: "relu", ReductionRatio: .5, ParallelNumBlocks: 2,
		ParallelBlockDim: 7, EmbLayerNorm: true, NetLayerNorm: true,
	}
	parallel := mask
	parallel.ModelStructure, parallel.EmbLayerNorm = "parallel", false
	mlp := ctr.FinalMLP{
		EmbeddingDim: 4, MLP1HiddenUnits: []int{14, 12}, MLP1HiddenActivations: "relu", MLP1BatchNorm: true, MLP2HiddenUnits: []int{8},
		MLP2HiddenActivations: "relu", UseFS: true, FSHiddenUnits: []int{9}, FS1Context: []string{"a"}, NumHeads: 1,
	}
	heads := mlp
	heads.NumHeads, heads.UseFS = 2, false
	net := ctr.FinalNet{
		EmbeddingDim: 4, BlockType: "2B", BatchNorm: true, UseFeatureGating: true, Block1HiddenUnits: []int{12, 8}, Block1HiddenActivations: "relu",
		Block2HiddenUnits: []int{10}, Block2HiddenActivations: "relu", ResidualType: "concat",
	}
	sum := net
	sum.ResidualType, sum.UseFeatureGating = "sum", false
	fcn := ctr.FCN{EmbeddingDim: 6, NumDeepCrossLayers: 2, NumShallowCrossLayers: 2, LayerNorm: true, NumHeads: 1, TriBCE: true}
	fcnHeads := fcn
	fcnHeads.NumHeads, fcnHeads.BatchNorm = 2, true
	return map[string]models.Model{
		"gdcn":         ctr.GDCN{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "parallel", Tower: tower},
		"gdcn/stacked": ctr.GDCN{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "stacked", Tower: tower},
		"masknet":      mask, "masknet/parallel": parallel,
		"finalmlp": mlp, "finalmlp/heads": heads,
		"finalnet": net, "finalnet/sum": sum,
		"qnn":       ctr.QNN{EmbeddingDim: 4, NumLayers: 2, NumRow: 3, NumHeads: 1, BatchNorm: true},
		"qnn/heads": ctr.QNN{EmbeddingDim: 4, NumLayers: 2, NumRow: 2, NumHeads: 2},
		"fcn":       fcn, "fcn/heads": fcnHeads,
	}
}

// TestGroupsOfInteractions: the groups that these models have, so that none is lost silently by being fixed. Halves that are multiplied move
// together, and units within a head of a bilinear form.
func TestGroupsOfInteractions(t *testing.T) {
	embeddings := "embedding.n1:4:%[1]v embedding.n2:4:%[1]v embedding.a:4:%[1]v embedding.bc:4:%[1]v embedding.m:4:%[1]v embedding.s:4:%[1]v"
	rigid, free := fmt.Sprintf(embeddings, false), fmt.Sprintf(embeddings, true)
	for name, want := range map[string]string{
		"gdcn":             rigid + " mlp.0:24:false mlp.1:12:false",
		"masknet":          rigid + " blocks.0.mask.0:14:false blocks.0.hidden:12:false blocks.1.mask.0:6:false blocks.1.hidden:9:false",
		"masknet/parallel": rigid + " blocks.0.mask.0:14:false blocks.0.hidden:7:false blocks.1.mask.0:14:false blocks.1.hidden:7:false mlp.0:12:false mlp.1:9:false",
		"finalmlp": rigid + " gate1.embedding.a:4:true gate1.mlp.0:9:false gate2:4:true gate2.mlp.0:9:false " +
			"mlp1.0:14:false mlp1.1:12:false mlp2.0:8:false",
		"finalmlp/heads": free + " mlp1.0:14:false fusion.0.x:6:false fusion.1.x:6:false fusion.0:4:false fusion.1:4:false",
		"finalnet":       "embedding.n1:4:false block1.0:6:false block1.1:4:false block2.0:5:false",
		"finalnet/sum":   free + " block1.0:12:false block1.1:8:false block2.0:10:false",
		"qnn":            rigid,
		"qnn/heads":      "",
		"fcn":            "views.0:3:false views.1:3:false views.2:3:false views.3:3:false views.5:3:false views.6:3:false",
	} {
		var got []string
		for _, g := range symmetry(t, cases()[name], nn.NewParams(1)).Groups {
			got = append(got, fmt.Sprintf("%s:%d:%v", g.Name, g.Size, g.Orthogonal))
		}
		if fmt.Sprint(got) != "["+want+"]" {
			t.Errorf("%s has the groups %v, want [%s]", name, got, want)
		}
	}
}
