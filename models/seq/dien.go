package seq

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// DIEN lets interests evolve towards the item to score (Zhou et al. 2019): a gated recurrent unit reads the history, attention by the item
// weighs its states h_i, and a second one, whose update gate the weights scale, turns them into the state that is scored with the item:
//
//	a = softmax_i(h_i·W·item), ũ_i = a_i·u_i, h′_i = (1 − ũ_i) ⊙ h′_{i−1} + ũ_i ⊙ n_i
//
// Without history the state is 0. Its units are embedding_dim, as in the authors' code.
//
// The auxiliary loss of the paper lets each state tell the next action e_{i+1} from an item ê that the history does not have, drawn
// anew at each step. aux_loss weighs its mean over the positions with a next action:
//
//	−log σ(h_i·e_{i+1}) − log(1 − σ(h_i·ê))
type DIEN struct {
	Columns `yaml:",inline"`
	// how a state and the item make a score: bilinear, h·W·item as in the paper; dot, h·item; unit, the small network of din, as in the
	// authors' code
	Attention           string  `yaml:"attention"`
	AttentionUnits      []int   `yaml:"attention_units"`      // hidden layers of that network
	AttentionActivation string  `yaml:"attention_activation"` // after each of them: relu, tanh, sigmoid, dice or none
	AttentionSoftmax    bool    `yaml:"attention_softmax"`    // weights are a softmax of the scores over the history
	SumPooling          bool    `yaml:"sum_pooling"`          // the sum of the history, and its product with the item, are scored too, as in the authors' code
	AuxLoss             float64 `yaml:"aux_loss"`             // weight of the auxiliary loss beside that of the task; 0: none
	Head                `yaml:",inline"`
}

func init() {
	models.Register("dien", DIEN{
		Columns: columns, Attention: "bilinear", AttentionUnits: []int{80, 40}, AttentionActivation: "dice", AttentionSoftmax: true, Head: head,
	})
}

// Validate reports every option out of range.
func (m DIEN) Validate() error {
	errs := []error{
		m.Columns.Validate(), m.Head.Validate(), registry.OneOf("attention", m.Attention, "bilinear", "dot", "unit"),
		registry.AtLeast("aux_loss", m.AuxLoss, 0),
	}
	for _, n := range m.AttentionUnits {
		errs = append(errs, registry.AtLeast("attention_units", n, 1))
	}
	if _, _, err := activation(m.AttentionActivation); err != nil {
		errs = append(errs, registry.Field("attention_activation", err.Error()))
	}
	return errors.Join(errs...)
}

// Build returns the logits, [B, 1].
func (m DIEN) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	item, x, others, h := m.embed(s, in)
	if s.Err() != nil {
		return nil
	}
	live, width := h.Items(s), x.Shape()[1]
	states := nn.GRU(s.Sub("extractor"), x, width, live)
	if m.AuxLoss > 0 && s.Train {
		m.auxiliary(s, in, h, states)
	}
	a := m.attend(s.Sub("attention"), item, states, h)
	if s.Err() != nil {
		return nil
	}
	parts := []*G.Node{h.Last(s, nn.AUGRU(s.Sub("evolving"), states, a, width, live)), item, others}
	if m.SumPooling && s.Err() == nil {
		s.Tie(s.SpaceOf(item), s.SpaceOf(x))
		sum := s.Columns(s.Check(ops.SumTokens(x, live)), s.SpaceOf(x))
		parts = append(parts, sum, nn.Mul(s, item, sum))
	}
	return m.score(s.Sub("classifier"), parts...)
}

// attend returns the weights of the states, [R, 1].
func (m DIEN) attend(s *nn.Scope, item, states *G.Node, h *models.History) *G.Node {
	if s.Err() != nil {
		return nil
	}
	var w *G.Node
	if m.Attention == "unit" {
		w = activationUnit(s, item, states, h, m.AttentionUnits, m.AttentionActivation)
	} else {
		w = m.product(s, item, states, h)
	}
	if s.Err() != nil || !m.AttentionSoftmax {
		return w
	}
	return s.Columns(s.Check(ops.SoftmaxTokens(w, h.Items(s))), s.Fixed(1))
}

// product returns the products of the states with the item, [R, 1].
func (m DIEN) product(s *nn.Scope, item, states *G.Node, h *models.History) *G.Node {
	if m.Attention == "bilinear" {
		item = nn.Project(s, item, states.Shape()[1])
	}
	if s.Err() != nil {
		return nil
	}
	q := s.Columns(s.Check(ops.Repeat(item, h.Items(s))), s.SpaceOf(item))
	y := nn.Mul(s, states, q)
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.SumCols(y)), s.Fixed(1))
}

// auxiliary adds the auxiliary loss to that of the task.
func (m DIEN) auxiliary(s *nn.Scope, in *models.Inputs, h *models.History, states *G.Node) {
	c := in.Within(s, "embedding", h, states)
	if s.Err() != nil {
		return
	}
	positives, n := c.Positives(s, in), c.Negatives(s, in, models.Negatives{N: 1, By: models.Uniform})
	if s.Err() != nil {
		return
	}
	o := ops.SampledOptions{Target: c.Next(), From: data.FirstID, Own: true, Packed: true, Negative: n.IDs}
	loss := s.Check(ops.GBCE(states, positives, n.Embeddings, o, 1)) // half of it: the mean over both items
	if s.Err() == nil {
		in.AddLoss(s.Check(ops.Scale(loss, 2*m.AuxLoss)))
	}
}
