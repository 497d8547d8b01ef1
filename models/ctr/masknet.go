package ctr

import (
	"errors"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// MaskNet is a network of blocks that each multiply what they read by a mask made from the row's embeddings: Wang et al., "MaskNet:
// Introducing Feature-Wise Multiplication to CTR Ranking Models by Instance-Guided Mask", DLP-KDD 2021, arXiv:2102.07619, section 3. Serial
// blocks read each other; parallel ones all read the embeddings, and a tower reads them side by side.
type MaskNet struct {
	EmbeddingDim      int     `yaml:"embedding_dim"`       // width of each feature's embedding
	ModelStructure    string  `yaml:"model_structure"`     // serial or parallel
	HiddenUnits       []int   `yaml:"hidden_units"`        // outputs of the serial blocks; of parallel: units of the tower above them
	HiddenActivations string  `yaml:"hidden_activations"`  // of blocks and tower: relu, tanh, sigmoid or none
	ReductionRatio    float64 `yaml:"reduction_ratio"`     // units of a mask's hidden layer, as a multiple of what the mask multiplies
	ParallelNumBlocks int     `yaml:"parallel_num_blocks"` // of parallel: blocks
	ParallelBlockDim  int     `yaml:"parallel_block_dim"`  // of parallel: outputs of each block
	EmbLayerNorm      bool    `yaml:"emb_layernorm"`       // normalise each feature's embedding before it is masked
	NetLayerNorm      bool    `yaml:"net_layernorm"`       // normalise what a block gives before its activation
	NetDropout        float64 `yaml:"net_dropout"`         // dropped share of the outputs of each block and hidden layer, in [0, 1)
}

func init() {
	models.Register("masknet", MaskNet{
		EmbeddingDim: 16, ModelStructure: "serial", HiddenUnits: []int{400, 400, 400}, HiddenActivations: "relu", ReductionRatio: 1,
		ParallelNumBlocks: 3, ParallelBlockDim: 64, EmbLayerNorm: true, NetLayerNorm: true,
	})
}

// layerNormEps is PyTorch's default.
const layerNormEps = 1e-5

// Validate reports every option out of range.
func (m MaskNet) Validate() error {
	errs := []error{
		registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), registry.OneOf("model_structure", m.ModelStructure, "serial", "parallel"),
		units("hidden_units", m.HiddenUnits, 1), registry.InAbove("reduction_ratio", m.ReductionRatio, 0, 100),
		registry.AtLeast("parallel_num_blocks", m.ParallelNumBlocks, 1), registry.AtLeast("parallel_block_dim", m.ParallelBlockDim, 1),
		registry.InBelow("net_dropout", m.NetDropout, 0, 1),
	}
	if _, err := nn.ParseAct(m.HiddenActivations); err != nil {
		errs = append(errs, registry.Field("hidden_activations", err.Error()))
	}
	return errors.Join(errs...)
}

// Build returns the logits, [B, outputs].
func (m MaskNet) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	act, err := nn.ParseAct(m.HiddenActivations)
	s.Fail(err)
	var e *G.Node // [B, F·D]
	if m.EmbLayerNorm {
		e = in.EqualEmbeddings(s, "embedding", m.EmbeddingDim)
	} else {
		e = in.Embeddings(s, "embedding", m.EmbeddingDim)
	}
	x := e
	if m.EmbLayerNorm {
		x = normFields(s.Sub("embedding_norm"), e, m.EmbeddingDim)
	}
	if m.ModelStructure == "serial" {
		for i, n := range m.HiddenUnits {
			x = m.block(s.Sub("blocks").Sub(strconv.Itoa(i)), e, x, n, act)
		}
		return nn.Linear(s.Sub("fc"), x, in.Schema.Outputs(), kernel.None)
	}
	blocks := make(G.Nodes, m.ParallelNumBlocks)
	for i := range blocks {
		blocks[i] = m.block(s.Sub("blocks").Sub(strconv.Itoa(i)), e, x, m.ParallelBlockDim, act)
	}
	o := nn.MLPOptions{Hidden: m.HiddenUnits, Activation: act, Dropout: m.NetDropout, Output: in.Schema.Outputs()}
	return nn.MLP(s.Sub("mlp"), nn.Concat(s, blocks...), o)
}

// normFields normalises each vector of width dim in e, [B, F·dim] → the same, with parameters of its own: those of field f are f.weight and
// f.bias.
func normFields(s *nn.Scope, e *G.Node, dim int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	fields := make(G.Nodes, e.Shape()[1]/dim)
	spaces := make([]nn.Space, len(fields))
	for i := range spaces {
		spaces[i] = s.Units(dim)
	}
	s.Tie(s.SpaceOf(e), nn.Join(spaces...))
	for i := range fields {
		x := s.Columns(s.Check(ops.Columns(e, i*dim, dim)), spaces[i])
		fields[i] = nn.LayerNorm(s.Sub(strconv.Itoa(i)), x, layerNormEps)
	}
	return nn.Concat(s, fields...)
}

// block returns the output of a mask block (eqs. 3, 6 and 8), [B, in] → [B, out], with e the embeddings:
//
//	act(LN(W·(mask ⊙ x))),  mask = W₂·relu(W₁·e + b₁) + b₂
//
// Its parameters are mask.0, mask.1, hidden.weight, [out, in], and norm.
func (m MaskNet) block(s *nn.Scope, e, x *G.Node, out int, act kernel.Act) *G.Node {
	if s.Err() != nil {
		return nil
	}
	width := x.Shape()[1]
	inner := max(1, int(float64(width)*m.ReductionRatio))
	mask := nn.Linear(s.Sub("mask").Sub("1"), nn.Linear(s.Sub("mask").Sub("0"), e, inner, kernel.ReLU), width, kernel.None)
	y := nn.Project(s.Sub("hidden"), nn.Mul(s, mask, x), out)
	if m.NetLayerNorm {
		y = nn.LayerNorm(s.Sub("norm"), y, layerNormEps)
	}
	if s.Err() != nil {
		return nil
	}
	sp := s.SpaceOf(y)
	s.Rigid(sp)
	return nn.Dropout(s, s.Columns(s.Check(ops.Activate(y, act)), sp), m.NetDropout)
}
