package text

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// BERTMasked is transformers' BertForMaskedLM. For each token that the data masks it has a logit for each id of the vocabulary.
type BERTMasked struct {
	Encoder `yaml:",inline"`
}

// RoBERTaMasked is transformers' RobertaForMaskedLM. For each token that the data masks it has a logit for each id of the
// vocabulary.
type RoBERTaMasked struct {
	Encoder `yaml:",inline"`
}

func init() {
	models.Register("bert_mlm", &BERTMasked{Encoder: bertBase})
	models.Register("roberta_mlm", &RoBERTaMasked{Encoder: robertaBase})
}

// Build returns the logits, [B·M, vocabulary].
func (m *BERTMasked) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	p := s.Sub("cls").Sub("predictions")
	return bert.predict(s, &m.Encoder, in, layers{p.Sub("transform").Sub("dense"), p.Sub("transform").Sub("LayerNorm"), p}, m.HiddenAct)
}

// Build returns the logits, [B·M, vocabulary].
func (m *RoBERTaMasked) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	p := s.Sub("lm_head")
	return roberta.predict(s, &m.Encoder, in, layers{p.Sub("dense"), p.Sub("layer_norm"), p}, "gelu") // it is GELU whatever hidden_act says
}

// layers are the scopes of a head that predicts tokens.
type layers struct{ dense, norm, bias *nn.Scope }

// predict is the encoder with LayerNorm(act(W·x + b))·Eᵀ + bias over the masked tokens, where E is the table of tokens.
func (f *family) predict(s *nn.Scope, e *Encoder, in *models.Inputs, l layers, act string) *G.Node {
	table := f.name + ".embeddings.word_embeddings.weight"
	x, words := f.encode(s, e, in, func(q *models.Sequences, x *G.Node) (*G.Node, error) {
		at := q.Masked(s)
		if err := s.Err(); err != nil {
			return nil, err
		}
		return ops.PickRows(x, at)
	})
	x = e.norm(l.norm, e.dense(l.dense, x, e.HiddenSize, activations[act]), nil)
	if s.Err() != nil {
		return nil
	}
	rows := words.Shape()[0]
	b := l.bias.Param("bias", nn.Zeros, rows)
	sp := s.Fixed(rows)
	l.bias.Along("bias", 0, sp)
	s.Along(table, 0, sp)
	s.Along(table, 1, s.SpaceOf(x))
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.Linear(x, words, b, kernel.None)), sp)
}
