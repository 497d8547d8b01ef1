package seq

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// DIN weighs the history by the item to score (Zhou et al. 2018), in the form of CKI's recommendation experiments: item and history go
// through a layer of their own with tanh, and the weights are a softmax of scaled products of a query and keys.
type DIN struct {
	Columns `yaml:",inline"`
	Head    `yaml:",inline"`
}

func init() { models.Register("din", DIN{Columns: columns, Head: head}) }

// Validate reports every option out of range.
func (m DIN) Validate() error { return errors.Join(m.Columns.Validate(), m.Head.Validate()) }

// Build returns the logits, [B, 1].
func (m DIN) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	item, x, others, h := m.embed(s, in)
	item, x = transform(s.Sub("target"), item), transform(s.Sub("sequence"), x)
	a := s.Sub("attention")
	q, k, v := nn.Project(a.Sub("query"), item, m.EmbeddingDim), nn.Project(a.Sub("key"), x, m.EmbeddingDim), nn.Project(a.Sub("value"), x, m.EmbeddingDim)
	if s.Err() != nil {
		return nil
	}
	a.Tie(s.SpaceOf(q), s.SpaceOf(k))
	pooled := s.Columns(s.Check(ops.TargetAttention(q, k, v, h.Live)), s.SpaceOf(v))
	return m.score(s.Sub("classifier"), item, pooled, others)
}
