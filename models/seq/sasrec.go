package seq

import (
	"errors"
	"math"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// SASRec reads the history by causal self-attention with learned positions (Kang and McAuley 2018, with the layer norm before each
// part of a block), and scores the item against the state of the last position.
type SASRec struct {
	Columns     `yaml:",inline"`
	Transformer `yaml:",inline"`
	// what the parts of a block are added to. input: their input, as pre-norm Transformers do; normalized: the layer norm of it, of which
	// attention has its queries and the input its keys and values, as in the published code of SASRec
	Residual         string  `yaml:"residual"`
	InitializerRange float64 `yaml:"initializer_range"` // standard deviation of fresh weights of linear layers; 0: that of Glorot and Bengio
	// factor of the items' vectors of a catalogue before positions are added; 0: the square root of embedding_dim, as in the authors' code
	EmbeddingScale float64 `yaml:"embedding_scale"`
	Output         `yaml:",inline"`
	Head           `yaml:",inline"`
}

// normEps is added to the variances of layer norms, as in the authors' code.
const normEps = 1e-8

// What the parts of a block are added to, and where positions are counted from.
const (
	fromFirst = "first"
	fromLast  = "last"

	ofInput    = "input"
	normalized = "normalized"
)

// Transformer holds the options of a stack of causal blocks.
type Transformer struct {
	Positions string  `yaml:"positions"`  // learned positions are counted from the first action or from the last: first or last
	NumBlocks int     `yaml:"num_blocks"` // blocks of attention and a feed-forward part
	NumHeads  int     `yaml:"num_heads"`  // heads of attention, which divide embedding_dim
	Inner     int     `yaml:"inner"`      // width within the feed-forward part; 0: embedding_dim
	Dropout   float64 `yaml:"dropout"`    // dropped share of embeddings, of attention's weights and of what blocks add, in [0, 1)
}

func init() {
	models.Register("sasrec", SASRec{
		Columns: columns, Transformer: Transformer{Positions: fromFirst, NumBlocks: 1, NumHeads: 1}, Residual: ofInput, Output: Output{Output: Classifier}, Head: head,
	})
}

// Validate reports every option out of range.
func (m SASRec) Validate() error {
	return errors.Join(m.Columns.Validate(), m.Transformer.validate(m.EmbeddingDim), registry.OneOf("residual", m.Residual, ofInput, normalized),
		registry.In("initializer_range", m.InitializerRange, 0, 10),
		registry.In("embedding_scale", m.EmbeddingScale, 0, 1e3), m.Output.Validate(), m.Head.Validate())
}

func (t Transformer) validate(width int) error {
	errs := []error{
		registry.OneOf("positions", t.Positions, fromFirst, fromLast), registry.AtLeast("num_blocks", t.NumBlocks, 1), registry.AtLeast("num_heads", t.NumHeads, 1), registry.AtLeast("inner", t.Inner, 0),
		registry.InBelow("dropout", t.Dropout, 0, 1),
	}
	if t.NumHeads > 0 && width%t.NumHeads != 0 {
		errs = append(errs, registry.Field("num_heads", "%d heads do not divide the embedding_dim of %d", t.NumHeads, width))
	}
	return errors.Join(errs...)
}

// Build returns the logits, [B, 1], or of all items [B, items].
func (m SASRec) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	encoder := s
	if m.InitializerRange > 0 {
		encoder = s.Weights(nn.Normal(m.InitializerRange))
	}
	if m.Output.Output == Items {
		in.ItemDropout = m.ItemDropout
		x, h := m.sequence(s, in)
		if s.Err() != nil {
			return nil
		}
		scale := m.EmbeddingScale
		if scale == 0 {
			scale = math.Sqrt(float64(m.EmbeddingDim))
		}
		x = s.Columns(s.Check(ops.Scale(x, scale)), s.SpaceOf(x))
		return in.Rank(s, "embedding", h, m.encode(encoder, x, h, m.Residual))
	}
	item, x, others, h := m.embed(s, in)
	if s.Err() != nil {
		return nil
	}
	item, x = transform(s.Sub("target"), item), transform(s.Sub("sequence"), x)
	state := h.Last(s, m.encode(encoder, x, h, m.Residual))
	return m.score(s.Sub("classifier"), state, item, others)
}

// encode returns the states of the positions, [R, D].
func (t Transformer) encode(s *nn.Scope, x *G.Node, h *models.History, residual string) *G.Node {
	x = t.positions(s, x, h)
	for i := range t.NumBlocks {
		b := s.Sub("blocks").Sub(strconv.Itoa(i))
		y := nn.LayerNorm(b.Sub("norm1"), x, normEps)
		if residual == normalized {
			x = nn.Add(b, y, t.attend(b.Sub("attention"), y, x, h))
		} else {
			x = nn.Add(b, x, nn.Dropout(b.Sub("attention"), t.attend(b.Sub("attention"), y, y, h), t.Dropout))
		}
		y = nn.LayerNorm(b.Sub("norm2"), x, normEps)
		if residual == normalized {
			x = y
		}
		if s.Err() != nil {
			return nil
		}
		width, inner := x.Shape()[1], t.Inner
		if inner == 0 {
			inner = width
		}
		y = nn.Dropout(b.Sub("linear1"), nn.Linear(b.Sub("linear1"), y, inner, kernel.ReLU), t.Dropout)
		x = nn.Add(b, x, nn.Dropout(b.Sub("linear2"), nn.Linear(b.Sub("linear2"), y, width, kernel.None), t.Dropout))
	}
	return nn.LayerNorm(s.Sub("norm"), x, normEps)
}

// positions adds the learned positions to x.
func (t Transformer) positions(s *nn.Scope, x *G.Node, h *models.History) *G.Node {
	if s.Err() != nil {
		return nil
	}
	at := h.Positions
	if t.Positions == fromLast {
		at = h.PositionsBack
	}
	s = s.Sub("position")
	return nn.Dropout(s, nn.Positions(s, x, at(s), h.MaxLen(), 0.02), t.Dropout)
}

// attend is causal attention with queries of y and keys and values of x.
func (t Transformer) attend(s *nn.Scope, y, x *G.Node, h *models.History) *G.Node {
	if s.Err() != nil {
		return nil
	}
	return attend(s, y, x, ops.AttentionOptions{Heads: t.NumHeads, Tokens: h.Live, Causal: true, Dropout: t.Dropout})
}

// attend is attention with queries of y and keys and values of x, [R, D] → [R, D]. Its dropout is that of training.
func attend(s *nn.Scope, y, x *G.Node, o ops.AttentionOptions) *G.Node {
	if s.Err() != nil {
		return nil
	}
	width := y.Shape()[1]
	q, k, v := nn.Linear(s.Sub("query"), y, width, kernel.None), nn.Linear(s.Sub("key"), x, width, kernel.None), nn.Linear(s.Sub("value"), x, width, kernel.None)
	if s.Err() != nil {
		return nil
	}
	o.Name, o.Step = s.Path("dropout"), s.Step
	if !s.Train {
		o.Dropout = 0
	}
	s.Heads(s.SpaceOf(q), s.SpaceOf(k), s.SpaceOf(v), o.Heads)
	z := s.Columns(s.Check(ops.Attention(q, k, v, o)), s.SpaceOf(v))
	return nn.Linear(s.Sub("out"), z, width, kernel.None)
}
