package ctr

import (
	"errors"
	"slices"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// QNN is the quadratic network QNN-α: Li et al., "Revisiting Feature Interactions from the Perspective of Quadratic Neural Networks for
// Click-through Rate Prediction", KDD 2025, arXiv:2505.17999, section 4. Each layer multiplies its input by several rows of a hidden layer
// (Khatri-Rao product). The paper trains it with the self-ensemble loss, which is `task.dropout_passes: 2`.
type QNN struct {
	EmbeddingDim int     `yaml:"embedding_dim"` // width of each feature's embedding
	NumLayers    int     `yaml:"num_layers"`    // quadratic layers; each doubles the order of the interactions
	NumRow       int     `yaml:"num_row"`       // rows of the hidden layer by which the input is multiplied (M in the paper)
	NumHeads     int     `yaml:"num_heads"`     // parts of each embedding that are put side by side for the product
	NetDropout   float64 `yaml:"net_dropout"`   // dropped share of the hidden layers and of the layers' outputs, in [0, 1)
	BatchNorm    bool    `yaml:"batch_norm"`    // normalise the hidden layers before their activation
}

func init() {
	models.Register("qnn", QNN{EmbeddingDim: 16, NumLayers: 3, NumRow: 3, NumHeads: 1, NetDropout: 0.1, BatchNorm: true})
}

// Validate reports every option out of range.
func (m QNN) Validate() error {
	errs := []error{
		registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), registry.In("num_layers", m.NumLayers, 1, 64),
		registry.In("num_row", m.NumRow, 1, 4096), registry.AtLeast("num_heads", m.NumHeads, 1),
		registry.InBelow("net_dropout", m.NetDropout, 0, 1),
	}
	if m.NumHeads > 0 && m.EmbeddingDim%m.NumHeads != 0 {
		errs = append(errs, registry.Field("num_heads", "must divide embedding_dim, have %d and %d", m.NumHeads, m.EmbeddingDim))
	}
	return errors.Join(errs...)
}

// Build returns the logits, [B, outputs].
func (m QNN) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	var x *G.Node // [B, F·D]
	if m.NumHeads > 1 {
		x = in.EqualEmbeddings(s, "embedding", m.EmbeddingDim)
	} else {
		x = in.Embeddings(s, "embedding", m.EmbeddingDim)
	}
	if s.Err() != nil {
		return nil
	}
	var order []int
	if m.NumHeads > 1 {
		order = headsOf(x.Shape()[1]/m.EmbeddingDim, m.NumHeads, m.EmbeddingDim/m.NumHeads)
	}
	rows := s.Constant("ones", slices.Repeat([]float32{1}, s.Batch*m.NumRow), s.Batch, m.NumRow)
	for i := range m.NumLayers {
		x = m.layer(s.Sub("layers").Sub(strconv.Itoa(i)), x, rows, order)
	}
	return nn.Linear(s.Sub("fc"), x, in.Schema.Outputs(), kernel.None)
}

// layer returns the output of a quadratic layer, [B, D] → [B, D] (eq. 14, in the form of the authors' code):
//
//	π(x) ⊙ Σ_r h_r + x,  [h_1, …, h_M] = relu(BN(W·x + b))
//
// where π puts the heads of all embeddings side by side. Its parameters are weight, [M·D, D], bias, and those of bn. rows holds ones,
// [B, M].
func (m QNN) layer(s *nn.Scope, x, rows *G.Node, order []int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	d, sp := x.Shape()[1], s.SpaceOf(x)
	var h *G.Node
	if m.BatchNorm {
		h = nn.BatchNorm(s.Sub("bn"), nn.Linear(s, x, m.NumRow*d, kernel.None), kernel.ReLU)
	} else {
		h = nn.Linear(s, x, m.NumRow*d, kernel.ReLU)
	}
	h = nn.Dropout(s.Sub("hidden"), h, m.NetDropout)
	y := x
	if order != nil && s.Err() == nil {
		sp = s.Fixed(d)
		s.Tie(s.SpaceOf(x), sp)
		y = s.Columns(s.Check(ops.Arrange(x, order, d)), sp)
	}
	if s.Err() != nil {
		return nil
	}
	var all []nn.Space
	for range m.NumRow {
		all = append(all, sp)
	}
	s.Tie(s.SpaceOf(h), nn.Join(all...))
	sum := s.Columns(s.Check(ops.Mixture(rows, h)), sp)
	return nn.Dropout(s, nn.Add(s, nn.Mul(s, y, sum), x), m.NetDropout)
}

// headsOf returns the order of [ops.Arrange] that puts the heads of all fields side by side: from fields that each have so many heads of width
// d, to heads that each have all fields.
func headsOf(fields, heads, d int) []int {
	var order []int
	for h := range heads {
		for f := range fields {
			for k := range d {
				order = append(order, (f*heads+h)*d+k)
			}
		}
	}
	return order
}
