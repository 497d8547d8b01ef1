package text

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// BERT is transformers' BertForSequenceClassification. Its outputs are a logit for each class of the data, or one number.
type BERT struct {
	Encoder    `yaml:",inline"`
	Classifier `yaml:",inline"`
}

// RoBERTa is transformers' RobertaForSequenceClassification. Its outputs are a logit for each class of the data, or one number.
type RoBERTa struct {
	Encoder    `yaml:",inline"`
	Classifier `yaml:",inline"`
}

func init() {
	models.Register("bert", &BERT{Encoder: bertBase, Classifier: Classifier{Pooling: "cls"}})
	models.Register("roberta", &RoBERTa{Encoder: robertaBase, Classifier: Classifier{Pooling: "cls"}})
}

// Validate reports every option out of range.
func (m *BERT) Validate() error { return errors.Join(m.Encoder.Validate(), m.Classifier.Validate()) }

// Validate reports every option out of range.
func (m *RoBERTa) Validate() error { return errors.Join(m.Encoder.Validate(), m.Classifier.Validate()) }

// Build returns the logits, [B, classes].
func (m *BERT) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	return m.head(s, in, bert.stem(s, &m.Encoder, &m.Classifier, in))
}

// Build returns the logits, [B, classes].
func (m *RoBERTa) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	return m.head(s, in, roberta.stem(s, &m.Encoder, &m.Classifier, in))
}

// head is tanh(W·x + b), the pooler, then dropout and a linear map.
func (m *BERT) head(s *nn.Scope, in *models.Inputs, x *G.Node) *G.Node {
	x = m.dense(s.Sub("bert").Sub("pooler").Sub("dense"), x, m.HiddenSize, activation{act: kernel.Tanh})
	c := s.Sub("classifier")
	return m.dense(c, nn.Dropout(c, x, m.classifier(&m.Classifier)), outputs(in.Schema.Text), activation{})
}

// head is dropout, tanh(W·x + b), dropout again and a linear map.
func (m *RoBERTa) head(s *nn.Scope, in *models.Inputs, x *G.Node) *G.Node {
	c, p := s.Sub("classifier"), m.classifier(&m.Classifier)
	x = m.dense(c.Sub("dense"), nn.Dropout(c.Sub("dense"), x, p), m.HiddenSize, activation{act: kernel.Tanh})
	return m.dense(c.Sub("out_proj"), nn.Dropout(c.Sub("out_proj"), x, p), outputs(in.Schema.Text), activation{})
}

// outputs is the number of logits.
func outputs(t *data.Text) int {
	if t == nil {
		return 1
	}
	return max(1, len(t.Labels))
}

// stem is the encoder and its pooling: [B, H].
func (f *family) stem(s *nn.Scope, e *Encoder, h *Classifier, in *models.Inputs) *G.Node {
	if t := in.Schema.Text; t != nil && t.MaskRate > 0 {
		s.Fail(fmt.Errorf("the data masks tokens, which the model does not predict: give the data labels, or take model %s_mlm", f.name))
	}
	var take rows
	if h.Pooling == "cls" {
		take = func(q *models.Sequences, x *G.Node) (*G.Node, error) { return ops.FirstToken(x, q.Live) }
	}
	x, _ := f.encode(s, e, in, take)
	if take != nil {
		return x
	}
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.MeanTokens(x, in.Sequences(s).Live)), s.SpaceOf(x))
}

// part is the stem or the head of a model.
type part func(s *nn.Scope, in *models.Inputs) *G.Node

// Build builds the part.
func (p part) Build(s *nn.Scope, in *models.Inputs) *G.Node { return p(s, in) }

// Stem returns the encoder with its pooling, whose features are [B, hidden_size].
func (m *BERT) Stem() models.Model {
	return part(func(s *nn.Scope, in *models.Inputs) *G.Node { return bert.stem(s, &m.Encoder, &m.Classifier, in) })
}

// Head returns the pooler and the classifier.
func (m *BERT) Head() models.Model {
	return part(func(s *nn.Scope, in *models.Inputs) *G.Node { return m.head(s, in, in.Features(s, m.HiddenSize)) })
}

// Stem returns the encoder with its pooling, whose features are [B, hidden_size].
func (m *RoBERTa) Stem() models.Model {
	return part(func(s *nn.Scope, in *models.Inputs) *G.Node { return roberta.stem(s, &m.Encoder, &m.Classifier, in) })
}

// Head returns the classifier.
func (m *RoBERTa) Head() models.Model {
	return part(func(s *nn.Scope, in *models.Inputs) *G.Node { return m.head(s, in, in.Features(s, m.HiddenSize)) })
}
