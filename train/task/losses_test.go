package task_test

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/task"
)

var update = flag.Bool("update", false, "write the draws of TestLossParity to testdata/drawn.json")

// lossCase is a loss, the items drawn for it, and what PyTorch makes of them.
type lossCase struct {
	Loss        string  `json:"loss"`
	Negatives   int     `json:"negatives"`
	Shared      bool    `json:"shared"`
	By          string  `json:"by"`
	Exponent    float64 `json:"exponent"`
	LogQ        bool    `json:"logq"`
	Calibration float64 `json:"calibration"`
	Drawn       []int32 `json:"drawn"`

	Value  float64   `json:"value"`
	States []float32 `json:"states"` // gradient of the states
	Table  []float32 `json:"table"`  // gradient of the items
}

// added is a model whose states are a parameter, plus the embeddings of the history.
type added struct{}

func (added) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	x, h := in.Sequence(s, "embedding", 3, "history")
	if s.Err() != nil {
		return nil
	}
	w := s.Param("states", nn.Zeros, x.Shape()...)
	return in.Rank(s, "embedding", h, nn.Add(s, x, w))
}

// TestLossParity compares each loss and its gradients with PyTorch's over the same items drawn: testdata/torch_losses.py makes the expected
// values. The catalogue is so small that items drawn are often those that come next.
func TestLossParity(t *testing.T) {
	var want struct {
		History [][]int32  `json:"history"`
		Next    []float32  `json:"next"`
		Counts  []int64    `json:"counts"`
		States  []float32  `json:"states"`
		Table   []float32  `json:"table"`
		Cases   []lossCase `json:"cases"`
	}
	text, err := os.ReadFile("testdata/losses.json")
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	cases := []lossCase{{Loss: "full"}}
	for _, shared := range []bool{true, false} {
		for _, by := range []string{models.Uniform, models.Popularity, models.InBatch} {
			for _, loss := range []string{"sampled_softmax", "gbce", "bce", "bpr"} {
				c := lossCase{Loss: loss, Negatives: 4, Shared: shared, By: by, Exponent: .75, Calibration: .6}
				cases = append(cases, c)
				if c.LogQ = true; loss == "sampled_softmax" && by != models.Uniform {
					cases = append(cases, c)
				}
			}
		}
	}
	hits := 0
	for i, c := range cases {
		o := task.NextItem{
			Objective: c.Loss, Negatives: c.Negatives, Shared: c.Shared, NegativesBy: c.By, Exponent: c.Exponent, LogQ: c.LogQ, Calibration: c.Calibration,
		}
		var catalogue *models.Catalogue
		loss := func(s *nn.Scope, states *G.Node, in *models.Inputs) *G.Node {
			catalogue = in.Catalogue()
			return o.Loss(s, states, in)
		}
		const vocab, maxLen, dim = 13, 5, 3
		sc := &data.Schema{
			Features: []data.Feature{{Name: "history", Kind: data.Sequence, Vocab: vocab, MaxLen: maxLen, Table: "item"}},
			Counts:   map[string][]int64{"item": want.Counts},
		}
		p := nn.NewParams(1)
		prog, err := models.Compile(added{}, p, sc, models.CompileOptions{
			Batch: len(want.Next), Train: true, Seed: 1, Loss: loss, WholeCatalogue: o.WholeCatalogue(), Length: maxLen,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer prog.Close()
		copy(p.Get("states").Data, want.States)
		copy(p.Get("embedding.item.weight").Data, want.Table)
		b := data.NewBatch(sc, len(want.Next))
		b.N = len(want.Next)
		for r, y := range want.Next {
			b.Label[r] = y
			copy(b.IDs["history"][r*maxLen:], want.History[r])
		}
		value, err := prog.Run(b, 5)
		if err != nil {
			t.Fatal(err)
		}
		cases[i].Drawn = slices.Clone(catalogue.Drawn())
		if *update {
			continue
		}
		if i >= len(want.Cases) {
			t.Fatalf("testdata has %d cases, want %d", len(want.Cases), len(cases))
		}
		w := want.Cases[i]
		if w.Loss != c.Loss || w.Shared != c.Shared || w.By != c.By || w.LogQ != c.LogQ || !slices.Equal(w.Drawn, cases[i].Drawn) {
			t.Fatalf("%+v: draws %v, want %v of %+v", c, cases[i].Drawn, w.Drawn, w)
		}
		if c.Shared {
			for _, y := range *catalogue.Next() {
				if slices.Contains(w.Drawn, y) {
					hits++
				}
			}
		}
		if math.Abs(value-w.Value) > 1e-6 {
			t.Errorf("%+v: loss %v, want %v", c, value, w.Value)
		}
		got := map[string][]float32{}
		for _, g := range prog.Grads() {
			got[g.Param.Name] = g.Grad
		}
		for _, g := range prog.RowGrads() {
			dense := make([]float32, len(g.Param.Data))
			for i, id := range g.IDs {
				kernel.Add(dense[int(id)*dim:int(id+1)*dim], g.Grad[i*dim:])
			}
			got[g.Param.Name] = dense
		}
		for name, grad := range map[string][]float32{"states": w.States, "embedding.item.weight": w.Table} {
			for k, v := range grad {
				if len(got[name]) != len(grad) || !(math.Abs(float64(got[name][k]-v)) <= 1e-5*math.Abs(float64(v))+1e-6) {
					t.Errorf("%+v: gradient of %s[%d] is not %v: %v", c, name, k, v, got[name])
					break
				}
			}
		}
	}
	if *update {
		text, err := json.Marshal(cases)
		if err == nil {
			err = os.WriteFile("testdata/drawn.json", append(text, '\n'), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	} else if hits < 20 {
		t.Errorf("%d items drawn are those that come next: too few to show that they take no part", hits)
	}
}
