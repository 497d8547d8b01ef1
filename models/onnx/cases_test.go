package onnx_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/onnx"
	"github.com/splice-ml/splice/models/seq"
	"github.com/splice-ml/splice/models/text"
)

// translated is a model, small, and the data it runs over.
type translated struct {
	m     models.Model
	sc    *data.Schema
	links []onnx.Link
}

// refused are models that cannot be written, with what is said of them.
var refused = map[string]string{
	"duet/local":  "onnx: model duet/local: the op distances has no translation to ONNX",
	"bert_mlm":    "onnx: model bert_mlm: the op pickrows picks the tokens that a training masks, which has no translation to ONNX",
	"roberta_mlm": "onnx: model roberta_mlm: the op pickrows picks the tokens that a training masks, which has no translation to ONNX",
}

// cases are all registered models, small, and what their options make of them.
func cases() map[string]translated {
	out := map[string]translated{}
	rows(out)
	interactions(out)
	tasks(out)
	histories(out)
	texts(out)
	return out
}

func rows(out map[string]translated) {
	small := ctr.Tower{HiddenUnits: []int{16, 8}, HiddenActivations: "tanh"}
	full := ctr.Tower{HiddenUnits: []int{16, 8}, HiddenActivations: "relu", BatchNorm: true, NetDropout: .2}
	each := ctr.Tower{HiddenUnits: []int{9, 7, 5}, HiddenActivations: "dice, prelu, sigmoid"}
	sigmoid := []onnx.Link{{Outputs: 1, Function: "Sigmoid"}}
	for name, m := range map[string]models.Model{
		"lr": ctr.LR{}, "fm": ctr.FM{EmbeddingDim: 4}, "mlp": ctr.MLP{EmbeddingDim: 4, Tower: each},
		"widedeep": ctr.WideDeep{EmbeddingDim: 4, Tower: small}, "deepfm": ctr.DeepFM{EmbeddingDim: 4, Tower: full},
		"dcn":             ctr.DCN{EmbeddingDim: 4, NumCrossLayers: 3, Tower: small},
		"dcnv2":           ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "parallel", Tower: full},
		"dcnv2/low_rank":  ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, LowRank: 3, ModelStructure: "stacked", Tower: small},
		"dcnv2/experts":   ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, LowRank: 3, NumExperts: 2, ModelStructure: "parallel", Tower: small},
		"dcnv2/two_sides": ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 1, ModelStructure: "stacked_parallel", Tower: small},
	} {
		out[name] = translated{m, modeltest.Schema(), sigmoid}
	}
	out["mlp/widths"] = translated{ctr.MLP{EmbeddingDim: 4, Tower: small}, modeltest.Widths(), sigmoid}
	out["deepfm/products"] = translated{ctr.DeepFM{EmbeddingDim: 4, Tower: small}, modeltest.Products(), sigmoid}
	classes := modeltest.Schema()
	classes.Labels = []data.Label{{Name: "kind", Classes: []string{"x", "y", "z"}}}
	out["dcn/classes"] = translated{ctr.DCN{EmbeddingDim: 4, NumCrossLayers: 1, Tower: small}, classes, []onnx.Link{{Outputs: 3, Function: "Softmax"}}}
}

func tasks(out map[string]translated) {
	t := ctr.TaskTowers{EmbeddingDim: 4, TowerHiddenUnits: []int{6}, HiddenActivations: "tanh"}
	for name, m := range map[string]models.Model{
		"shared_bottom": ctr.SharedBottom{BottomHiddenUnits: []int{16, 8}, TaskTowers: t},
		"mmoe":          ctr.MMoE{NumExperts: 3, ExpertHiddenUnits: []int{8, 5}, TaskTowers: t},
		"mmoe/one":      ctr.MMoE{NumExperts: 1, ExpertHiddenUnits: []int{7, 3}, TaskTowers: t},
		"ple":           ctr.PLE{NumLayers: 2, NumSharedExperts: 2, NumSpecificExperts: 1, ExpertHiddenUnits: []int{6}, GateHiddenUnits: []int{4}, TaskTowers: t},
		"esmm":          ctr.ESMM{TaskTowers: t},
	} {
		out[name] = translated{m, modeltest.Labelled(), []onnx.Link{{Outputs: 1, Function: "Sigmoid"}, {Outputs: 1, Function: "Identity"}}}
	}
}

func histories(out map[string]translated) {
	c := seq.Columns{Item: "item", History: "history", EmbeddingDim: 6, InitStd: .1, SideMerge: "add"}
	head, dice := seq.Head{HiddenUnits: []int{8, 4}, HiddenActivations: "tanh"}, seq.Head{HiddenUnits: []int{8, 4}, HiddenActivations: "dice"}
	blocks := seq.Transformer{NumBlocks: 2, NumHeads: 2, Dropout: .1}
	ligr := seq.LiGR{Positions: "last", NumBlocks: 2, NumHeads: 2}
	unit := func(act string) seq.DIN {
		return seq.DIN{Columns: c, Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: act, AttentionSoftmax: act == "relu", Head: dice}
	}
	for name, m := range map[string]models.Model{
		"bst":     seq.BST{Columns: c, NumBlocks: 2, NumHeads: 3, Inner: 10, SeqPooling: "mean", Head: head},
		"bst/sum": seq.BST{Columns: c, NumBlocks: 1, NumHeads: 2, SeqPooling: "sum", Head: dice}, "bst/target": seq.BST{Columns: c, NumBlocks: 1, NumHeads: 2, SeqPooling: "target", Head: head},
		"dien": seq.DIEN{Columns: c, Attention: "bilinear", AttentionSoftmax: true, AuxLoss: .7, Head: head}, "dien/dot": seq.DIEN{Columns: c, Attention: "dot", SumPooling: true, Head: head},
		"dien/unit": seq.DIEN{Columns: c, Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: "dice", AttentionSoftmax: true, Head: dice},
		"din":       seq.DIN{Columns: c, Attention: "dot", Head: head}, "din/unit": unit("sigmoid"), "din/softmax": unit("relu"),
		"duet":         seq.DUET{Columns: c, Encoder: "din", GeneratorUnits: 8, Transformer: blocks, Head: head},
		"duet/gru4rec": seq.DUET{Columns: c, Encoder: "gru4rec", GeneratorUnits: 8, Transformer: blocks, Head: dice},
		"duet/local":   seq.DUET{Columns: c, Encoder: "din", GeneratorUnits: 6, Splice: "local", Transformer: blocks, Head: head},
		"esasrec":      seq.ESASRec{Columns: c, LiGR: ligr, Head: head}, "gru4rec": seq.GRU4Rec{Columns: c, HiddenSize: 5, Head: head},
		"sasrec":           seq.SASRec{Columns: c, Transformer: blocks, Head: head},
		"sasrec/published": seq.SASRec{Columns: c, Transformer: blocks, Residual: "normalized", Head: head},
	} {
		out[name] = translated{m, modeltest.Histories(), []onnx.Link{{Outputs: 1, Function: "Sigmoid"}}}
	}
	side := c
	side.Side, side.SideMerge = []string{"category"}, "concat"
	out["din/side"] = translated{seq.DIN{Columns: side, Attention: "dot", Head: head}, modeltest.Sided(modeltest.Histories()), nil}
	weighed := unit("sigmoid")
	weighed.Columns = side // the layer that merges gives padding other vectors than zero
	out["din/unit_side"] = translated{weighed, modeltest.Sided(modeltest.Histories()), nil}
	out["sasrec/given"] = translated{seq.SASRec{Columns: c, Transformer: blocks, Head: head}, modeltest.Given(), nil}
	next := &data.Schema{Features: modeltest.Histories().Features[1:2]}
	items := seq.Output{Output: seq.Items}
	out["sasrec/next"] = translated{seq.SASRec{Columns: c, Transformer: blocks, Output: items}, next, nil}
	out["esasrec/next"] = translated{seq.ESASRec{Columns: c, LiGR: ligr, Output: items}, next, nil}
	out["gru4rec/next"] = translated{seq.GRU4Rec{Columns: c, HiddenSize: 5, Output: items}, next, nil}
}

func texts(out map[string]translated) {
	e := text.Encoder{
		HiddenSize: 12, NumHiddenLayers: 2, NumAttentionHeads: 3, IntermediateSize: 20, HiddenAct: "gelu", MaxPositionEmbeddings: 9,
		TypeVocabSize: 2, LayerNormEps: 1e-12, InitializerRange: .3,
	}
	r := e
	r.MaxPositionEmbeddings, r.TypeVocabSize, r.LayerNormEps, r.HiddenAct = 11, 1, 1e-5, "gelu_new"
	cls := text.Classifier{Pooling: "cls"}
	softmax := func(n int) []onnx.Link { return []onnx.Link{{Outputs: n, Function: "Softmax"}} }
	out["bert"] = translated{&text.BERT{Encoder: e, Classifier: cls}, modeltest.TextSchema(3, 0), softmax(3)}
	out["bert/mean"] = translated{&text.BERT{Encoder: e, Classifier: text.Classifier{Pooling: "mean"}}, modeltest.TextSchema(0, 0), nil}
	out["roberta"] = translated{&text.RoBERTa{Encoder: r, Classifier: cls}, modeltest.TextSchema(4, 0), softmax(4)}
	out["bert_mlm"] = translated{&text.BERTMasked{Encoder: e}, modeltest.TextSchema(0, .3), nil}
	out["roberta_mlm"] = translated{&text.RoBERTaMasked{Encoder: r}, modeltest.TextSchema(0, .3), nil}
}

// filled returns the parameters of a model with values that are the same on every machine: small multiples of a power of two.
func filled(t *testing.T, c translated) *nn.Params {
	t.Helper()
	p, err := models.NewParams(c.m, c.sc, 1)
	if err != nil {
		t.Fatal(err)
	}
	state := uint32(1)
	for _, q := range p.All() {
		for i := range q.Data {
			state = state*1664525 + 1013904223
			q.Data[i] = (float32(state>>22) - 512) / 1024
			if q.Kind == nn.Buffer {
				q.Data[i] = 1 + q.Data[i] // a variance is above 0
			}
		}
		if q.Kind == nn.Table {
			clear(q.Data[:q.Shape[1]]) // padding
		}
	}
	return p
}

// batch returns rows of a case: those of the suite, of which the first has no list of tokens, and the second unknown ones alone.
func batch(sc *data.Schema) *data.Batch {
	const n = 7
	b := modeltest.Batch(sc, n, n, 3)
	for _, f := range sc.Features {
		ids := b.IDs[f.Name]
		switch {
		case f.Kind == data.Categorical:
			ids[0], ids[1] = data.PadID, data.OOVID
		case f.Kind.Lists():
			clear(ids[:f.MaxLen])
			for k := range f.MaxLen {
				ids[f.MaxLen+k] = data.OOVID
			}
			ids[2*f.MaxLen] = data.PadID // before others, if there are any
		}
	}
	return b
}

// fed is an input of a model as JSON, for onnx_expected.py.
type fed struct {
	Shape  []int     `json:"shape"`
	Ints   []int32   `json:"ints,omitempty"`
	Floats []float32 `json:"floats,omitempty"`
}

// feed returns the inputs of a written model.
func feed(m *onnx.Model, sc *data.Schema, b *data.Batch) map[string]fed {
	in := map[string]fed{}
	for _, x := range m.Inputs {
		f := x.Feature
		switch {
		case f.Kind == data.Numeric:
			v := fed{Shape: []int{b.N}}
			if f.Count > 0 {
				v.Shape = append(v.Shape, f.Count)
			}
			for r := range b.N {
				v.Floats = append(v.Floats, b.Dense[r*sc.NumDense+f.Column:][:f.Numbers()]...)
			}
			in[x.Name] = v
		case f.Kind.Lists():
			in[x.Name] = fed{Shape: []int{b.N, f.MaxLen}, Ints: b.IDs[f.Name][:b.N*f.MaxLen]}
		default:
			in[x.Name] = fed{Shape: []int{b.N}, Ints: b.IDs[f.Name][:b.N]}
		}
	}
	if t := b.Tokens; t != nil {
		n := b.N * t.L
		mask := make([]int32, n)
		for r := range b.N {
			for i := range t.Len[r] {
				mask[r*t.L+int(i)] = 1
			}
		}
		for name, ids := range map[string][]int32{onnx.InputIDs: t.IDs[:n], onnx.AttentionMask: mask, onnx.TokenTypeIDs: t.Segments[:n]} {
			if slices.Contains(m.Text, name) {
				in[name] = fed{Shape: []int{b.N, t.L}, Ints: ids}
			}
		}
	}
	return in
}

// logits returns the logits of a program.
func logits(t *testing.T, c translated, p *nn.Params, b *data.Batch) []float32 {
	t.Helper()
	prog, err := models.Compile(c.m, p, c.sc, models.CompileOptions{Batch: b.Size})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if _, err := prog.Run(b, 0); err != nil {
		t.Fatal(err)
	}
	z := prog.Logits()
	return slices.Clone(z[:len(z)/b.Size*b.N])
}

// file is the name of a case in a directory.
func file(name string) string { return fmt.Sprintf("%x", name) }
