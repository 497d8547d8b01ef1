package seq_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/seq"
	"github.com/splice-ml/splice/train/task"
)

// TestParity compares logits, loss and every gradient with PyTorch's: testdata/torch_parity.py makes the expected values.
func TestParity(t *testing.T) {
	columns := seq.Columns{Item: "item", History: "history", EmbeddingDim: 6, InitStd: .1}
	head := seq.Head{HiddenUnits: []int{8, 4}, HiddenActivations: "tanh"}
	dice := seq.Head{HiddenUnits: []int{8, 4}, HiddenActivations: "dice"}
	blocks := seq.Transformer{NumBlocks: 2, NumHeads: 2}
	bst := func(pooling string, blocks int) seq.BST {
		return seq.BST{Columns: columns, NumBlocks: blocks, NumHeads: 2, Inner: 5, SeqPooling: pooling, Head: head}
	}
	full := task.NextItem{Objective: "full"}
	for file, c := range map[string]struct {
		model models.Model
		loss  models.LossFunc
		next  bool
	}{
		"din_unit":    {seq.DIN{Columns: columns, Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: "sigmoid", Head: head}, modeltest.BCE, false},
		"din_softmax": {seq.DIN{Columns: columns, Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: "sigmoid", AttentionSoftmax: true, Head: head}, modeltest.BCE, false},
		"din_dice":    {seq.DIN{Columns: columns, Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: "dice", Head: dice}, modeltest.BCE, false},
		"gru4rec":     {seq.GRU4Rec{Columns: columns, HiddenSize: 5, Head: head}, modeltest.BCE, false},
		"duet":        {seq.DUET{Columns: columns, Encoder: "din", GeneratorUnits: 3, Transformer: blocks, Head: head}, modeltest.BCE, false},
		"duet_local": {
			seq.DUET{Columns: columns, Encoder: "din", GeneratorUnits: 3, Splice: "local", Transformer: blocks, Head: head}, modeltest.BCE, false,
		},
		"sasrec":       {seq.SASRec{Columns: columns, Transformer: blocks, Head: head}, modeltest.BCE, false},
		"esasrec":      {seq.ESASRec{Columns: columns, LiGR: seq.LiGR{Positions: "last", NumBlocks: 2, NumHeads: 2, Inner: 10}, Head: head}, modeltest.BCE, false},
		"gru4rec_next": {seq.GRU4Rec{Columns: columns, HiddenSize: 5, Output: seq.Output{Output: seq.Items}}, full.Loss, true},
		"esasrec_next": {seq.ESASRec{Columns: columns, LiGR: seq.LiGR{Positions: "last", NumBlocks: 2, NumHeads: 2}, Output: seq.Output{Output: seq.Items}}, full.Loss, true},
		"sasrec_next":  {seq.SASRec{Columns: columns, Transformer: blocks, Output: seq.Output{Output: seq.Items}}, full.Loss, true},
		"sasrec_published_next": {
			seq.SASRec{Columns: columns, Transformer: blocks, Residual: "normalized", Output: seq.Output{Output: seq.Items}}, full.Loss, true,
		},
		"bst":        {bst("mean", 2), modeltest.BCE, false},
		"bst_sum":    {bst("sum", 1), modeltest.BCE, false},
		"bst_target": {bst("target", 1), modeltest.BCE, false},
		"dien":       {seq.DIEN{Columns: columns, Attention: "bilinear", AttentionSoftmax: true, Head: head}, modeltest.BCE, false},
		"dien_dot":   {seq.DIEN{Columns: columns, Attention: "dot", Head: head}, modeltest.BCE, false},
		"dien_unit": {seq.DIEN{
			Columns: columns, Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: "dice", SumPooling: true, Head: dice,
		}, modeltest.BCE, false},
	} {
		t.Run(file, func(t *testing.T) {
			var want struct {
				Item    []int32           `json:"item"`
				History [][]int32         `json:"history"`
				Label   []float32         `json:"label"`
				Logits  []float32         `json:"logits"`
				Scores  []float32         `json:"scores"`
				Buffers map[string]golden `json:"buffers"`
				Loss    float64           `json:"loss"`
				Params  map[string]golden `json:"params"`
				Grads   map[string]golden `json:"grads"`
			}
			text, err := os.ReadFile("testdata/" + file + ".json")
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			const vocab, maxLen = 13, 5
			sc := &data.Schema{Features: []data.Feature{{Name: "history", Kind: data.Sequence, Vocab: vocab, MaxLen: maxLen, Table: "item"}}}
			if !c.next {
				sc.Features = append(sc.Features, data.Feature{Name: "item", Kind: data.Categorical, Vocab: vocab, Table: "item"})
			}
			p := nn.NewParams(1)
			prog, err := models.Compile(c.model, p, sc, models.CompileOptions{Batch: 9, Train: true, Loss: c.loss, WholeCatalogue: c.next})
			if err != nil {
				t.Fatal(err)
			}
			defer prog.Close()
			if n := len(want.Params) + len(want.Buffers); len(p.All()) != n {
				t.Errorf("%d parameters, want %d", len(p.All()), n)
			}
			for name, g := range want.Params {
				q := p.Get(name)
				if q == nil || !slices.Equal(q.Shape, g.Shape) {
					t.Fatalf("%s is %v, want %v", name, q, g.Shape)
				}
				copy(q.Data, g.Data)
			}
			b := data.NewBatch(sc, 9)
			b.N = len(want.Item)
			for i := range want.Item {
				if !c.next {
					b.IDs["item"][i] = want.Item[i]
				}
				b.Label[i] = want.Label[i]
				copy(b.IDs["history"][i*maxLen:], want.History[i])
			}
			loss, err := prog.Run(b, 0)
			if err != nil {
				t.Fatal(err)
			}
			if d := math.Abs(loss - want.Loss); d > 1e-5 {
				t.Errorf("loss %v, want %v", loss, want.Loss)
			}
			if !c.next {
				eval, err := models.Compile(c.model, p, sc, models.CompileOptions{Batch: 9})
				if err != nil {
					t.Fatal(err)
				}
				defer eval.Close()
				if _, err := eval.Run(b, 0); err != nil {
					t.Fatal(err)
				}
				near(t, "logit", prog.Logits()[:b.N], want.Logits)
				near(t, "score", eval.Logits()[:b.N], want.Scores)
			}
			for name, g := range want.Buffers {
				if q := p.Get(name); q == nil || q.Kind != nn.Buffer {
					t.Errorf("%s is %v, want statistics", name, q)
				} else {
					near(t, name, q.Data, g.Data)
				}
			}
			got := gradients(prog)
			for name, g := range want.Grads {
				if len(got[name]) != len(g.Data) {
					t.Errorf("%s has a gradient of %d values, want %d", name, len(got[name]), len(g.Data))
					continue
				}
				for i, v := range g.Data {
					if d := math.Abs(float64(got[name][i] - v)); !(d <= 2e-5*math.Abs(float64(v))+2e-6) {
						t.Errorf("gradient of %s[%d] = %v, want %v", name, i, got[name][i], v)
						break
					}
				}
			}
		})
	}
}

// near compares values of about 1.
func near(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	for i, v := range want {
		if d := math.Abs(float64(got[i] - v)); !(d <= 1e-5) {
			t.Errorf("%s %d is %v, want %v", name, i, got[i], v)
		}
	}
}

// gradients returns the gradients of the last run, as whole parameters.
func gradients(prog *models.Program) map[string][]float32 {
	out := map[string][]float32{}
	for _, g := range prog.Grads() {
		out[g.Param.Name] = g.Grad
	}
	for _, g := range prog.RowGrads() {
		dense := make([]float32, len(g.Param.Data))
		for i, id := range g.IDs {
			copy(dense[int(id)*g.Param.Dim():], g.Grad[i*g.Param.Dim():(i+1)*g.Param.Dim()])
		}
		out[g.Param.Name] = dense
	}
	return out
}
