package ctr_test

import (
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
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

// TestInteractionClasses: models whose last layer is linear give a logit for each label and class.
func TestInteractionClasses(t *testing.T) {
	sc := modeltest.Schema()
	sc.Labels = []data.Label{{Name: "a"}, {Name: "b", Classes: []string{"x", "y", "z"}}}
	for _, name := range []string{"ipnn", "dlrm", "dlrm/cat", "autoint", "autoint/plain", "wukong"} {
		prog, err := models.Compile(interactions()[name], nn.NewParams(1), sc, models.CompileOptions{Batch: 3})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := prog.Run(modeltest.Batch(sc, 3, 3, 1), 0); err != nil {
			t.Fatal(err)
		}
		if got := len(prog.Logits()) / 3; got != 4 {
			t.Errorf("%s gives %d logits a row, want 4", name, got)
		}
		prog.Close()
	}
}

// Every option out of range is reported at once, by its key.
func TestInteractionOptions(t *testing.T) {
	bad := ctr.Tower{HiddenUnits: []int{0}, HiddenActivations: "gelu", NetDropout: 1}
	tower := []string{"hidden_units: ", "hidden_activations: ", "net_dropout: "}
	for _, c := range []struct {
		m    interface{ Validate() error }
		want []string
	}{
		{ctr.XDeepFM{CINHiddenUnits: []int{4, 0}, Tower: bad}, append([]string{"embedding_dim: ", "cin_hidden_units.1: "}, tower...)},
		{ctr.XDeepFM{EmbeddingDim: 1, Tower: ctr.Tower{HiddenActivations: "relu"}}, []string{"cin_hidden_units: give at least one"}},
		{ctr.IPNN{Tower: bad}, append([]string{"embedding_dim: "}, tower...)},
		{ctr.DLRM{BottomHiddenUnits: []int{0}, Interaction: "sum", Tower: bad}, append([]string{"embedding_dim: ", "bottom_hidden_units.0: ", "interaction: "}, tower...)},
		{
			ctr.DLRM{EmbeddingDim: 2, Interaction: "dot", Tower: ctr.Tower{HiddenUnits: []int{3, 3}, HiddenActivations: "relu,tanh"}},
			[]string{"hidden_activations: of the bottom tower, which has one layer more than bottom_hidden_units: has 2 activations for 1 layers"},
		},
		{ctr.FiBiNET{BilinearType: "all", Tower: bad}, append([]string{"embedding_dim: ", "reduction_ratio: ", "bilinear_type: "}, tower...)},
		{ctr.AutoInt{NumHeads: 3, AttentionDim: 4, Tower: bad}, append([]string{"embedding_dim: ", "attention_layers: ", "num_heads: 3 heads do not divide the attention_dim of 4"}, tower...)},
		{ctr.Wukong{FMBRank: -1, Tower: bad}, append([]string{
			"embedding_dim: ", "num_layers: ", "lcb_features: ", "fmb_features: ", "fmb_rank: ", "fmb_hidden_units: give at least one",
		}, tower...)},
	} {
		err := c.m.Validate()
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%T: error %v lacks %q", c.m, err, want)
			}
		}
	}
}

// What a model cannot make anything of is an error that says so.
func TestInteractionsRefuse(t *testing.T) {
	one := &data.Schema{Features: modeltest.Schema().Features[2:3]}
	for name, want := range map[string]string{
		"ipnn": "at least 2", "fibinet": "products of pairs need at least two columns of data", "dlrm": "at least 2",
	} {
		if _, err := models.NewParams(interactions()[name], one, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s over one column: error %v, want %q", name, err, want)
		}
	}
	for name, m := range interactions() {
		_, err := models.NewParams(m, modeltest.Widths(), 1)
		if err == nil || !strings.Contains(err.Error(), "w (2)") {
			t.Errorf("%s over columns of other widths: error %v", name, err)
		}
	}
}

// Batch norm is for the tower above the stack: a layer of the stack has layer norms.
func TestWukongNorms(t *testing.T) {
	p, err := models.NewParams(interactions()["wukong/full"], modeltest.Schema(), 1)
	if err != nil {
		t.Fatal(err)
	}
	above := 0
	for _, q := range p.All() {
		switch stack := strings.HasPrefix(q.Name, "layers."); {
		case !strings.Contains(q.Name, ".bn."):
		case stack:
			t.Errorf("the stack has %s", q.Name)
		default:
			above++
		}
	}
	if above == 0 || p.Get("layers.0.fmb.norm.weight") == nil || p.Get("layers.0.norm.weight") == nil {
		t.Errorf("%d parameters of batch norms above the stack, layer norms %v and %v", above, p.Get("layers.0.fmb.norm.weight"), p.Get("layers.0.norm.weight"))
	}
}
