package onnx_test

import (
	"maps"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/onnx"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// interactions are models of products of embeddings, and of other cross networks.
func interactions(out map[string]translated) {
	small := ctr.Tower{HiddenUnits: []int{16, 8}, HiddenActivations: "tanh"}
	full := ctr.Tower{HiddenUnits: []int{16, 8}, HiddenActivations: "relu", BatchNorm: true, NetDropout: .2}
	none := ctr.Tower{HiddenActivations: "relu"}
	all := map[string]models.Model{
		"autoint":       ctr.AutoInt{EmbeddingDim: 4, AttentionLayers: 2, NumHeads: 2, AttentionDim: 6, UseResidual: true, Tower: none},
		"autoint/tower": ctr.AutoInt{EmbeddingDim: 6, AttentionLayers: 2, NumHeads: 3, AttentionDim: 6, UseResidual: true, UseScale: true, UseWide: true, LayerNorm: true, Tower: full},
		"autoint/plain": ctr.AutoInt{EmbeddingDim: 4, AttentionLayers: 1, NumHeads: 1, AttentionDim: 3, Tower: small},
		"dlrm":          ctr.DLRM{EmbeddingDim: 4, BottomHiddenUnits: []int{6}, Interaction: "dot", Tower: full},
		"dlrm/cat":      ctr.DLRM{EmbeddingDim: 4, Interaction: "cat", Tower: small},
		"fibinet":       ctr.FiBiNET{EmbeddingDim: 4, ReductionRatio: 2, BilinearType: "field_interaction", Tower: full},
		"fibinet/each":  ctr.FiBiNET{EmbeddingDim: 4, ReductionRatio: 3, BilinearType: "field_each", Tower: small},
		"fibinet/all":   ctr.FiBiNET{EmbeddingDim: 3, ReductionRatio: 100, BilinearType: "field_all", Tower: small},
		"gdcn":          ctr.GDCN{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "parallel", Tower: full},
		"gdcn/stacked":  ctr.GDCN{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "stacked", Tower: small},
		"ipnn":          ctr.IPNN{EmbeddingDim: 4, Tower: full},
		"wukong":        ctr.Wukong{EmbeddingDim: 4, NumLayers: 2, LCBFeatures: 3, FMBFeatures: 2, FMBRank: 2, FMBHiddenUnits: []int{8}, Tower: full},
		"wukong/whole":  ctr.Wukong{EmbeddingDim: 5, NumLayers: 1, LCBFeatures: 4, FMBFeatures: 3, FMBHiddenUnits: []int{8, 6}, Tower: small},
		"xdeepfm":       ctr.XDeepFM{EmbeddingDim: 4, CINHiddenUnits: []int{5, 3}, Tower: full},
		"xdeepfm/cin":   ctr.XDeepFM{EmbeddingDim: 3, CINHiddenUnits: []int{1, 4, 2}, Tower: none},
		"fields":        fields{},
	}
	crosses(all)
	for name, m := range all {
		out[name] = translated{m, modeltest.Schema(), []onnx.Link{{Outputs: 1, Function: "Sigmoid"}}}
	}
	out["dlrm/products"] = translated{ctr.DLRM{EmbeddingDim: 4, BottomHiddenUnits: []int{6}, Interaction: "dot", Tower: small}, modeltest.Products(), nil}
	tokens := modeltest.Schema()
	tokens.NumDense, tokens.Features = 0, tokens.Features[2:]
	out["dlrm/tokens"] = translated{ctr.DLRM{EmbeddingDim: 4, Interaction: "dot", Tower: small}, tokens, nil}
	out["masknet/widths"] = translated{all["masknet/parallel"], modeltest.Widths(), nil}
	out["xdeepfm/products"] = translated{all["xdeepfm"], modeltest.Products(), nil}
	classes := modeltest.Schema()
	classes.Labels = []data.Label{{Name: "kind", Classes: []string{"x", "y", "z"}}}
	out["qnn/classes"] = translated{all["qnn"], classes, []onnx.Link{{Outputs: 3, Function: "Softmax"}}}
}

// crosses are models of cross networks and of factorized layers.
func crosses(out map[string]models.Model) {
	mlp := ctr.FinalMLP{
		EmbeddingDim: 4, MLP1HiddenUnits: []int{7, 6}, MLP1HiddenActivations: "relu", MLP1BatchNorm: true, MLP1Dropout: .1, MLP2HiddenUnits: []int{4},
		MLP2HiddenActivations: "dice", FSHiddenUnits: []int{5}, NumHeads: 2,
	}
	contexts, learned := mlp, mlp
	contexts.UseFS, contexts.FS1Context, contexts.FS2Context = true, []string{"a"}, []string{"b", "m"}
	learned.UseFS, learned.FS2Context, learned.NumHeads = true, []string{"b"}, 1

	net := ctr.FinalNet{
		EmbeddingDim: 4, BlockType: "2B", BatchNorm: true, UseFeatureGating: true, Block1HiddenUnits: []int{6, 4}, Block1HiddenActivations: "relu", Block1Dropout: .1,
		Block2HiddenUnits: []int{6}, Block2HiddenActivations: "prelu", ResidualType: "concat",
	}
	one, terms := net, net
	one.BlockType, one.UseFeatureGating = "1B", false
	terms.ResidualType, terms.BatchNorm = "sum", false

	fcn := ctr.FCN{
		EmbeddingDim: 4, NumDeepCrossLayers: 2, NumShallowCrossLayers: 3, DeepNetDropout: .1, ShallowNetDropout: .1, LayerNorm: true, BatchNorm: true, NumHeads: 2,
		TriBCE: true,
	}
	single, plain := fcn, fcn
	single.NumHeads = 1
	plain.LayerNorm, plain.BatchNorm = false, false

	mask := ctr.MaskNet{
		EmbeddingDim: 4, ModelStructure: "serial", HiddenUnits: []int{6, 5}, HiddenActivations: "relu", ReductionRatio: .5, ParallelNumBlocks: 2, ParallelBlockDim: 5,
		EmbLayerNorm: true, NetLayerNorm: true, NetDropout: .1,
	}
	parallel := mask
	parallel.ModelStructure, parallel.EmbLayerNorm, parallel.NetLayerNorm, parallel.HiddenActivations = "parallel", false, false, "tanh"

	qnn := ctr.QNN{EmbeddingDim: 4, NumLayers: 2, NumRow: 3, NumHeads: 2, NetDropout: .1, BatchNorm: true}
	rows := qnn
	rows.NumHeads, rows.NumRow, rows.BatchNorm = 1, 1, false
	maps.Copy(out, map[string]models.Model{
		"finalmlp": contexts, "finalmlp/learned": learned, "finalmlp/plain": mlp, "finalnet": net, "finalnet/one": one, "finalnet/sum": terms,
		"fcn": fcn, "fcn/single": single, "fcn/plain": plain, "masknet": mask, "masknet/parallel": parallel, "qnn": qnn, "qnn/rows": rows,
	})
}

// fields is what the ops over sequences make of sequences that all have the same length, and no padding: the embeddings of a row.
type fields struct{}

func (fields) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	const dim = 4
	e := in.EqualEmbeddings(s, "embedding", dim)
	n := len(in.Schema.Features)
	x, each := nn.FieldRows(s, e, dim), &ops.Tokens{L: n} // [B·n, dim]
	if s.Err() != nil {
		return nil
	}
	h := s.Check(ops.Attention(x, x, x, ops.AttentionOptions{Heads: 2, Tokens: each, Causal: true}))
	h = nn.GRU(s.Sub("gru"), h, dim, each)
	first := s.Check(ops.FirstToken(h, each))
	scores := nn.Linear(s.Sub("scores"), h, 1, kernel.None)
	if s.Err() != nil {
		return nil
	}
	wide := s.Check(ops.Repeat(first, each))
	weights := s.Check(ops.SoftmaxTokens(scores, each))
	if s.Err() != nil {
		return nil
	}
	parts := []*G.Node{first}
	for _, of := range []func() (*G.Node, error){
		func() (*G.Node, error) { return ops.TargetAttention(first, h, h, each) },
		func() (*G.Node, error) { return ops.WeightedPool(weights, wide, each, false) },
		func() (*G.Node, error) { return ops.WeightedPool(scores, h, each, true) },
		func() (*G.Node, error) { return ops.SumTokens(h, each) },
		func() (*G.Node, error) { return ops.MeanTokens(h, each) },
	} {
		parts = append(parts, s.Check(of()))
	}
	return nn.Linear(s.Sub("fc"), nn.Concat(s, parts...), 1, kernel.None)
}
