package ctr

import (
	"errors"
	"math"
	"slices"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// FinalMLP is two towers whose outputs meet in bilinear forms: Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction",
// AAAI 2023, arXiv:2304.00902, section 3. Gates by a few context features give each tower another view of the embeddings.
type FinalMLP struct {
	EmbeddingDim          int            `yaml:"embedding_dim"`           // width of each feature's embedding
	MLP1HiddenUnits       []int          `yaml:"mlp1_hidden_units"`       // units of the first tower's layers
	MLP1HiddenActivations nn.Activations `yaml:"mlp1_hidden_activations"` // after each of them: relu, tanh, sigmoid, dice, prelu or none; or a list
	MLP1Dropout           float64        `yaml:"mlp1_dropout"`            // dropped share of their outputs, in [0, 1)
	MLP1BatchNorm         bool           `yaml:"mlp1_batch_norm"`         // normalise between their linear maps and activations
	MLP2HiddenUnits       []int          `yaml:"mlp2_hidden_units"`       // the same of the second tower
	MLP2HiddenActivations nn.Activations `yaml:"mlp2_hidden_activations"` // the same of the second tower
	MLP2Dropout           float64        `yaml:"mlp2_dropout"`            // the same of the second tower
	MLP2BatchNorm         bool           `yaml:"mlp2_batch_norm"`         // the same of the second tower
	UseFS                 bool           `yaml:"use_fs"`                  // gate the embeddings of each tower (feature selection)
	FSHiddenUnits         []int          `yaml:"fs_hidden_units"`         // units of the hidden layers of both gates
	// columns by which the first gate decides, such as those of the user; empty: one gate for all rows
	FS1Context []string `yaml:"fs1_context"`
	FS2Context []string `yaml:"fs2_context"` // the same of the second gate, such as the columns of the item
	NumHeads   int      `yaml:"num_heads"`   // parts into which both towers' outputs are cut, each with a bilinear form of its own
}

func init() {
	models.Register("finalmlp", FinalMLP{
		EmbeddingDim: 16, MLP1HiddenUnits: []int{400, 400, 400}, MLP1HiddenActivations: "relu", MLP2HiddenUnits: []int{400, 400, 400},
		MLP2HiddenActivations: "relu", UseFS: true, FSHiddenUnits: []int{64}, NumHeads: 1,
	})
}

func (m FinalMLP) first() Tower {
	return Tower{m.MLP1HiddenUnits, m.MLP1HiddenActivations, m.MLP1Dropout, m.MLP1BatchNorm}
}

func (m FinalMLP) second() Tower {
	return Tower{m.MLP2HiddenUnits, m.MLP2HiddenActivations, m.MLP2Dropout, m.MLP2BatchNorm}
}

// Validate reports every option out of range.
func (m FinalMLP) Validate() error {
	errs := []error{
		registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), m.first().validate("mlp1_", "mlp1_dropout"), m.second().validate("mlp2_", "mlp2_dropout"),
		units("fs_hidden_units", m.FSHiddenUnits, 0), registry.AtLeast("num_heads", m.NumHeads, 1),
	}
	for i, hidden := range [][]int{m.MLP1HiddenUnits, m.MLP2HiddenUnits} {
		if n := len(hidden); n > 0 && m.NumHeads > 0 && hidden[n-1]%m.NumHeads != 0 {
			errs = append(errs, registry.Field("num_heads", "must divide the last of mlp%d_hidden_units, have %d and %d", i+1, m.NumHeads, hidden[n-1]))
		}
	}
	return errors.Join(errs...)
}

// Build returns the logits, [B, 1].
func (m FinalMLP) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	e := in.Embeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	a, b := e, e
	if m.UseFS {
		a = m.gate(s.Sub("gate1"), in, e, m.FS1Context)
		b = m.gate(s.Sub("gate2"), in, e, m.FS2Context)
	}
	return m.fuse(s.Sub("fusion"), m.first().mlp(s.Sub("mlp1"), a, 0), m.second().mlp(s.Sub("mlp2"), b, 0))
}

// gate returns 2·σ(g) ⊙ e for a tower g over embeddings of the context features, with tables of its own, or over a learned vector (eqs. 4 to
// 6). Its parameters are embedding, or context, [1, D]; mlp and out.
func (m FinalMLP) gate(s *nn.Scope, in *models.Inputs, e *G.Node, context []string) *G.Node {
	if s.Err() != nil {
		return nil
	}
	var c *G.Node
	if len(context) > 0 {
		c = in.Embed(s, "embedding", m.EmbeddingDim, context...)
	} else {
		c = everywhere(s, "context", m.EmbeddingDim)
	}
	g := nn.Linear(s.Sub("out"), nn.MLP(s.Sub("mlp"), c, nn.MLPOptions{Hidden: m.FSHiddenUnits, Activation: kernel.ReLU}), e.Shape()[1], kernel.Sigmoid)
	if s.Err() != nil {
		return nil
	}
	return nn.Mul(s, s.Columns(s.Check(ops.Scale(g, 2)), s.SpaceOf(g)), e)
}

// everywhere returns a learned vector in each row, [B, dim]. The parameter of that name, [1, dim], starts at 0.
func everywhere(s *nn.Scope, name string, dim int) *G.Node {
	v := s.Param(name, nn.Zeros, 1, dim)
	ones := s.Constant("ones", slices.Repeat([]float32{1}, s.Batch), s.Batch, 1)
	if s.Err() != nil {
		return nil
	}
	sp := s.Units(dim)
	s.Along(name, 1, sp)
	return s.Columns(s.Check(ops.LinearBack(ones, v)), sp)
}

// fuse returns the logit of both towers' outputs, [B, 1] (eqs. 8 and 9, in FuxiCTR's form):
//
//	w₁·x + b₁ + w₂·y + b₂ + Σ_h x_hᵀ·W_h·y_h
//
// with x_h and y_h the heads. Its parameters are x, y, and of each head h.weight, [|y_h|, |x_h|].
func (m FinalMLP) fuse(s *nn.Scope, x, y *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	dx, dy := x.Shape()[1]/m.NumHeads, y.Shape()[1]/m.NumHeads
	init := nn.Normal(math.Sqrt(2 / float64(1+m.NumHeads*dx*dy))) // Xavier, of one output
	parts, xs := make(G.Nodes, m.NumHeads), make([]nn.Space, m.NumHeads)
	for h := range xs {
		xs[h] = s.Sub(strconv.Itoa(h)).Sub("x").Units(dx)
	}
	s.Tie(s.SpaceOf(x), nn.Join(xs...))
	for h := range parts {
		head := s.Sub(strconv.Itoa(h))
		xh := head.Columns(head.Check(ops.Columns(x, h*dx, dx)), xs[h])
		parts[h] = nn.Project(head.Weights(init), xh, dy)
	}
	forms := nn.Mul(s, nn.Concat(s, parts...), y)
	if s.Err() != nil {
		return nil
	}
	z := s.Columns(s.Check(ops.SumCols(forms)), s.Fixed(1))
	return nn.Add(s, nn.Linear(s.Sub("x"), x, 1, kernel.None), nn.Linear(s.Sub("y"), y, 1, kernel.None), z)
}
