package mergetest

import (
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/seq"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/task"
)

// Setting is a model with what it learns, on which methods are tried.
type Setting struct {
	Model  models.Model
	Task   task.Task
	Schema *data.Schema // of rows as modeltest.Batch makes them
}

// RowsOf is a model over rows of every kind of feature.
func RowsOf(m models.Model) Setting {
	return Setting{m, task.Binary{MetricNames: []string{"logloss", "auc"}}, modeltest.Schema()}
}

// Tasks returns small models of several tasks, by name.
func Tasks() map[string]Setting {
	towers := ctr.TaskTowers{EmbeddingDim: 4, TowerHiddenUnits: []int{6}, HiddenActivations: "tanh"}
	own := task.Binary{MetricNames: []string{"logloss", "auc"}}
	several := task.MultiTask{Tasks: []task.LabelTask{{Label: "click", Task: own}, {Label: "conversion", Task: own}}}
	out := map[string]Setting{}
	for name, m := range map[string]models.Model{
		"shared_bottom": ctr.SharedBottom{BottomHiddenUnits: []int{8, 5}, TaskTowers: towers},
		"mmoe":          ctr.MMoE{NumExperts: 3, ExpertHiddenUnits: []int{8, 5}, TaskTowers: towers},
		"mmoe/gates":    ctr.MMoE{NumExperts: 3, ExpertHiddenUnits: []int{6}, GateHiddenUnits: []int{5}, TaskTowers: towers},
		"ple":           ctr.PLE{NumLayers: 1, NumSharedExperts: 2, NumSpecificExperts: 2, ExpertHiddenUnits: []int{8, 5}, TaskTowers: towers},
		"ple/layers":    ctr.PLE{NumLayers: 2, NumSharedExperts: 3, NumSpecificExperts: 1, ExpertHiddenUnits: []int{6}, TaskTowers: towers},
		"esmm":          ctr.ESMM{TaskTowers: towers},
	} {
		out[name] = Setting{m, several, modeltest.Labelled()}
	}
	return out
}

// Histories returns small models of histories, by name: all that are registered, those that rank a catalogue with the table of items
// inside of the graph and outside.
func Histories() map[string]Setting {
	columns := seq.Columns{Item: "item", History: "history", EmbeddingDim: 6, InitStd: .1}
	head := seq.Head{HiddenUnits: []int{8, 5}, HiddenActivations: "tanh"}
	blocks := seq.Transformer{NumBlocks: 2, NumHeads: 2, Inner: 7}
	items := seq.Output{Output: seq.Items}
	out := map[string]Setting{}
	for name, m := range map[string]models.Model{
		"bst":  seq.BST{Columns: columns, NumBlocks: 1, NumHeads: 2, Inner: 7, SeqPooling: "mean", Head: head},
		"dien": seq.DIEN{Columns: columns, Attention: "bilinear", AttentionSoftmax: true, SumPooling: true, AuxLoss: .5, Head: head},
		"dien/dice": seq.DIEN{
			Columns: columns, Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: "dice", AttentionSoftmax: true, Head: head,
		},
		"din":      seq.DIN{Columns: columns, Attention: "dot", Head: head},
		"din/unit": seq.DIN{Columns: columns, Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: "sigmoid", Head: head},
		"din/dice": seq.DIN{
			Columns: columns, Attention: "unit", AttentionUnits: []int{5}, AttentionActivation: "dice",
			Head: seq.Head{HiddenUnits: []int{8, 5}, HiddenActivations: "dice"},
		},
		"duet/din":     seq.DUET{Columns: columns, Encoder: "din", GeneratorUnits: 4, Transformer: blocks, Head: head},
		"duet/local":   seq.DUET{Columns: columns, Encoder: "din", GeneratorUnits: 4, Splice: "local", Transformer: blocks, Head: head},
		"duet/gru4rec": seq.DUET{Columns: columns, Encoder: "gru4rec", GeneratorUnits: 4, Transformer: blocks, Head: head},
		"duet/sasrec":  seq.DUET{Columns: columns, Encoder: "sasrec", GeneratorUnits: 4, Transformer: blocks, Head: head},
		"esasrec":      seq.ESASRec{Columns: columns, LiGR: seq.LiGR(blocks), Head: head},
		"gru4rec":      seq.GRU4Rec{Columns: columns, HiddenSize: 5, Head: head},
		"sasrec":       seq.SASRec{Columns: columns, Transformer: blocks, Head: head},
	} {
		out[name] = Setting{m, task.Binary{MetricNames: []string{"logloss", "auc"}}, modeltest.Histories()}
	}
	for name, m := range map[string]models.Model{
		"gru4rec/next":      seq.GRU4Rec{Columns: columns, Output: items, Head: head},
		"gru4rec/projected": seq.GRU4Rec{Columns: columns, HiddenSize: 5, Output: items, Head: head},
		"esasrec/next":      seq.ESASRec{Columns: columns, LiGR: seq.LiGR(blocks), Output: items, Head: head},
		"sasrec/next":       seq.SASRec{Columns: columns, Transformer: blocks, Output: items, Head: head},
	} {
		for _, loss := range []string{"full", "sampled_softmax"} {
			d, _ := task.Registry.Default("next_item")
			next := d.(task.NextItem)
			next.Objective, next.Negatives, next.MetricNames = loss, 4, []string{"ndcg@5", "hr@5"}
			out[name+"/"+loss] = Setting{m, next, &data.Schema{Features: modeltest.Histories().Features[1:2]}}
		}
	}
	return out
}

// Lab returns a lab with the model and a few rows. Reading its test rows fails the test.
func (s Setting) Lab(t *testing.T) *cki.Lab {
	t.Helper()
	o := train.Defaults()
	o.BatchSize, o.Epochs, o.LearningRate = 16, 1, 1e-2
	return &cki.Lab{
		Model: s.Model, Task: s.Task, Options: o, Seed: 3, Dir: t.TempDir(), Log: quiet(),
		Data: &data.Splits{
			Schema: s.Schema, Train: rows(t, s.Schema, 64, 1), Valid: rows(t, s.Schema, 48, 2), Test: forbidden{rows(t, s.Schema, 1, 3), t},
		},
	}
}

// Params returns the values of a parent: those of the base, which is parent 0, and a change of its own.
func (s Setting) Params(t *testing.T, k int) *nn.Params {
	t.Helper()
	p, err := models.NewParams(s.Model, s.Schema, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p.All() {
		fill(q, k)
	}
	return p
}
