// Package seq holds models of histories, one in a file. A row is an item and what the user had before it. The model scores the item,
// with one logit for each row.
package seq

import (
	"errors"
	"fmt"
	"slices"

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
	// columns of what is known of an item beside, such as its category. The column history_category, with the name of the history, has it of
	// each position. A catalogue has items alone, and its histories what is beside
	Side []string `yaml:"side"`
	// how the embeddings of an item and what is beside it become one: add, or concat and a linear layer
	SideMerge string `yaml:"side_merge"`
}

// Head holds the options of the classifier that scores an item against what the history came to.
type Head struct {
	HiddenUnits       []int   `yaml:"hidden_units"`       // units of the hidden layers
	HiddenActivations string  `yaml:"hidden_activations"` // after each hidden layer: relu, tanh, sigmoid, dice or none
	NetDropout        float64 `yaml:"net_dropout"`        // dropped share of each hidden layer's outputs, in [0, 1)
}

// The defaults are those of the reproduction in CKI's recommendation experiments (Lv et al., AAAI 2025).
var (
	columns = Columns{Item: "item", History: "history", EmbeddingDim: 32, InitStd: 0.02, SideMerge: sideAdd}
	head    = Head{HiddenUnits: []int{128, 64}, HiddenActivations: "tanh"}
)

// Ways to make one embedding of several.
const (
	sideAdd    = "add"
	sideConcat = "concat"
)

// Validate reports every option out of range.
func (c Columns) Validate() error {
	errs := []error{
		registry.OneOf("side_merge", c.SideMerge, sideAdd, sideConcat),
		registry.AtLeast("embedding_dim", c.EmbeddingDim, 1), registry.InAbove("init_std", c.InitStd, 0, 10),
	}
	for _, o := range [...]struct{ key, name string }{{"item", c.Item}, {"history", c.History}} {
		if o.name == "" {
			errs = append(errs, registry.Field(o.key, "is missing; want the name of a column"))
		}
	}
	for i, name := range c.Side {
		if name == "" || name == c.Item || name == c.History || slices.Contains(c.Side[:i], name) {
			errs = append(errs, registry.Field("side", "%q is blank, the item, the history or there twice", name))
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
	item = c.merge(s.Sub("side").Sub("item"), in.Embed(s, "embedding", c.EmbeddingDim, c.Item), func(name string) *G.Node {
		return in.Embed(s, "embedding", c.EmbeddingDim, name)
	})
	history, h = c.sequence(s, in)
	var names []string
	for _, f := range in.Schema.Features {
		if f.Name != c.Item && f.Name != c.History && !slices.ContainsFunc(c.Side, func(n string) bool { return f.Name == n || f.Name == c.beside(n) }) {
			names = append(names, f.Name)
		}
	}
	if len(names) > 0 {
		others = in.Embed(s, "embedding", c.EmbeddingDim, names...)
	}
	return item, history, others, h
}

// beside returns the column of what is known of the history's positions by that name.
func (c Columns) beside(name string) string { return c.History + "_" + name }

// merge returns what an embedding x, [N, D], and those of what is beside become, [N, D]. It is x if nothing is.
func (c Columns) merge(s *nn.Scope, x *G.Node, lookup func(name string) *G.Node) *G.Node {
	if len(c.Side) == 0 {
		return x
	}
	all := []*G.Node{x}
	for _, name := range c.Side {
		all = append(all, lookup(name))
	}
	if c.SideMerge != sideConcat {
		return nn.Add(s, all...)
	}
	return nn.Linear(s, nn.Concat(s, all...), c.EmbeddingDim, kernel.None)
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
	// of catalogue: dropped share of the items' vectors, in [0, 1). What is dropped of an item at a step is the same wherever it stands: in
	// histories, as the next item, and as one that it is compared with
	ItemDropout float64 `yaml:"item_dropout"`
}

// Validate reports every option out of range.
func (o Output) Validate() error {
	errs := []error{registry.OneOf("output", o.Output, Classifier, Items), registry.InBelow("item_dropout", o.ItemDropout, 0, 1)}
	if o.ItemDropout > 0 && o.Output == Classifier {
		errs = append(errs, registry.Field("item_dropout", "is of output: catalogue; remove it"))
	}
	return errors.Join(errs...)
}

// sequence returns the embeddings of the history's positions alone, [R, D].
func (c Columns) sequence(s *nn.Scope, in *models.Inputs) (*G.Node, *models.History) {
	in.EmbeddingStd = c.InitStd
	x, h := in.Sequence(s, "embedding", c.EmbeddingDim, c.History)
	if s.Err() != nil {
		return nil, nil
	}
	x = c.merge(s.Sub("side").Sub("history"), x, func(name string) *G.Node {
		return in.Beside(s, "embedding", c.EmbeddingDim, h, c.beside(name))
	})
	return x, h
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
