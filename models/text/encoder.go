package text

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// encoder is an Encoder at work in one graph.
type encoder struct {
	*Encoder
	*family
	seq  *models.Sequences
	drop bool // dropout is at work: in training, unless all of the encoder is frozen
}

// layer returns the name of layer i.
func (f *family) layer(i int) string { return f.name + ".encoder.layer." + strconv.Itoa(i) }

// rows picks rows of a matrix over tokens: [B·L, H] → [n, H].
type rows func(q *models.Sequences, x *G.Node) (*G.Node, error)

// encode builds the encoder without its pooler: an embedding of each token, then layers of attention and of a feed-forward part,
// each followed by dropout, the sum with its input, and a layer norm (Vaswani et al. 2017, figure 1, left half). take picks the
// rows that the caller needs, and the last layer leaves out what only makes the others. It may be nil. words is the table of
// tokens.
//
// If every parameter is frozen, the encoder runs without dropout, so that its results for a row are the same at each step.
func (f *family) encode(s *nn.Scope, e *Encoder, in *models.Inputs, take rows) (x, words *G.Node) {
	m := &encoder{Encoder: e, family: f, seq: in.Sequences(s), drop: s.Train && !f.frozen(s, e)}
	if s.Err() != nil {
		return nil, nil
	}
	if err := m.fits(in); err != nil {
		s.Fail(err)
		return nil, nil
	}
	x, words = m.embed(s.Sub(f.name).Sub("embeddings"), in)
	for i := range e.NumHiddenLayers {
		if s.Err() != nil {
			return nil, nil
		}
		pick := func(x *G.Node) *G.Node { return x }
		if take != nil && i == e.NumHiddenLayers-1 {
			pick = func(x *G.Node) *G.Node {
				if s.Err() != nil {
					return nil
				}
				return s.Columns(s.Check(take(m.seq, x)), s.SpaceOf(x))
			}
		}
		x = m.attend(s, x, i, pick)
	}
	return x, words
}

// fits compares the options with the data.
func (m *encoder) fits(in *models.Inputs) error {
	t := in.Schema.Text
	if v := m.VocabSize; v > 0 && t.Vocab > v {
		return fmt.Errorf("the tokenizer has %d ids, the model's vocab_size is %d: "+
			"use the tokenizer of the model, or give the model's vocab_size", t.Vocab, v)
	}
	pad := m.pad(t)
	if pad >= m.vocab(t) {
		return fmt.Errorf("pad_token_id is %d, but the vocabulary has %d ids", pad, m.vocab(t))
	}
	if m.offset && pad != int(t.Pad) {
		return fmt.Errorf("the tokenizer pads with id %d, the model's pad_token_id is %d, from which its positions are counted", t.Pad, pad)
	}
	if n, start := t.MaxLen(), m.start(m.Encoder, t); n+start > m.MaxPositionEmbeddings {
		return fmt.Errorf("sequences of %d tokens need %d positions, max_position_embeddings is %d: lower data.max_length to %d",
			n, n+start, m.MaxPositionEmbeddings, m.MaxPositionEmbeddings-start)
	}
	return nil
}

// embed returns the normalised sum of the embeddings of each token, its segment and its position, [B·L, H].
func (m *encoder) embed(s *nn.Scope, in *models.Inputs) (x, word *G.Node) {
	t, h := in.Schema.Text, m.HiddenSize
	sp := s.Units(h)
	table := func(name string, rows, pad int) *G.Node {
		init := nn.Normal(m.InitializerRange)
		if pad >= 0 {
			init = zeroRow(init, pad)
		}
		full := name + "_embeddings.weight"
		w := s.Param(full, init, rows, h)
		s.Along(full, 0, s.Fixed(rows))
		s.Along(full, 1, sp)
		return w
	}
	pad, start := m.pad(t), m.start(m.Encoder, t)
	word = table("word", m.vocab(t), pad)
	position := table("position", m.MaxPositionEmbeddings, start-1) // RoBERTa's padding has a position, which stays zero
	segment := table("token_type", m.TypeVocabSize, -1)
	if s.Err() != nil {
		return nil, nil
	}
	places := models.Positions
	if m.offset {
		places = models.Counted
	}
	x = s.Columns(m.seq.Embed(s, models.TokenTable{Weight: word}, models.TokenTable{Weight: segment, Of: models.Segments},
		models.TokenTable{Weight: position, Of: places, Offset: start}), sp)
	return m.dropped(s, m.norm(s.Sub("LayerNorm"), x, nil), m.hidden()), word
}

// zeroRow is init with one row at zero.
func zeroRow(init nn.Init, row int) nn.Init {
	return func(r *rand.Rand, shape []int, dst []float32) {
		init(r, shape, dst)
		w := shape[1]
		if row < shape[0] {
			clear(dst[row*w : (row+1)*w])
		}
	}
}

// attend builds layer i. pick picks rows after its attention.
func (m *encoder) attend(s *nn.Scope, x *G.Node, i int, pick func(x *G.Node) *G.Node) *G.Node {
	l := s.Sub(m.layer(i))
	a := l.Sub("attention").Sub("self")
	q := m.dense(a.Sub("query"), x, m.HiddenSize, activation{})
	k := m.dense(a.Sub("key"), x, m.HiddenSize, activation{})
	v := m.dense(a.Sub("value"), x, m.HiddenSize, activation{})
	if s.Err() != nil {
		return nil
	}
	opt := ops.AttentionOptions{Heads: m.NumAttentionHeads, Tokens: m.seq.Live}
	if m.drop {
		opt.Dropout, opt.Name, opt.Step = m.attention(), a.Path("dropout"), s.Step
	}
	a.Heads(s.SpaceOf(q), s.SpaceOf(k), s.SpaceOf(v), m.NumAttentionHeads)
	y := s.Columns(s.Check(ops.Attention(q, k, v, opt)), s.SpaceOf(v))
	x, y = pick(x), pick(y)
	x = m.added(l.Sub("attention").Sub("output"), y, x)
	y = m.dense(l.Sub("intermediate").Sub("dense"), x, m.IntermediateSize, activations[m.HiddenAct])
	return m.added(l.Sub("output"), y, x)
}

// added is the end of both parts of a layer: LayerNorm(drop(dense(y)) + x).
func (m *encoder) added(s *nn.Scope, y, x *G.Node) *G.Node {
	y = m.dropped(s, m.dense(s.Sub("dense"), y, m.HiddenSize, activation{}), m.hidden())
	return m.norm(s.Sub("LayerNorm"), y, x)
}

func (m *encoder) dropped(s *nn.Scope, x *G.Node, p float64) *G.Node {
	if !m.drop {
		return x
	}
	return nn.Dropout(s, x, p)
}

// dense returns act(x·Wᵀ + b), [n, in] → [n, out]. Its parameters are weight, [out, in], and bias, [out].
func (e *Encoder) dense(s *nn.Scope, x *G.Node, out int, act activation) *G.Node {
	if s.Err() != nil {
		return nil
	}
	w, b := s.Param("weight", nn.Normal(e.InitializerRange), out, x.Shape()[1]), s.Param("bias", nn.Zeros, out)
	if s.Err() != nil {
		return nil
	}
	s.Mapped("weight", "bias", x, nil)
	sp := s.Units(out)
	s.Along("weight", 0, sp)
	s.Along("weight", 1, s.SpaceOf(x))
	s.Along("bias", 0, sp)
	if !act.gelu {
		if act.act != kernel.None {
			s.Rigid(sp)
		}
		return s.Columns(s.Check(ops.Linear(x, w, b, act.act)), sp)
	}
	s.Rigid(sp)
	z := s.Columns(s.Check(ops.Linear(x, w, nil, kernel.None)), sp)
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.GELU(z, b, act.form)), sp)
}

// norm returns the layer norm of x + r, or of x if r is nil. Its parameters are weight and bias.
func (e *Encoder) norm(s *nn.Scope, x, r *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	w, b := s.Param("weight", nn.Ones, x.Shape()[1]), s.Param("bias", nn.Zeros, x.Shape()[1])
	if s.Err() != nil {
		return nil
	}
	sp := s.SpaceOf(x)
	if r != nil {
		s.Tie(sp, s.SpaceOf(r))
	}
	s.Rigid(sp)
	s.Along("weight", 0, sp)
	s.Along("bias", 0, sp)
	if r != nil {
		return s.Columns(s.Check(ops.AddLayerNorm(x, r, w, b, e.LayerNormEps)), sp)
	}
	return s.Columns(s.Check(ops.LayerNorm(x, w, b, e.LayerNormEps)), sp)
}
