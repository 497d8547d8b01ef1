package seq

import (
	"errors"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// ESASRec is SASRec with gated blocks (Tikhonovich et al., RecSys 2025): causal self-attention and a SwiGLU feed-forward part, each over a
// layer norm, and each added as far as a gate of what it is added to lets it (LiGR, Borisyuk et al. 2025, arXiv:2502.03417):
//
//	x ← x + σ(W₁·x + b₁) ⊙ attention(norm(x))
//	x ← x + σ(W₂·x + b₂) ⊙ W_down·(silu(W_gate·y) ⊙ W_up·y),  y = norm(x)
//
// The last state has no norm. Its loss is sampled_softmax of the task next_item. Positions are counted from the last one, as in the
// authors' code.
type ESASRec struct {
	Columns `yaml:",inline"`
	LiGR    `yaml:",inline"`
	Output  `yaml:",inline"`
	Head    `yaml:",inline"`
}

// LiGR holds the options of a stack of causal gated blocks.
type LiGR struct {
	Positions string  `yaml:"positions"`  // learned positions are counted from the first action or from the last: first or last
	NumBlocks int     `yaml:"num_blocks"` // blocks of attention and a feed-forward part
	NumHeads  int     `yaml:"num_heads"`  // heads of attention, which divide embedding_dim
	Inner     int     `yaml:"inner"`      // width within the feed-forward part; 0: four times embedding_dim
	Dropout   float64 `yaml:"dropout"`    // dropped share of embeddings, of attention's weights, of inner units and of what gates let in, in [0, 1)
}

// torchEps is added to the variances of layer norms: the default of PyTorch, in which the code of eSASRec and that of FuxiCTR are written.
const torchEps = 1e-5

func init() {
	models.Register("esasrec", ESASRec{Columns: columns, LiGR: LiGR{Positions: fromLast, NumBlocks: 1, NumHeads: 1}, Output: Output{Output: Classifier}, Head: head})
}

// Validate reports every option out of range.
func (m ESASRec) Validate() error {
	return errors.Join(m.Columns.Validate(), Transformer(m.LiGR).validate(m.EmbeddingDim), m.Output.Validate(), m.Head.Validate())
}

// Build returns the logits, [B, 1], or of all items [B, items].
func (m ESASRec) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	if m.Output.Output == Items {
		in.ItemDropout = m.ItemDropout
		x, h := m.sequence(s, in)
		return in.Rank(s, "embedding", h, m.encode(s, x, h))
	}
	item, x, others, h := m.embed(s, in)
	item, x = transform(s.Sub("target"), item), transform(s.Sub("sequence"), x)
	x = m.encode(s, x, h)
	if s.Err() != nil {
		return nil
	}
	return m.score(s.Sub("classifier"), h.Last(s, x), item, others)
}

// encode returns the states of the positions, [R, D].
func (l LiGR) encode(s *nn.Scope, x *G.Node, h *models.History) *G.Node {
	if s.Err() != nil {
		return nil
	}
	inner := l.Inner
	if inner == 0 {
		inner = 4 * x.Shape()[1]
	}
	x = Transformer(l).positions(s, x, h)
	for i := range l.NumBlocks {
		if s.Err() != nil { // as of a model of too many tensors
			return nil
		}
		b := s.Sub("blocks").Sub(strconv.Itoa(i))
		y := nn.LayerNorm(b.Sub("norm1"), x, torchEps)
		y = Transformer(l).attend(b.Sub("attention"), y, y, h)
		x = nn.Gate(b.Sub("gate1"), x, nn.Dropout(b.Sub("attention"), y, l.Dropout))
		y = nn.SwiGLU(b.Sub("feed_forward"), nn.LayerNorm(b.Sub("norm2"), x, torchEps), inner, l.Dropout)
		x = nn.Gate(b.Sub("gate2"), x, nn.Dropout(b.Sub("gate2"), y, l.Dropout))
	}
	return x
}
