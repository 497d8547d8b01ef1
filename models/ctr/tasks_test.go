package ctr_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
)

// TestTaskParity: logits, loss and the gradient of every parameter are those of an independent implementation in PyTorch, in
// testdata/tasks/parity.json, which torch_tasks.py beside it writes.
func TestTaskParity(t *testing.T) {
	var want struct {
		IDs   map[string][]int32
		Dense []float32
		Label [][]float32
		Cases []struct {
			Model   string
			Options struct {
				Bottom   []int `json:"bottom_hidden_units"`
				Tower    []int `json:"tower_hidden_units"`
				Expert   []int `json:"expert_hidden_units"`
				Gate     []int `json:"gate_hidden_units"`
				Experts  int   `json:"num_experts"`
				Layers   int   `json:"num_layers"`
				Shared   int   `json:"num_shared_experts"`
				Specific int   `json:"num_specific_experts"`
			}
			Logits []float32
			Loss   float64
			Params map[string]struct{ Value, Gradient []float32 }
		}
	}
	text, err := os.ReadFile("testdata/tasks/parity.json")
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil || len(want.Cases) == 0 {
		t.Fatalf("%d cases, %v", len(want.Cases), err)
	}
	sc := &data.Schema{
		NumDense: 1, Labels: []data.Label{{Name: "click"}, {Name: "like"}},
		Features: []data.Feature{
			{Name: "n", Kind: data.Numeric, Table: "n"},
			{Name: "a", Kind: data.Categorical, Vocab: 5, Table: "a"},
			{Name: "b", Kind: data.Categorical, Vocab: 6, Table: "b"},
		},
	}
	n := len(want.Dense)
	b := data.NewBatch(sc, n)
	b.N = n
	copy(b.Dense, want.Dense)
	for name, ids := range want.IDs {
		copy(b.IDs[name], ids)
	}
	for k, y := range want.Label {
		copy(b.Labels[k], y)
	}
	for i, c := range want.Cases {
		o := c.Options
		towers := ctr.TaskTowers{EmbeddingDim: 3, TowerHiddenUnits: o.Tower, HiddenActivations: "tanh"}
		m := map[string]models.Model{
			"shared_bottom": ctr.SharedBottom{BottomHiddenUnits: o.Bottom, TaskTowers: towers},
			"mmoe":          ctr.MMoE{NumExperts: o.Experts, ExpertHiddenUnits: o.Expert, GateHiddenUnits: o.Gate, TaskTowers: towers},
			"ple": ctr.PLE{
				NumLayers: o.Layers, NumSharedExperts: o.Shared, NumSpecificExperts: o.Specific, ExpertHiddenUnits: o.Expert,
				GateHiddenUnits: o.Gate, TaskTowers: towers,
			},
			"esmm": ctr.ESMM{TaskTowers: towers},
		}[c.Model]
		t.Run(fmt.Sprintf("%d %s", i, c.Model), func(t *testing.T) {
			p := nn.NewParams(1)
			prog, err := models.Compile(m, p, sc, models.CompileOptions{Batch: n, Train: true, Loss: modeltest.Tasks})
			if err != nil {
				t.Fatal(err)
			}
			defer prog.Close()
			if got := len(p.All()); got != len(c.Params) {
				t.Errorf("%d parameters, want %d", got, len(c.Params))
			}
			for _, q := range p.All() {
				if len(c.Params[q.Name].Value) != len(q.Data) {
					t.Fatalf("parameter %s %v, want %d values", q.Name, q.Shape, len(c.Params[q.Name].Value))
				}
				copy(q.Data, c.Params[q.Name].Value)
			}
			loss, err := prog.Run(b, 0)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(loss-c.Loss) > 1e-6 {
				t.Errorf("loss %v, want %v", loss, c.Loss)
			}
			near(t, "logits", prog.Logits(), c.Logits)
			for _, g := range prog.Grads() {
				near(t, g.Param.Name, g.Grad, c.Params[g.Param.Name].Gradient)
			}
			for _, g := range prog.RowGrads() {
				d := g.Param.Dim()
				whole := make([]float32, len(g.Param.Data))
				for k, id := range g.IDs {
					copy(whole[int(id)*d:], g.Grad[k*d:(k+1)*d])
				}
				near(t, g.Param.Name, whole, c.Params[g.Param.Name].Gradient)
			}
		})
	}
}

func near(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 2e-6 {
			t.Errorf("%s[%d] = %v, want %v", name, i, got[i], want[i])
			return
		}
	}
}

// TestClasses: models whose last layer is linear give a logit for each class of a label, and for each of several labels; towers of tasks too.
func TestClasses(t *testing.T) {
	small := ctr.Tower{HiddenUnits: []int{8}, HiddenActivations: "relu"}
	towers := ctr.TaskTowers{EmbeddingDim: 4, HiddenActivations: "relu"}
	for name, m := range map[string]models.Model{
		"mlp": ctr.MLP{EmbeddingDim: 4, Tower: small}, "dcn": ctr.DCN{EmbeddingDim: 4, NumCrossLayers: 1, Tower: small},
		"dcnv2":         ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 1, ModelStructure: "parallel", Tower: small},
		"shared_bottom": ctr.SharedBottom{BottomHiddenUnits: []int{4}, TaskTowers: towers},
		"mmoe":          ctr.MMoE{NumExperts: 2, ExpertHiddenUnits: []int{4}, TaskTowers: towers},
		"ple":           ctr.PLE{NumLayers: 1, NumSharedExperts: 1, NumSpecificExperts: 1, ExpertHiddenUnits: []int{4}, TaskTowers: towers},
	} {
		for want, labels := range map[int][]data.Label{
			1: nil, 2: {{Name: "a"}, {Name: "b"}}, 3: {{Name: "a", Classes: []string{"x", "y", "z"}}},
			4: {{Name: "a"}, {Name: "b", Classes: []string{"x", "y", "z"}}},
		} {
			sc := modeltest.Schema()
			sc.Labels = labels
			prog, err := models.Compile(m, nn.NewParams(1), sc, models.CompileOptions{Batch: 3})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, err := prog.Run(modeltest.Batch(sc, 3, 3, 1), 0); err != nil {
				t.Fatal(err)
			}
			if got := len(prog.Logits()) / 3; got != want {
				t.Errorf("%s gives %d logits a row for labels %v, want %d", name, got, labels, want)
			}
			prog.Close()
		}
	}
	_, err := models.Compile(ctr.ESMM{TaskTowers: towers}, nn.NewParams(1), modeltest.Schema(), models.CompileOptions{Batch: 3})
	if err == nil || !strings.Contains(err.Error(), "model esmm: wants two labels that are 0 or 1") {
		t.Errorf("error %v of one label", err)
	}
}
