package seq

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

// BST is the Behavior Sequence Transformer (Chen et al. 2019, arXiv:1905.06874): the item to score stands behind the history, each position
// is its embedding beside one of its place, and blocks of self-attention, not causal, each followed by a layer norm, let the item and the
// actions see each other:
//
//	s = norm(x + attention(x)), x ← norm(s + W₂·LeakyReLU(W₁·s + b₁) + b₂)
//
// What is pooled of the last block is scored with the item, as in FuxiCTR. A place is how many actions ago something was: in the
// paper it is how long ago.
type BST struct {
	Columns   `yaml:",inline"`
	NumBlocks int     `yaml:"num_blocks"` // blocks of attention and a feed-forward part
	NumHeads  int     `yaml:"num_heads"`  // heads of attention, which divide twice embedding_dim, the width of a position
	Inner     int     `yaml:"inner"`      // width within the feed-forward part; 0: twice embedding_dim
	Dropout   float64 `yaml:"dropout"`    // dropped share of attention's weights and of what blocks add, in [0, 1)
	// what is scored of the positions: target, the one of the item; mean or sum, those of all
	SeqPooling string `yaml:"seq_pooling"`
	Head       `yaml:",inline"`
}

// leak is the slope of LeakyReLU below 0, PyTorch's default as in FuxiCTR.
const leak = 0.01

func init() {
	models.Register("bst", BST{Columns: columns, NumBlocks: 1, NumHeads: 2, SeqPooling: "mean", Head: head})
}

// Validate reports every option out of range.
func (m BST) Validate() error {
	errs := []error{
		m.Columns.Validate(), registry.AtLeast("num_blocks", m.NumBlocks, 1), registry.AtLeast("num_heads", m.NumHeads, 1),
		registry.AtLeast("inner", m.Inner, 0), registry.InBelow("dropout", m.Dropout, 0, 1),
		registry.OneOf("seq_pooling", m.SeqPooling, "mean", "sum", "target"), m.Head.Validate(),
	}
	if m.NumHeads > 0 && 2*m.EmbeddingDim%m.NumHeads != 0 {
		errs = append(errs, registry.Field("num_heads", "%d heads do not divide twice the embedding_dim of %d", m.NumHeads, m.EmbeddingDim))
	}
	return errors.Join(errs...)
}

// Build returns the logits, [B, 1].
func (m BST) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	item, x, others, h := m.embed(s, in)
	if s.Err() != nil {
		return nil
	}
	x, all := h.Append(s, x, item)
	if s.Err() != nil {
		return nil
	}
	x = nn.Concat(s, x, h.Places(s.Sub("position"), all, m.EmbeddingDim, nn.Sinusoid))
	for i := range m.NumBlocks {
		if s.Err() != nil { // as of a model of too many tensors
			return nil
		}
		x = m.block(s.Sub("blocks").Sub(strconv.Itoa(i)), x, all)
	}
	switch sp := s.SpaceOf(x); m.SeqPooling {
	case "target":
		x = all.Last(s, x)
	case "sum":
		x = s.Columns(s.Check(ops.SumTokens(x, all.Live)), sp)
	default:
		x = s.Columns(s.Check(ops.MeanTokens(x, all.Live)), sp)
	}
	return m.score(s.Sub("classifier"), item, x, others)
}

// block is attention over the positions and a feed-forward part, [R, D] → [R, D].
func (m BST) block(s *nn.Scope, x *G.Node, all *models.Appended) *G.Node {
	if s.Err() != nil {
		return nil
	}
	width, inner := x.Shape()[1], m.Inner
	if inner == 0 {
		inner = width
	}
	y := attend(s.Sub("attention"), x, x, ops.AttentionOptions{Heads: m.NumHeads, Tokens: all.Live, Dropout: m.Dropout})
	x = nn.LayerNorm(s.Sub("norm1"), nn.Add(s, x, nn.Dropout(s.Sub("attention"), y, m.Dropout)), torchEps)
	y = nn.LeakyReLU(s, nn.Linear(s.Sub("linear1"), x, inner, kernel.None), leak)
	y = nn.Linear(s.Sub("linear2"), y, width, kernel.None)
	return nn.LayerNorm(s.Sub("norm2"), nn.Add(s, x, nn.Dropout(s.Sub("linear2"), y, m.Dropout)), torchEps)
}
