package ctr_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
)

// interactions are small models of the interactions of features, with the options of the cases in testdata/crosses.
func crosses() map[string]models.Model {
	tower := ctr.Tower{HiddenUnits: []int{6, 5}, HiddenActivations: "relu"}
	mask := ctr.MaskNet{
		EmbeddingDim: 4, HiddenUnits: []int{6, 5}, HiddenActivations: "relu", ReductionRatio: .5, ParallelNumBlocks: 2, ParallelBlockDim: 5, NetLayerNorm: true,
	}
	serial, parallel := mask, mask
	serial.ModelStructure, serial.EmbLayerNorm, parallel.ModelStructure = "serial", true, "parallel"
	plainMask := parallel
	plainMask.NetLayerNorm = false

	mlp := ctr.FinalMLP{
		EmbeddingDim: 4, MLP1HiddenUnits: []int{7, 6}, MLP1HiddenActivations: "relu", MLP1BatchNorm: true, MLP2HiddenUnits: []int{4},
		MLP2HiddenActivations: "relu", FSHiddenUnits: []int{5}, NumHeads: 2,
	}
	contexts, learned := mlp, mlp
	contexts.UseFS, contexts.FS1Context, contexts.FS2Context = true, []string{"a"}, []string{"b", "a"}
	learned.UseFS, learned.FS2Context, learned.NumHeads = true, []string{"b"}, 1

	net := ctr.FinalNet{
		EmbeddingDim: 4, BlockType: "2B", Block1HiddenUnits: []int{6, 4}, Block1HiddenActivations: "relu", Block2HiddenUnits: []int{6},
		Block2HiddenActivations: "relu", ResidualType: "concat",
	}
	two, one, sum := net, net, net
	two.BatchNorm, two.UseFeatureGating = true, true
	one.BlockType, one.UseFeatureGating = "1B", true
	sum.ResidualType = "sum"

	fcn := ctr.FCN{EmbeddingDim: 4, NumDeepCrossLayers: 2, NumShallowCrossLayers: 3, LayerNorm: true, NumHeads: 1, TriBCE: true}
	heads, plain, normed := fcn, fcn, fcn
	heads.NumHeads, normed.NumHeads, normed.BatchNorm = 2, 2, true
	plain.LayerNorm, plain.TriBCE = false, false
	return map[string]models.Model{
		"gdcn/parallel":  ctr.GDCN{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "parallel", Tower: tower},
		"gdcn/stacked":   ctr.GDCN{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "stacked", Tower: tower},
		"masknet/serial": serial, "masknet/parallel": parallel, "masknet/plain": plainMask,
		"finalmlp/contexts": contexts, "finalmlp/learned": learned, "finalmlp/plain": mlp,
		"finalnet/2B": two, "finalnet/1B": one, "finalnet/sum": sum,
		"qnn":       ctr.QNN{EmbeddingDim: 4, NumLayers: 2, NumRow: 3, NumHeads: 1, BatchNorm: true},
		"qnn/heads": ctr.QNN{EmbeddingDim: 4, NumLayers: 2, NumRow: 3, NumHeads: 2},
		"fcn":       fcn, "fcn/heads": heads, "fcn/plain": plain, "fcn/batch_norm": normed,
	}
}

// crossCases are those models with dropout, under the names of the suite: of each type one that takes columns of any width as far as it can.
func crossCases() map[string]models.Model {
	out := map[string]models.Model{}
	for name, m := range crosses() {
		switch x := m.(type) {
		case ctr.GDCN:
			x.NetDropout, x.HiddenActivations = .1, "tanh"
			m = x
		case ctr.MaskNet:
			x.NetDropout, x.HiddenActivations = .1, "tanh"
			m = x
		case ctr.FinalMLP:
			x.MLP1Dropout, x.FSHiddenUnits = .1, []int{9}
			m = x
		case ctr.FinalNet:
			x.Block2Dropout = .1
			m = x
		case ctr.QNN:
			x.NetDropout = .1
			m = x
		case ctr.FCN:
			x.DeepNetDropout = .1
			m = x
		}
		out[name] = m
	}
	for name, of := range map[string]string{"gdcn": "gdcn/parallel", "masknet": "masknet/parallel", "finalmlp": "finalmlp/plain", "finalnet": "finalnet/1B"} {
		out[name] = out[of]
		delete(out, of)
	}
	return out
}

// TestCrossesParity: logits, loss and the gradient of every parameter are those of an independent implementation in PyTorch, in
// testdata/crosses/parity.json, which torch_crosses.py beside it writes.
func TestCrossesParity(t *testing.T) {
	var want struct {
		IDs                  map[string][]int32
		Dense, Label, Weight []float32
		Cases                []struct {
			Name string
			expected
		}
	}
	text, err := os.ReadFile("testdata/crosses/parity.json")
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil || len(want.Cases) != len(crosses()) {
		t.Fatalf("%d cases for %d models, %v", len(want.Cases), len(crosses()), err)
	}
	sc := &data.Schema{NumDense: 1, HasWeight: true, Features: []data.Feature{
		{Name: "n", Kind: data.Numeric, Table: "n"},
		{Name: "a", Kind: data.Categorical, Vocab: 5, Table: "a"},
		{Name: "b", Kind: data.Categorical, Vocab: 6, Table: "b"},
	}}
	n := len(want.Dense)
	b := data.NewBatch(sc, n)
	b.N = n
	copy(b.Dense, want.Dense)
	copy(b.Label, want.Label)
	copy(b.Weight, want.Weight)
	for name, ids := range want.IDs {
		copy(b.IDs[name], ids)
	}
	for _, c := range want.Cases {
		t.Run(c.Name, func(t *testing.T) { c.check(t, crosses()[c.Name], sc, b, 1e-6) })
	}
}
