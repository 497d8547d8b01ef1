package seq

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// GRU4Rec reads the history by a gated recurrent unit (Hidasi et al. 2016), and scores the item against its last state.
type GRU4Rec struct {
	Columns    `yaml:",inline"`
	HiddenSize int `yaml:"hidden_size"` // units of the state; 0: embedding_dim
	Output     `yaml:",inline"`
	Head       `yaml:",inline"`
}

func init() {
	models.Register("gru4rec", GRU4Rec{Columns: columns, Output: Output{Output: Classifier}, Head: head})
}

// Validate reports every option out of range.
func (m GRU4Rec) Validate() error {
	return errors.Join(m.Columns.Validate(), m.Head.Validate(), m.Output.Validate(), registry.AtLeast("hidden_size", m.HiddenSize, 0))
}

// Build returns the logits, [B, 1], or of all items [B, items].
func (m GRU4Rec) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	size := m.HiddenSize
	if size == 0 {
		size = m.EmbeddingDim
	}
	if m.Output.Output == Items {
		in.ItemDropout = m.ItemDropout
		x, h := m.sequence(s, in)
		if s.Err() != nil {
			return nil
		}
		x = nn.GRU(s.Sub("gru"), x, size, h.Live)
		if size != m.EmbeddingDim {
			x = nn.Project(s.Sub("project"), x, m.EmbeddingDim)
		}
		return in.Rank(s, "embedding", h, x)
	}
	item, x, others, h := m.embed(s, in)
	if s.Err() != nil {
		return nil
	}
	item, x = transform(s.Sub("target"), item), transform(s.Sub("sequence"), x)
	state := h.Last(s, nn.GRU(s.Sub("gru"), x, size, h.Live))
	return m.score(s.Sub("classifier"), state, item, others)
}
