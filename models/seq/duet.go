package seq

import (
	"errors"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// DUET is a model of histories whose classifier is made anew for each row (Lv et al., WWW 2023): a gated recurrent unit reads the history, and
// a small network for each layer of the classifier turns its last state into that layer's weights. It is the dynamic model beside the
// static one of the same encoder. With Splice it is both: for each row, CKI splices the static classifier with the one made for it (Lv et
// al. 2025).
type DUET struct {
	Columns        `yaml:",inline"`
	Encoder        string `yaml:"encoder"`         // what the classifier sees beside the item: din, gru4rec or sasrec, each as the model of that name
	GeneratorUnits int    `yaml:"generator_units"` // units of the recurrent unit, and of the hidden layer of the networks that make weights
	// none: the classifier's weights are those made; local, global or dual: they are spliced, for each row, with those of a static
	// classifier, under the names that the static model has
	Splice      string `yaml:"splice"`
	Transformer `yaml:",inline"`
	Head        `yaml:",inline"`
}

func init() {
	models.Register("duet", DUET{
		Columns: columns, Encoder: "din", GeneratorUnits: 32, Splice: "none", Transformer: Transformer{Positions: fromFirst, NumBlocks: 1, NumHeads: 1}, Head: head,
	})
}

// Validate reports every option out of range.
func (m DUET) Validate() error {
	return errors.Join(m.Columns.Validate(), registry.OneOf("encoder", m.Encoder, "din", "gru4rec", "sasrec"),
		registry.AtLeast("generator_units", m.GeneratorUnits, 1), registry.OneOf("splice", m.Splice, "none", "local", "global", "dual"), m.Transformer.validate(m.EmbeddingDim), m.Head.Validate())
}

// Build returns the logits, [B, 1].
func (m DUET) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	item, x, others, h := m.embed(s, in)
	if s.Err() != nil {
		return nil
	}
	clicks := x
	item, x = transform(s.Sub("target"), item), transform(s.Sub("sequence"), x)
	var state *G.Node
	switch m.Encoder {
	case "gru4rec":
		state = h.Last(s, nn.GRU(s.Sub("gru"), x, m.EmbeddingDim, h.Live))
	case "sasrec":
		state = h.Last(s, m.encode(s, x, h, ofInput))
	default:
		state = DIN{Columns: m.Columns}.dot(s.Sub("attention"), item, x, h)
	}
	g := s.Sub("generator")
	user := h.Last(s, nn.GRU(g.Sub("gru"), clicks, m.GeneratorUnits, h.Live))
	parts := []*G.Node{state, item, others}
	if m.Encoder == "din" { // as there
		parts[0], parts[1] = item, state
	}
	return m.generated(s, g, user, parts...)
}

// spliceForms are those of Splice. The numbers beside them are the published ones.
var spliceForms = map[string]ops.SpliceForm{"local": ops.SpliceLocal, "global": ops.SpliceGlobal, "dual": ops.SpliceRecommendation}

// generated is the classifier whose weights are made of user.
func (m DUET) generated(s, g *nn.Scope, user *G.Node, parts ...*G.Node) *G.Node {
	act, dice, err := activation(m.HiddenActivations)
	s.Fail(err)
	x := side(s.Sub("classifier"), parts)
	for i, n := range append(append([]int(nil), m.HiddenUnits...), 1) {
		if i == len(m.HiddenUnits) {
			act = kernel.None
		}
		l := g.Sub(strconv.Itoa(i))
		hidden := nn.Linear(l.Sub("hidden"), user, m.GeneratorUnits, kernel.ReLU)
		if form, ok := spliceForms[m.Splice]; ok {
			x = nn.LinearSplice(nn.Spliced{
				Static: s.Sub("classifier").Sub(strconv.Itoa(i)), Own: l, Assessor: s.Sub("assessor").Sub(strconv.Itoa(i)), OwnSplicing: ops.OwnSplicing{
					Form: form, Scale: 1, A: 0.4, C: 500, Bins: 10,
				},
			}, x, hidden, n, act)
		} else {
			x = nn.LinearOwn(l, x, hidden, n, act)
		}
		if i < len(m.HiddenUnits) {
			if dice {
				x = nn.Dice(l.Sub("dice"), x, nil)
			}
			x = nn.Dropout(l, x, m.NetDropout)
		}
	}
	return x
}
