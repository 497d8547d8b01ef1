// Package seq holds models of histories, one in a file. A row is an item and what the user had before it. The model scores the item,
// with one logit for each row.
package seq

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Columns says what a model reads, and how it is embedded.
type Columns struct {
	Item         string  `yaml:"item"`          // column of the item to score
	History      string  `yaml:"history"`       // column of sequences: what the user had before, the oldest first
	EmbeddingDim int     `yaml:"embedding_dim"` // width of each column's embedding
	InitStd      float64 `yaml:"init_std"`      // standard deviation of fresh embeddings
}

// Head holds the options of the classifier that scores an item against what the history came to.
type Head struct {
	HiddenUnits       []int   `yaml:"hidden_units"`       // units of the hidden layers
	HiddenActivations string  `yaml:"hidden_activations"` // after each hidden layer: relu, tanh, sigmoid, dice or none
	NetDropout        float64 `yaml:"net_dropout"`        // dropped share of each hidden layer's outputs, in [0, 1)
}

// The defaults are those of the reproduction in CKI's recommendation experiments (Lv et al., AAAI 2025).
var (
	columns = Columns{Item: "item", History: "history", EmbeddingDim: 32, InitStd: 0.02}
	head    = Head{HiddenUnits: []int{128, 64}, HiddenActivations: "tanh"}
)

// Validate reports every option out of range.
func (c Columns) Validate() error {
	errs := []error{registry.AtLeast("embedding_dim", c.EmbeddingDim, 1), registry.InAbove("init_std", c.InitStd, 0, 10)}
	for _, o := range [...]struct{ key, name string }{{"item", c.Item}, {"history", c.History}} {
		if o.name == "" {
			errs = append(errs, registry.Field(o.key, "is missing; want the name of a column"))
		}
	}
	return errors.Join(errs...)
}

// Validate reports every option out of range.
func (h Head) Validate() error {
	errs := []error{registry.InBelow("net_dropout", h.NetDropout, 0, 1)}
	for _, n := range h.HiddenUnits {
		errs = append(errs, registry.AtLeast("hidden_units", n, 1))
	}
	if _, _, err := activation(h.HiddenActivations); err != nil {
		errs = append(errs, registry.Field("hidden_activations", err.Error()))
	}
	return errors.Join(errs...)
}

// embed returns the embeddings of the item, [B, D], and of the history's positions, [R, D]. They share the table
// embedding.<table>.weight if the columns do. Columns beside the two are embedded side by side in others, which is nil without any.
func (c Columns) embed(s *nn.Scope, in *models.Inputs) (item, history, others *G.Node, h *models.History) {
	in.EmbeddingStd = c.InitStd
	item = in.Embed(s, "embedding", c.EmbeddingDim, c.Item)
	history, h = in.Sequence(s, "embedding", c.EmbeddingDim, c.History)
	var names []string
	for _, f := range in.Schema.Features {
		if f.Name != c.Item && f.Name != c.History {
			names = append(names, f.Name)
		}
	}
	if len(names) > 0 {
		others = in.Embed(s, "embedding", c.EmbeddingDim, names...)
	}
	return item, history, others, h
}

// score returns the classifier's logit, [B, 1], of the parts side by side; those that are nil are left out.
func (h Head) score(s *nn.Scope, parts ...*G.Node) *G.Node {
	act, dice, err := activation(h.HiddenActivations)
	s.Fail(err)
	return nn.MLP(s, side(s, parts), nn.MLPOptions{Hidden: h.HiddenUnits, Activation: act, Dice: dice, Dropout: h.NetDropout, Output: 1})
}

// activation returns the activation of a name, or that it is Dice, which has parameters.
func activation(name string) (act kernel.Act, dice bool, err error) {
	if name == "dice" || name == "Dice" {
		return kernel.None, true, nil
	}
	if act, err = nn.ParseAct(name); err != nil {
		err = fmt.Errorf("unknown activation %q: want none, relu, tanh, sigmoid or dice", name)
	}
	return act, false, err
}

// Outputs of models that can predict next items.
const (
	Classifier = "classifier"
	Items      = "catalogue"
)

// Output says what a model computes of its states.
type Output struct {
	// classifier: one logit, of the row's item; catalogue: a logit of each item of the catalogue, learned at each position of the
	// history (task next_item)
	Output string `yaml:"output"`
}

// Validate reports an unknown output.
func (o Output) Validate() error { return registry.OneOf("output", o.Output, Classifier, Items) }

// sequence returns the embeddings of the history's positions alone, [R, D].
func (c Columns) sequence(s *nn.Scope, in *models.Inputs) (*G.Node, *models.History) {
	in.EmbeddingStd = c.InitStd
	return in.Sequence(s, "embedding", c.EmbeddingDim, c.History)
}

// side returns the parts that are not nil side by side.
func side(s *nn.Scope, parts []*G.Node) *G.Node {
	var x []*G.Node
	for _, p := range parts {
		if p != nil {
			x = append(x, p)
		}
	}
	return nn.Concat(s, x...)
}

// transform is tanh(W·x + b), of the width of x.
func transform(s *nn.Scope, x *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	return nn.Linear(s, x, x.Shape()[1], kernel.Tanh)
}
