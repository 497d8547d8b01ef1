package seq

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// DIN weighs the history by the item to score (Zhou et al. 2018).
type DIN struct {
	Columns `yaml:",inline"`
	// dot: item and history go through a layer of their own with tanh, and the weights are a softmax of scaled products of a query and
	// keys, as in CKI's recommendation experiments; unit: the weights are those of a small network over item, action, their difference
	// and their product, without softmax, as in the paper
	Attention           string `yaml:"attention"`
	AttentionUnits      []int  `yaml:"attention_units"`      // hidden layers of that network
	AttentionActivation string `yaml:"attention_activation"` // after each of them: relu, tanh, sigmoid or none
	Head                `yaml:",inline"`
}

func init() {
	models.Register("din", DIN{Columns: columns, Attention: "dot", AttentionUnits: []int{80, 40}, AttentionActivation: "sigmoid", Head: head})
}

// Validate reports every option out of range.
func (m DIN) Validate() error {
	errs := []error{m.Columns.Validate(), m.Head.Validate(), registry.OneOf("attention", m.Attention, "dot", "unit")}
	for _, n := range m.AttentionUnits {
		errs = append(errs, registry.AtLeast("attention_units", n, 1))
	}
	if _, err := nn.ParseAct(m.AttentionActivation); err != nil {
		errs = append(errs, registry.Field("attention_activation", err.Error()))
	}
	return errors.Join(errs...)
}

// Build returns the logits, [B, 1].
func (m DIN) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	item, x, others, h := m.embed(s, in)
	if s.Err() != nil {
		return nil
	}
	pooled := s.Sub("attention")
	if m.Attention == "unit" {
		return m.score(s.Sub("classifier"), item, m.unit(pooled, item, x, h), others)
	}
	item, x = transform(s.Sub("target"), item), transform(s.Sub("sequence"), x)
	return m.score(s.Sub("classifier"), item, m.dot(pooled, item, x, h), others)
}

// dot is attention by scaled products.
func (m DIN) dot(s *nn.Scope, item, x *G.Node, h *models.History) *G.Node {
	q, k, v := nn.Project(s.Sub("query"), item, m.EmbeddingDim), nn.Project(s.Sub("key"), x, m.EmbeddingDim), nn.Project(s.Sub("value"), x, m.EmbeddingDim)
	if s.Err() != nil {
		return nil
	}
	s.Tie(s.SpaceOf(q), s.SpaceOf(k))
	return s.Columns(s.Check(ops.TargetAttention(q, k, v, h.Live)), s.SpaceOf(v))
}

// unit is the local activation unit (Zhou et al. 2018, figure 2 and eq. 3).
func (m DIN) unit(s *nn.Scope, item, x *G.Node, h *models.History) *G.Node {
	if s.Err() != nil {
		return nil
	}
	act, err := nn.ParseAct(m.AttentionActivation)
	s.Fail(err)
	sp := s.SpaceOf(x)
	s.Tie(s.SpaceOf(item), sp)
	s.Rigid(sp)
	q := s.Columns(s.Check(ops.Repeat(item, h.Live)), sp)
	if s.Err() != nil {
		return nil
	}
	minus := s.Columns(s.Check(ops.Scale(x, -1)), sp)
	difference := nn.Add(s, q, minus)
	if s.Err() != nil {
		return nil
	}
	product := s.Columns(s.Check(ops.Mul(q, x)), sp)
	w := nn.MLP(s, nn.Concat(s, q, x, difference, product), nn.MLPOptions{Hidden: m.AttentionUnits, Activation: act, Output: 1})
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.WeightedPool(w, x, h.Live, false)), sp)
}
