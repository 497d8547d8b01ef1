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
)

// Wukong is a tower over a stack of layers, each of which makes new embeddings X [n, D] of those before it by factorisation machines and by
// linear compression (Zhang et al., "Wukong: Towards a Scaling Law for Large-Scale Recommendation", ICML 2024, arXiv:2403.02545, section 3):
//
//	X ← LN([FMB(X); W_L·X] + X),  FMB(X) = reshape(MLP(LN(flatten(X·Xᵀ·Y))))
//
// The layer norm outside is over each embedding. Where their number changes, a linear map over them takes the place of the last X. Layer i
// catches interactions of up to 2^i fields.
type Wukong struct {
	EmbeddingDim   int   `yaml:"embedding_dim"`    // width of each feature's embedding
	NumLayers      int   `yaml:"num_layers"`       // layers of the stack
	LCBFeatures    int   `yaml:"lcb_features"`     // embeddings that a layer makes by linear compression
	FMBFeatures    int   `yaml:"fmb_features"`     // embeddings that a layer makes by factorisation machines
	FMBRank        int   `yaml:"fmb_rank"`         // columns of Y, which compresses the inner products of embeddings; 0: X·Xᵀ as it is
	FMBHiddenUnits []int `yaml:"fmb_hidden_units"` // units of the hidden layers of the MLP in a layer, whose output is linear
	Tower          `yaml:",inline"`
}

func init() {
	models.Register("wukong", Wukong{
		EmbeddingDim: 64, NumLayers: 3, LCBFeatures: 40, FMBFeatures: 40, FMBRank: 8, FMBHiddenUnits: []int{512, 256},
		Tower: Tower{HiddenUnits: []int{512, 256}, HiddenActivations: "relu"},
	})
}

// Validate reports every option out of range.
func (m Wukong) Validate() error {
	errs := []error{
		registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), registry.In("num_layers", m.NumLayers, 1, 64),
		registry.In("lcb_features", m.LCBFeatures, 1, 4096), registry.In("fmb_features", m.FMBFeatures, 1, 4096),
		registry.In("fmb_rank", m.FMBRank, 0, 4096), units("fmb_hidden_units", m.FMBHiddenUnits, 1), m.Tower.Validate(),
	}
	if _, err := m.block().HiddenActivations.Parse(len(m.FMBHiddenUnits)); err != nil {
		errs = append(errs, registry.Field("hidden_activations", "of fmb_hidden_units: %v", err))
	}
	return errors.Join(errs...)
}

// block is the MLP of a factorisation machine block.
func (m Wukong) block() Tower {
	t := m.Tower
	t.HiddenUnits, t.BatchNorm = slices.Clone(m.FMBHiddenUnits), false
	return t
}

// Build returns the logits, [B, outputs].
func (m Wukong) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	x := in.EqualEmbeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	for i := range m.NumLayers {
		x = m.layer(s.Sub("layers").Sub(strconv.Itoa(i)), x)
	}
	return m.mlp(s.Sub("mlp"), x, in.Schema.Outputs())
}

// layer is a layer of the stack, [B, n·D] → [B, (fmb_features + lcb_features)·D].
func (m Wukong) layer(s *nn.Scope, x *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	d, out := m.EmbeddingDim, m.FMBFeatures+m.LCBFeatures
	columns, entries := nn.FieldColumns(s, x, d) // [B·D, n]
	mixed := func(name string, n int) *G.Node {
		return nn.JoinColumns(s, nn.Project(s.Sub(name), columns, n), entries)
	}
	residual := x
	if x.Shape()[1] != out*d {
		residual = mixed("residual", out)
	}
	y := x
	if m.FMBRank > 0 {
		y = mixed("fmb.projection", m.FMBRank) // Xᵀ·Y, turned
	}
	z := nn.Concat(s, m.fmb(s.Sub("fmb"), x, y), mixed("lcb", m.LCBFeatures))
	z = nn.LayerNorm(s.Sub("norm"), nn.FieldRows(s, nn.Add(s, z, residual), d), normEps)
	return nn.JoinRows(s, z, out)
}

// fmb is a factorisation machine block over X and what it is multiplied by, [B, n·D] and [B, k·D] → [B, fmb_features·D]. The entries of its
// embeddings are those of X: the sum behind it ties them, and the layer norm behind that lets them be permuted only.
func (m Wukong) fmb(s *nn.Scope, x, y *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	products := s.Check(ops.Inner(x, y, m.EmbeddingDim)) // [B, n·k]
	if s.Err() != nil {
		return nil
	}
	products = s.Columns(products, s.Fixed(products.Shape()[1]))
	return m.block().mlp(s.Sub("mlp"), nn.LayerNorm(s.Sub("norm"), products, normEps), m.FMBFeatures*m.EmbeddingDim)
}
