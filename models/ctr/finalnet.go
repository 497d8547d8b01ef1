package ctr

import (
	"errors"
	"fmt"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// FinalNet is one or two blocks of factorized interaction layers, each of which doubles the order of the interactions: Zhu et al., "FINAL:
// Factorized Interaction Layer for CTR Prediction", SIGIR 2023, section 3. Two blocks learn from their mean, which is what scores.
type FinalNet struct {
	EmbeddingDim            int            `yaml:"embedding_dim"`             // width of each feature's embedding
	BlockType               string         `yaml:"block_type"`                // 1B: one block; 2B: two, each of which learns from the mean of both, too
	BatchNorm               bool           `yaml:"batch_norm"`                // normalise what a layer gives before its activation
	UseFeatureGating        bool           `yaml:"use_feature_gating"`        // beside the embeddings, the first block reads them times gates by field
	Block1HiddenUnits       []int          `yaml:"block1_hidden_units"`       // outputs of the first block's layers, even numbers if residual_type is concat
	Block1HiddenActivations nn.Activations `yaml:"block1_hidden_activations"` // after each of them: relu, tanh, sigmoid, dice, prelu or none; or a list
	Block1Dropout           float64        `yaml:"block1_dropout"`            // dropped share of their outputs, in [0, 1)
	Block2HiddenUnits       []int          `yaml:"block2_hidden_units"`       // the same of the second block
	Block2HiddenActivations nn.Activations `yaml:"block2_hidden_activations"` // the same of the second block
	Block2Dropout           float64        `yaml:"block2_dropout"`            // the same of the second block
	// how a layer keeps its linear map beside the products: concat (half of the outputs each) or sum
	ResidualType string `yaml:"residual_type"`
}

func init() {
	models.Register("finalnet", FinalNet{
		EmbeddingDim: 16, BlockType: "2B", BatchNorm: true, Block1HiddenUnits: []int{400, 400}, Block1HiddenActivations: "relu",
		Block2HiddenUnits: []int{400}, Block2HiddenActivations: "relu", ResidualType: "concat",
	})
}

func (m FinalNet) first() Tower {
	return Tower{m.Block1HiddenUnits, m.Block1HiddenActivations, m.Block1Dropout, m.BatchNorm}
}

func (m FinalNet) second() Tower {
	return Tower{m.Block2HiddenUnits, m.Block2HiddenActivations, m.Block2Dropout, m.BatchNorm}
}

// Validate reports every option out of range.
func (m FinalNet) Validate() error {
	errs := []error{
		registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), registry.OneOf("block_type", m.BlockType, "1B", "2B"),
		registry.OneOf("residual_type", m.ResidualType, "concat", "sum"),
		m.first().validate("block1_", "block1_dropout"), m.second().validate("block2_", "block2_dropout"),
	}
	for i, hidden := range [][]int{m.Block1HiddenUnits, m.Block2HiddenUnits} {
		for k, n := range hidden {
			if n%2 != 0 && m.ResidualType == "concat" {
				key := fmt.Sprintf("block%d_hidden_units.%d", i+1, k)
				errs = append(errs, registry.Field(key, "must be even, since half of the outputs are products, have %d; or set residual_type: sum", n))
			}
		}
	}
	return errors.Join(errs...)
}

// Build returns the logits, [B, 1]. In training, two blocks add their own losses (eq. 12): with z₁ and z₂ their logits and p = σ((z₁ + z₂)/2),
//
//	BCE(σ(z₁), sg(p)) + BCE(σ(z₂), sg(p))
//
// where sg stops the gradient: the blocks learn from their mean as from labels.
func (m FinalNet) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	var e *G.Node // [B, F·D]
	if m.UseFeatureGating {
		e = in.EqualEmbeddings(s, "embedding", m.EmbeddingDim)
	} else {
		e = in.Embeddings(s, "embedding", m.EmbeddingDim)
	}
	x := e
	if m.UseFeatureGating {
		x = fieldGates(s.Sub("gate"), e, m.EmbeddingDim)
	}
	z := nn.Linear(s.Sub("fc1"), m.block(s.Sub("block1"), x, m.first()), 1, kernel.None)
	if m.BlockType == "1B" {
		return z
	}
	other := nn.Linear(s.Sub("fc2"), m.block(s.Sub("block2"), e, m.second()), 1, kernel.None)
	both := mean(s, z, other)
	if s.Train && s.Err() == nil {
		t := in.Target(s)
		t.Label = s.Check(ops.Activate(both, kernel.Sigmoid))
		for _, block := range []*G.Node{z, other} {
			if s.Err() == nil {
				in.AddLoss(s.Check(ops.BCE(block, t)))
			}
		}
	}
	return both
}

// mean returns the mean of two logits, [B, 1].
func mean(s *nn.Scope, a, b *G.Node) *G.Node {
	y := nn.Add(s, a, b)
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.Scale(y, 0.5)), s.Fixed(1))
}

// block returns the output of a block of factorized interaction layers, [B, in] → [B, last hidden]: of each, with W·x + b = [a, c] (eq. 3),
//
//	act(BN([a, a ⊙ c])), or act(BN(a + a ⊙ c)) if residual_type is sum
//
// The parameters of layer l are l.weight and l.bias, and those of its batch norm, of Dice and of PReLU have the prefixes l.bn, l.dice and
// l.prelu.
func (m FinalNet) block(s *nn.Scope, x *G.Node, t Tower) *G.Node {
	acts, err := t.HiddenActivations.Parse(len(t.HiddenUnits))
	s.Fail(err)
	sum := m.ResidualType == "sum"
	for i, n := range t.HiddenUnits {
		l, width := s.Sub(strconv.Itoa(i)), n
		if sum {
			width = 2 * n
		}
		h := nn.Linear(l, x, width, kernel.None)
		if s.Err() != nil {
			return nil
		}
		half := l.Units(width / 2)
		l.Rigid(half)
		l.Tie(l.SpaceOf(h), nn.Join(half, half))
		out := half
		if !sum {
			out = nn.Join(half, half)
		}
		x = l.Columns(l.Check(ops.Factorized(h, sum)), out)
		x = activate(l, x, acts[i], t.BatchNorm)
		x = nn.Dropout(l, x, t.NetDropout)
	}
	return x
}

// activate returns the activation of x, normalised first or not.
func activate(s *nn.Scope, x *G.Node, a nn.Activation, norm bool) *G.Node {
	switch {
	case s.Err() != nil:
		return nil
	case norm:
		x = nn.BatchNorm(s.Sub("bn"), x, a.Act)
	case a.Act != kernel.None:
		sp := s.SpaceOf(x)
		s.Rigid(sp)
		x = s.Columns(s.Check(ops.Activate(x, a.Act)), sp)
	}
	if a.Dice {
		x = nn.Dice(s.Sub("dice"), x, nil)
	}
	if a.PReLU {
		x = nn.PReLU(s.Sub("prelu"), x)
	}
	return x
}

// fieldGates returns e and e ⊙ g side by side, [B, F·dim] → [B, 2·F·dim], with gates g of the fields in each dimension of the embeddings
// (section 3.3): g_k = W·e_k + b with e_k the F values of dimension k. Its parameters are weight, [F, F], which starts at 0, and bias, which
// starts at 1.
func fieldGates(s *nn.Scope, e *G.Node, dim int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	fields := e.Shape()[1] / dim
	one := s.Units(dim)
	s.Rigid(one)
	var all []nn.Space
	for range fields {
		all = append(all, one)
	}
	s.Tie(s.SpaceOf(e), nn.Join(all...))
	by := transposed(fields, dim)
	v := s.Columns(s.Check(ops.Arrange(e, by, fields)), s.Fixed(fields)) // [B·dim, F]
	w, b := s.Param("weight", nn.Zeros, fields, fields), s.Param("bias", nn.Ones, fields)
	if s.Err() != nil {
		return nil
	}
	g := s.Columns(s.Check(ops.Linear(v, w, b, kernel.None)), s.Fixed(fields))
	s.Along("weight", 0, s.Fixed(fields))
	s.Along("weight", 1, s.Fixed(fields))
	s.Along("bias", 0, s.Fixed(fields))
	if s.Err() != nil {
		return nil
	}
	g = s.Columns(s.Check(ops.Arrange(g, transposed(dim, fields), fields*dim)), s.SpaceOf(e))
	return nn.Concat(s, e, nn.Mul(s, e, g))
}

// transposed returns the order of [ops.Arrange] that takes a matrix of so many rows and columns to its transpose.
func transposed(rows, cols int) []int {
	order := make([]int, 0, rows*cols)
	for c := range cols {
		for r := range rows {
			order = append(order, r*cols+c)
		}
	}
	return order
}
