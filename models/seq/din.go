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
	// and their product, as in the paper
	Attention           string `yaml:"attention"`
	AttentionUnits      []int  `yaml:"attention_units"`      // hidden layers of that network
	AttentionActivation string `yaml:"attention_activation"` // after each of them: relu, tanh, sigmoid, dice or none
	AttentionSoftmax    bool   `yaml:"attention_softmax"`    // its weights are a softmax over the history; false as in the paper, whose weights tell how strong an interest is
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
	if _, _, err := activation(m.AttentionActivation); err != nil {
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

// dot is attention by scaled products. The key's and the value's weights are linear, and so are applied to the query and to the sum of the
// history, one row each, instead of each position: (W_k·x_i)·q = x_i·(W_kᵀ·q), Σ p_i·(W_v·x_i) = W_v·Σ p_i·x_i.
func (m DIN) dot(s *nn.Scope, item, x *G.Node, h *models.History) *G.Node {
	q := nn.ProjectBack(s.Sub("key"), nn.Project(s.Sub("query"), item, m.EmbeddingDim), x)
	if s.Err() != nil {
		return nil
	}
	sum := s.Columns(s.Check(ops.TargetAttention(q, x, x, h.Live)), s.SpaceOf(x))
	return nn.Project(s.Sub("value"), sum, m.EmbeddingDim)
}

// unit is the sum of the history with the weights of the local activation unit (Zhou et al. 2018, eq. 3): Σ_i a_i·x_i.
func (m DIN) unit(s *nn.Scope, item, x *G.Node, h *models.History) *G.Node {
	w := activationUnit(s, item, x, h, m.AttentionUnits, m.AttentionActivation)
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.WeightedPool(w, x, h.Live, m.AttentionSoftmax)), s.SpaceOf(x))
}

// activationUnit returns a weight for each position, [R, 1], the local activation unit of DIN (Zhou et al. 2018, figure 2):
//
//	a_i = MLP(item, x_i, item − x_i, item ⊙ x_i)
//
// Dice takes its statistics over the actions of all histories.
func activationUnit(s *nn.Scope, item, x *G.Node, h *models.History, units []int, name string) *G.Node {
	if s.Err() != nil {
		return nil
	}
	act, dice, err := activation(name)
	s.Fail(err)
	sp := s.SpaceOf(x)
	s.Tie(s.SpaceOf(item), sp)
	q := s.Columns(s.Check(ops.Repeat(item, h.Live)), sp)
	if s.Err() != nil {
		return nil
	}
	minus := s.Columns(s.Check(ops.Scale(x, -1)), sp)
	parts := nn.Concat(s, q, x, nn.Add(s, q, minus), nn.Mul(s, q, x))
	o := nn.MLPOptions{Hidden: units, Activation: act, Dice: dice, Output: 1}
	if dice {
		o.Live = h.Items(s)
	}
	return nn.MLP(s, parts, o)
}
