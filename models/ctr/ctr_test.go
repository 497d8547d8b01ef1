package ctr_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
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
		"dcn":                    ctr.DCN{EmbeddingDim: 4, NumCrossLayers: 3, Tower: small},
		"dcnv2":                  ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "parallel", Tower: small},
		"dcnv2/stacked":          ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "stacked", Tower: small},
		"dcnv2/crossnet_only":    ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 1, ModelStructure: "crossnet_only", Tower: small},
		"dcnv2/experts":          ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, LowRank: 3, NumExperts: 2, ModelStructure: "parallel", Tower: small},
		"dcnv2/stacked_parallel": ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "stacked_parallel", ParallelHiddenUnits: []int{7}, Tower: small},
		"mlp/activations":        ctr.MLP{EmbeddingDim: 4, Tower: ctr.Tower{HiddenUnits: []int{9, 7, 5}, HiddenActivations: "dice, prelu,relu"}},
		"dcnv2/low_rank":         ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, LowRank: 3, ModelStructure: "parallel", Tower: full},
	}
	tower := ctr.TaskTowers{EmbeddingDim: 4, TowerHiddenUnits: []int{6}, HiddenActivations: "tanh"}
	dropped := ctr.TaskTowers{EmbeddingDim: 3, TowerHiddenUnits: []int{5, 4}, HiddenActivations: "tanh", NetDropout: .2}
	several := map[string]models.Model{
		"shared_bottom":      ctr.SharedBottom{BottomHiddenUnits: []int{16, 8}, TaskTowers: tower},
		"shared_bottom/full": ctr.SharedBottom{BottomHiddenUnits: []int{16}, TaskTowers: dropped},
		"mmoe":               ctr.MMoE{NumExperts: 3, ExpertHiddenUnits: []int{8, 5}, TaskTowers: tower},
		"mmoe/full":          ctr.MMoE{NumExperts: 2, ExpertHiddenUnits: []int{8}, GateHiddenUnits: []int{6}, TaskTowers: dropped},
		"mmoe/one":           ctr.MMoE{NumExperts: 1, ExpertHiddenUnits: []int{7, 3}, TaskTowers: tower},
		"ple":                ctr.PLE{NumLayers: 1, NumSharedExperts: 1, NumSpecificExperts: 2, ExpertHiddenUnits: []int{8, 5}, TaskTowers: tower},
		"ple/two": ctr.PLE{
			NumLayers: 2, NumSharedExperts: 2, NumSpecificExperts: 1, ExpertHiddenUnits: []int{6}, GateHiddenUnits: []int{4}, TaskTowers: dropped,
		},
		"esmm":      ctr.ESMM{TaskTowers: tower},
		"esmm/full": ctr.ESMM{TaskTowers: dropped},
	}
	for name, m := range several {
		t.Run("tasks/"+name, func(t *testing.T) { modeltest.CheckTasks(t, m) })
		if cases[name] = m; strings.HasPrefix(name, "esmm") { // has two tasks always
			cases[name] = ctr.LR{}
		}
	}
	maps.Copy(cases, crossCases())
	for _, name := range models.Registry.Names() {
		if cases[name] == nil && interactions()[name] == nil {
			t.Errorf("model %s is registered and has no case here", name)
		}
	}
	for name, m := range cases {
		check := modeltest.Check
		if net, ok := m.(ctr.FinalNet); ok && net.BlockType == "2B" {
			check = modeltest.CheckStopped
		}
		t.Run(name, func(t *testing.T) { check(t, m) })
		if base, variant, _ := strings.Cut(name, "/"); variant == "" {
			t.Run(name+"/widths", func(t *testing.T) {
				modeltest.CheckWidths(t, m, slices.Contains([]string{"fm", "deepfm", "finalnet", "fcn"}, base))
			})
		}
	}
}

// The first-order terms are those of numbers and of the vectors behind them.
func TestLinearOfVectors(t *testing.T) {
	sc := &data.Schema{NumDense: 5, Features: []data.Feature{
		{Name: "n", Kind: data.Numeric, Table: "n"},
		{Name: "v", Kind: data.Numeric, Table: "v", Column: 1, Count: 3},
		{Name: "w", Kind: data.Numeric, Table: "w", Column: 4},
	}}
	p := nn.NewParams(1)
	prog, err := models.Compile(ctr.LR{}, p, sc, models.CompileOptions{Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	for name, w := range map[string][]float32{"n": {2}, "v": {1, 10, 100}, "w": {-1}} {
		copy(p.Get("linear."+name+".weight").Data, w)
	}
	p.Get("linear.bias").Data[0] = .5
	b := data.NewBatch(sc, 2)
	b.N = 2
	copy(b.Dense, []float32{1, 2, 3, 4, 5, 0, -1, .5, .25, 2})
	if _, err := prog.Run(b, 0); err != nil {
		t.Fatal(err)
	}
	if got, want := prog.Logits(), []float32{2 + 432 - 5 + .5, -1 + 5 + 25 - 2 + .5}; !slices.Equal(got, want) {
		t.Errorf("logits %v, want %v", got, want)
	}
}

// A model of products says which columns have another width than its own.
func TestUnequalWidths(t *testing.T) {
	for _, m := range []models.Model{ctr.FM{EmbeddingDim: 4}, ctr.DeepFM{EmbeddingDim: 4, Tower: ctr.Tower{HiddenUnits: []int{3}}}} {
		_, err := models.NewParams(m, modeltest.Widths(), 1)
		if err == nil || !strings.Contains(err.Error(), "n3 (3), w (2), m2 (3), u (3), v2 (2)") {
			t.Errorf("%T: error %v", m, err)
		}
	}
}
