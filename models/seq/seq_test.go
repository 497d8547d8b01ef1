package seq_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/seq"
)

// cases are all registered models, small, and what their options make of them.
func cases() map[string]models.Model {
	return casesOf(seq.Columns{Item: "item", History: "history", EmbeddingDim: 6, InitStd: .1})
}

func casesOf(columns seq.Columns) map[string]models.Model {
	head := seq.Head{HiddenUnits: []int{8, 4}, HiddenActivations: "tanh"}
	dice := seq.Head{HiddenUnits: []int{8, 4}, HiddenActivations: "dice", NetDropout: .1}
	blocks := seq.Transformer{NumBlocks: 2, NumHeads: 2, Dropout: .1}
	return map[string]models.Model{
		"bst":          seq.BST{Columns: columns, NumBlocks: 2, NumHeads: 3, Inner: 10, Dropout: .1, SeqPooling: "mean", Head: head},
		"bst/sum":      seq.BST{Columns: columns, NumBlocks: 1, NumHeads: 2, SeqPooling: "sum", Head: dice},
		"bst/target":   seq.BST{Columns: columns, NumBlocks: 1, NumHeads: 2, SeqPooling: "target", Head: head},
		"dien":         seq.DIEN{Columns: columns, Attention: "bilinear", AttentionSoftmax: true, Head: head},
		"dien/aux":     seq.DIEN{Columns: columns, Attention: "bilinear", AttentionSoftmax: true, AuxLoss: .7, Head: head},
		"dien/dot":     seq.DIEN{Columns: columns, Attention: "dot", SumPooling: true, Head: head},
		"dien/unit":    seq.DIEN{Columns: columns, Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: "dice", AttentionSoftmax: true, Head: dice},
		"din":          seq.DIN{Columns: columns, Attention: "dot", Head: head},
		"din/unit":     seq.DIN{Columns: columns, Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: "sigmoid", Head: head},
		"din/softmax":  seq.DIN{Columns: columns, Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: "relu", AttentionSoftmax: true, Head: head},
		"din/dice":     seq.DIN{Columns: columns, Attention: "unit", AttentionUnits: []int{5, 3}, AttentionActivation: "dice", Head: dice},
		"duet/dice":    seq.DUET{Columns: columns, Encoder: "din", GeneratorUnits: 8, Transformer: blocks, Head: dice},
		"duet/din":     seq.DUET{Columns: columns, Encoder: "din", GeneratorUnits: 8, Transformer: blocks, Head: head},
		"duet/local":   seq.DUET{Columns: columns, Encoder: "din", GeneratorUnits: 6, Splice: "local", Transformer: blocks, Head: head},
		"duet/gru4rec": seq.DUET{Columns: columns, Encoder: "gru4rec", GeneratorUnits: 8, Transformer: blocks, Head: head},
		"duet/sasrec":  seq.DUET{Columns: columns, Encoder: "sasrec", GeneratorUnits: 8, Transformer: blocks, Head: head},
		"esasrec":      seq.ESASRec{Columns: columns, LiGR: seq.LiGR{Positions: "last", NumBlocks: 2, NumHeads: 2, Dropout: .1}, Head: head},
		"gru4rec":      seq.GRU4Rec{Columns: columns, HiddenSize: 5, Head: head},
		"sasrec":       seq.SASRec{Columns: columns, Transformer: blocks, Head: head},
		"sasrec/published": seq.SASRec{
			Columns: columns, Transformer: blocks, Residual: "normalized", InitializerRange: .2, Head: head,
		},
	}
}

// TestModels runs the conformance suite over every registered model.
func TestModels(t *testing.T) {
	for _, name := range models.Registry.Names() {
		if cases()[name] == nil && cases()[name+"/din"] == nil {
			t.Errorf("model %s is registered and has no case here", name)
		}
	}
	for name, m := range cases() {
		t.Run(name, func(t *testing.T) { modeltest.CheckHistory(t, m) })
	}
	for _, name := range []string{"din", "sasrec"} {
		t.Run(name+"/given", func(t *testing.T) { modeltest.CheckGiven(t, cases()[name]) })
	}
}

// TestSide runs the suite over models that look at what is known of items beside. The one that adds has the logits of the model that does
// not look if the table of what is beside is zero, and so has the one whose layer leaves it out.
func TestSide(t *testing.T) {
	plain := cases()
	for _, merge := range []string{"add", "concat"} {
		columns := seq.Columns{Item: "item", History: "history", EmbeddingDim: 6, InitStd: .1, Side: []string{"category"}, SideMerge: merge}
		for name, m := range casesOf(columns) {
			if strings.Contains(name, "/") && name != "din/unit" && name != "duet/gru4rec" { // what is beside is merged before these differ
				continue
			}
			t.Run(merge+"/"+name, func(t *testing.T) {
				modeltest.CheckSide(t, m)
				b := modeltest.Batch(modeltest.Sided(modeltest.Histories()), 8, 8, 3)
				score := func(m models.Model, sc *data.Schema, set func(*nn.Params)) []float32 {
					p := nn.NewParams(1)
					prog, err := models.Compile(m, p, sc, models.CompileOptions{Batch: 8})
					if err != nil {
						t.Fatal(err)
					}
					defer prog.Close()
					set(p)
					if _, err := prog.Run(b, 0); err != nil {
						t.Fatal(err)
					}
					return slices.Clone(prog.Logits())
				}
				want := score(plain[name], modeltest.Histories(), func(*nn.Params) {})
				sc := modeltest.Sided(modeltest.Histories())
				without := func(p *nn.Params) {
					if merge == "add" {
						clear(p.Get("embedding.category.weight").Data)
						return
					}
					for _, of := range []string{"side.item", "side.history"} {
						w := p.Get(of + ".weight")
						clear(w.Data)
						for i := range w.Shape[0] {
							w.Data[i*w.Shape[1]+i] = 1
						}
					}
				}
				if got := score(m, sc, without); !slices.Equal(got, want) {
					t.Errorf("logits %v without what is beside, want %v", got, want)
				}
				if got := score(m, sc, func(*nn.Params) {}); slices.Equal(got, want) {
					t.Error("what is beside changes nothing")
				}
			})
		}
	}
}

// TestShorterBatch: after a batch of more positions a shorter one, of the same graph, has gradients of its own items alone.
func TestShorterBatch(t *testing.T) {
	sc := modeltest.Histories()
	for name, m := range cases() {
		prog, err := models.Compile(m, nn.NewParams(1), sc, models.CompileOptions{Batch: 4, Train: true, Loss: modeltest.BCE})
		if err != nil {
			t.Fatal(err)
		}
		b := data.NewBatch(sc, 4)
		b.N = 2
		n := sc.Features[slices.IndexFunc(sc.Features, func(f data.Feature) bool { return f.Name == "history" })].MaxLen
		item, history := b.IDs["item"], b.IDs["history"]
		copy(item, []int32{2, 3})
		for _, ids := range [][2][]int32{{{4, 5}, {6, 7}}, {{8, 0}, {9, 0}}} {
			copy(history, ids[0])
			copy(history[n:], ids[1])
			run(t, prog, b)
		}
		for _, g := range prog.RowGrads() {
			if strings.HasSuffix(g.Param.Name, "item.weight") && !slices.Equal(g.IDs, []int32{2, 3, 8, 9}) {
				t.Errorf("%s: %s has gradients of the rows %v, want those of 2, 3, 8 and 9", name, g.Param.Name, g.IDs)
			}
		}
		prog.Close()
	}
}

// TestMeasure: what a program needs is known before anything is allocated.
func TestMeasure(t *testing.T) {
	sc := modeltest.Histories()
	for name, m := range cases() {
		t.Run(name, func(t *testing.T) {
			modeltest.CheckNeed(t, m, sc, models.CompileOptions{Batch: 2048, Length: models.Longest(sc)})
		})
	}
}

func run(t *testing.T, prog *models.Program, b *data.Batch) {
	t.Helper()
	if _, err := prog.Run(b, 0); err != nil {
		t.Fatal(err)
	}
}

// TestValidate: every option out of range is named.
func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m models.Model) models.Model
		want   string
	}{
		"bst": {func(m models.Model) models.Model {
			d := m.(seq.BST)
			d.NumBlocks, d.NumHeads, d.Inner, d.Dropout, d.SeqPooling = 0, 5, -1, 1, "concat"
			return d
		}, `num_blocks: must be at least 1
inner: must not be negative
dropout: must be in [0, 1)
seq_pooling: must be mean, sum or target
num_heads: 5 heads do not divide twice the embedding_dim of 32`},
		"dien": {func(m models.Model) models.Model {
			d := m.(seq.DIEN)
			d.Attention, d.AttentionUnits, d.AttentionActivation, d.AuxLoss = "cosine", []int{4, 0}, "gelu", -1
			return d
		}, `attention: must be bilinear, dot or unit
aux_loss: must not be negative
attention_units: must be at least 1
attention_activation: unknown activation "gelu": want none, relu, tanh, sigmoid or dice`},
		"din": {func(m models.Model) models.Model {
			d := m.(seq.DIN)
			d.AttentionActivation, d.HiddenActivations = "gelu", "prelu"
			return d
		}, `hidden_activations: unknown activation "prelu": want none, relu, tanh, sigmoid or dice
attention_activation: unknown activation "gelu": want none, relu, tanh, sigmoid or dice`},
		"gru4rec": {func(m models.Model) models.Model {
			d := m.(seq.GRU4Rec)
			d.ItemDropout = .2 // without output: catalogue
			return d
		}, "item_dropout: is of output: catalogue; remove it"},
		"esasrec": {func(m models.Model) models.Model {
			d := m.(seq.ESASRec)
			d.NumHeads, d.Inner, d.LiGR.Dropout, d.Output.Output = 5, -1, 1, "items"
			return d
		}, `inner: must not be negative
dropout: must be in [0, 1)
num_heads: 5 heads do not divide the embedding_dim of 32
output: must be classifier or catalogue`},
	} {
		m, _ := models.Registry.Default(name)
		v, ok := m.(interface{ Validate() error })
		if !ok {
			t.Fatalf("%s has options that nobody checks", name)
		}
		if err := v.Validate(); err != nil {
			t.Errorf("%s: the defaults: %v", name, err)
		}
		if err := c.change(m).(interface{ Validate() error }).Validate(); err == nil || err.Error() != c.want {
			t.Errorf("%s: error\n%v\nwant\n%s", name, err, c.want)
		}
	}
}

// golden is a tensor of testdata/din.json.
type golden struct {
	Shape []int     `json:"shape"`
	Data  []float32 `json:"data"`
}

// TestDINGolden compares DIN with an independent implementation in PyTorch: logits, loss and every gradient. One of the rows has no
// history, which there is a softmax over padding alone.
func TestDINGolden(t *testing.T) {
	var want struct {
		Item    []int32           `json:"item_target"`
		History [][]int32         `json:"history"`
		Label   []float32         `json:"label"`
		Logits  []float32         `json:"logits"`
		Loss    float64           `json:"loss"`
		Params  map[string]golden `json:"params"`
		Grads   map[string]golden `json:"grads"`
	}
	text, err := os.ReadFile("testdata/din.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{
		"_id_encoder._embedding_matrix.weight": "embedding.item.weight", "_target_trans.net.0": "target", "_seq_trans.net.0": "sequence",
		"_target_attention._target_key_transform.net": "attention.query", "_target_attention._item_key_transform.net": "attention.key",
		"_target_attention._value_transform.net": "attention.value", "_classifier.net.0": "classifier.0", "_classifier.net.2": "classifier.1",
		"_classifier.net.4": "classifier.2",
	}
	ours := func(name string) string {
		for from, to := range names {
			if rest, ok := strings.CutPrefix(name, from); ok {
				return to + rest
			}
		}
		t.Fatalf("no name for %s", name)
		return ""
	}
	const maxLen = 10
	sc := &data.Schema{Features: []data.Feature{
		{Name: "item", Kind: data.Categorical, Vocab: 50, Table: "item"},
		{Name: "history", Kind: data.Sequence, Vocab: 50, MaxLen: maxLen, Table: "item"},
	}}
	m := seq.DIN{
		Columns: seq.Columns{Item: "item", History: "history", EmbeddingDim: 8, InitStd: .1}, Attention: "dot",
		Head: seq.Head{HiddenUnits: []int{16, 8}, HiddenActivations: "tanh"},
	}
	p := nn.NewParams(1)
	prog, err := models.Compile(m, p, sc, models.CompileOptions{Batch: 8, Train: true, Loss: modeltest.BCE})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	for name, g := range want.Params {
		q := p.Get(ours(name))
		if q == nil || !slices.Equal(q.Shape, g.Shape) {
			t.Fatalf("%s is %v, want %v", ours(name), q, g.Shape)
		}
		copy(q.Data, g.Data)
	}
	if len(p.All()) != len(want.Params) {
		t.Errorf("%d parameters, want %d", len(p.All()), len(want.Params))
	}
	b := data.NewBatch(sc, 8)
	b.N = len(want.Item)
	for i := range want.Item {
		b.IDs["item"][i], b.Label[i] = want.Item[i], want.Label[i]
		copy(b.IDs["history"][i*maxLen:], want.History[i])
	}
	loss, err := prog.Run(b, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d := math.Abs(loss - want.Loss); d > 1e-5 {
		t.Errorf("loss %v, want %v", loss, want.Loss)
	}
	close := func(name string, got, want []float32) {
		t.Helper()
		for i := range want {
			if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-5*math.Abs(float64(want[i]))+1e-6) {
				t.Errorf("%s[%d] = %v, want %v", name, i, got[i], want[i])
				return
			}
		}
	}
	close("logits", prog.Logits(), want.Logits)
	grads := gradients(prog)
	for name, g := range want.Grads {
		if grads[ours(name)] == nil {
			t.Errorf("%s has no gradient", ours(name))
			continue
		}
		skip := 0
		if strings.HasPrefix(ours(name), "embedding") {
			skip = g.Shape[1] // the row of padding is no parameter here; it is one there
		}
		close("gradient of "+ours(name), grads[ours(name)][skip:], g.Data[skip:])
	}
}

// TestAuxiliaryLoss compares DIEN's with plain code. Histories have all items but one, which is the only negative then. Items that are not
// known, the last position, and histories of one item or none have no next one.
func TestAuxiliaryLoss(t *testing.T) {
	const D, vocab, maxLen, weight = 3, 6, 4, .5
	sc := &data.Schema{Features: []data.Feature{
		{Name: "item", Kind: data.Categorical, Vocab: vocab, Table: "item"},
		{Name: "history", Kind: data.Sequence, Vocab: vocab, MaxLen: maxLen, Table: "item"},
	}}
	rows := [][]int32{{2, 3, 4}, {5, 1, 2, 4}, {3}, {}, {5, 4, 3}}
	negatives := []int32{5, 3, 0, 0, 2}
	p := nn.NewParams(1)
	loss := func(aux float64) float64 {
		m := seq.DIEN{
			Columns: seq.Columns{Item: "item", History: "history", EmbeddingDim: D, InitStd: .5}, Attention: "bilinear", AttentionSoftmax: true,
			AuxLoss: aux, Head: seq.Head{HiddenUnits: []int{4}, HiddenActivations: "tanh"},
		}
		prog, err := models.Compile(m, p, sc, models.CompileOptions{Batch: 7, Train: true, Seed: 3, Loss: func(s *nn.Scope, z *G.Node, in *models.Inputs) *G.Node {
			return s.Check(ops.MSE(z, ops.Target{Label: in.Label, Rows: s.Rows}))
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer prog.Close()
		b := data.NewBatch(sc, 7)
		b.N = len(rows)
		for i, row := range rows {
			copy(b.IDs["history"][i*maxLen:], row)
			b.IDs["item"][i], b.Label[i] = 2, 3 // labels may look like items
		}
		v, err := prog.Run(b, 5)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	plain := loss(0)
	got := loss(weight) - plain
	value := func(name string) []float32 { return p.Get(name).Data }
	e := func(id int32) []float32 { return value("embedding.item.weight")[int(id)*D:][:D] }
	sum, n := 0.0, 0
	for r, row := range rows {
		h := make([]float64, D)
		for i, id := range row {
			gate := func(k int) (x, y float64) {
				x, y = float64(value("extractor.bias_ih")[k]), float64(value("extractor.bias_hh")[k])
				for c := range D {
					x += float64(value("extractor.weight_ih")[k*D+c]) * float64(e(id)[c])
					y += float64(value("extractor.weight_hh")[k*D+c]) * h[c]
				}
				return x, y
			}
			next := make([]float64, D)
			for c := range D {
				xr, hr := gate(c)
				xz, hz := gate(D + c)
				xn, hn := gate(2*D + c)
				z := sigmoid(xz + hz)
				next[c] = (1-z)*math.Tanh(xn+sigmoid(xr+hr)*hn) + z*h[c]
			}
			h = next
			if i+1 < len(row) && row[i+1] >= data.FirstID {
				var yes, no float64
				for c := range D {
					yes += h[c] * float64(e(row[i+1])[c])
					no += h[c] * float64(e(negatives[r])[c])
				}
				sum -= math.Log(sigmoid(yes)) + math.Log(1-sigmoid(no))
				n++
			}
		}
	}
	if want := weight * sum / float64(n); n != 6 || math.Abs(got-want) > 1e-5 {
		t.Errorf("the auxiliary loss of %d positions is %v, want %v of 6", n, got, want)
	}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
