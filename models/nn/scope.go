package nn

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/splice-ml/splice/models/ops"
)

// Reparam replaces the leaf of a weight by another node of the same shape. The model cannot tell the difference: so a splice of
// two frozen parents takes the place of a weight. It returns the leaf itself for a weight that it leaves alone.
type Reparam func(s *Scope, name string, leaf *G.Node) *G.Node

// Capture receives the node x of a linear map's inputs, [B, in], with the full name of its weight, [out, in]. After a run x holds the
// values of the batch, of which statistics can be made.
type Capture func(name string, x *G.Node)

// Graph is a graph under construction: what all of its scopes share.
type Graph struct {
	Params  *Params
	Graph   *G.ExprGraph
	Train   bool              // training mode: dropout drops, and batch norm uses the batch's statistics
	Batch   int               // rows of a batch, padding included
	Rows    *ops.Rows         // live rows of the current batch
	Step    *ops.Step         // current step, the source of dropout's masks
	Reparam Reparam           // may be nil
	Frozen  func(string) bool // reports whether a weight takes no gradient; may be nil
	Leaves  []Leaf            // weights that take a gradient, in order of creation
	Capture Capture           // called for each weight matrix of a linear map; may be nil
	Stats   []*ops.BatchStats // running statistics of the batch norms, in order of creation
	Plan    *ops.Plan         // adds up what the graph needs, in the place of values; may be nil
	Derive  Derive            // how lookups' parameters are computed; may be nil
	// Inside are the parameters whose values are nodes of the graph: weights, and tables that it reads as a whole.
	Inside  map[*Param]bool
	derived map[*Param]*Derived
	used    map[string]bool // full names that this pass through the graph has asked for
	made    map[string]made // nodes of weights and inputs, by full name, for further passes
	again   bool            // a further pass, which makes none
	sym     *recorder       // what the layers declare to be interchangeable
	err     error
}

// Leaf is a weight and the graph's node that holds it.
type Leaf struct {
	Param *Param
	Node  *G.Node
}

// made is the node of a weight or of an input, and an input's values.
type made struct {
	node   *G.Node
	values []float32
}

// Scope is a path into a Graph's parameters. Only a Scope makes leaves. The first error sticks, with its path: layers then return
// nil, and whoever builds the graph reads Err once at the end.
type Scope struct {
	*Graph
	path string
	init Init // of weights of linear maps; nil: XavierNormal
}

// NewScope returns the root scope of g.
func NewScope(g *Graph) *Scope {
	g.used, g.made, g.sym = map[string]bool{}, map[string]made{}, newRecorder()
	return &Scope{Graph: g}
}

// Again returns the root scope of a further pass through the model, in the graph of s: layers get the same nodes of weights and inputs, and
// random numbers of that step. Batch norms normalise by statistics of this pass, which are not kept. The error of a pass is that of its scopes
// alone.
func (s *Scope) Again(step *ops.Step) *Scope {
	g := *s.Graph
	g.used, g.again, g.Step, g.Leaves, g.Stats = map[string]bool{}, true, step, nil, nil
	return &Scope{Graph: &g}
}

// IsAgain reports whether the scope is one of a further pass, which makes no inputs.
func (s *Scope) IsAgain() bool { return s.again }

// shared returns what the first pass made under the full name, for a further pass.
func (s *Scope) shared(full string) (*G.Node, []float32) {
	m, ok := s.made[full]
	if !ok {
		s.Fail(fmt.Errorf("a further pass through the model asks for %s, which the first did not have", full))
	}
	return m.node, m.values
}

// Sub returns the scope of a name below s.
func (s *Scope) Sub(name string) *Scope {
	return &Scope{Graph: s.Graph, path: s.Path(name), init: s.init}
}

// Weights returns s with other initial values of the weights of linear maps, there and below.
func (s *Scope) Weights(init Init) *Scope { return &Scope{Graph: s.Graph, path: s.path, init: init} }

// weights returns the initial values of the weights of linear maps.
func (s *Scope) weights() Init {
	if s.init == nil {
		return XavierNormal
	}
	return s.init
}

// Path returns the full name of a parameter of this scope.
func (s *Scope) Path(name string) string {
	if s.path == "" {
		return name
	}
	if name == "" {
		return s.path
	}
	return s.path + "." + name
}

// Err returns the first error of the graph.
func (s *Scope) Err() error { return s.err }

// Fail records err under this scope's path, unless it is nil or an earlier error is there.
func (s *Scope) Fail(err error) {
	if s.err == nil && err != nil {
		if s.path == "" {
			s.err = fmt.Errorf("nn: %w", err)
		} else {
			s.err = fmt.Errorf("nn: %s: %w", s.path, err)
		}
	}
}

// Check records err and returns n, or nil if the graph has an error. Layers wrap op calls in it: s.Check(ops.Linear(x, w, b, act)).
func (s *Scope) Check(n *G.Node, err error) *G.Node {
	s.Fail(err)
	if s.err != nil {
		return nil
	}
	return n
}

// claim marks the full name as used by this graph: two layers of one name are a mistake that would share weights silently.
func (s *Scope) claim(name string) bool {
	if s.err != nil {
		return false
	}
	full := s.Path(name)
	if s.used[full] {
		s.Fail(fmt.Errorf("parameter %s is asked for twice: give the layers different names", full))
		return false
	}
	s.used[full] = true
	return true
}

// Param returns the node of a weight. It is filled by init if Params does not have it yet, and replaced by the graph's Reparam if
// there is one.
func (s *Scope) Param(name string, init Init, shape ...int) *G.Node {
	if !s.claim(name) {
		return nil
	}
	full := s.Path(name)
	p, err := s.Params.ensure(full, Weight, false, init, shape)
	if err != nil {
		s.Fail(fmt.Errorf("parameter %s: %w", full, err))
		return nil
	}
	return s.weight(p)
}

// Shared is Param of a weight that may be asked for several times, and is the same then.
func (s *Scope) Shared(name string, init Init, shape ...int) *G.Node {
	if full := s.Path(name); s.err == nil && s.used[full] {
		node, _ := s.shared(full)
		return node
	}
	return s.Param(name, init, shape...)
}

// weight returns the node of a parameter, or what replaces it.
func (s *Scope) weight(p *Param) *G.Node {
	if s.again {
		node, _ := s.shared(p.Name)
		return node
	}
	if !s.inside(p) {
		return nil
	}
	leaf := s.leaf(p.Name, p.Data, p.Shape)
	node := leaf
	if s.Reparam != nil {
		node = s.Reparam(s, p.Name, leaf)
		if s.err != nil {
			return nil
		}
	}
	if node == leaf && (s.Frozen == nil || !s.Frozen(p.Name)) {
		s.Leaves = append(s.Leaves, Leaf{p, leaf})
	}
	s.made[p.Name] = made{node, nil}
	return node
}

// Constant returns a leaf over values that take no gradient and are not part of the model, such as the frozen weight of a parent.
func (s *Scope) Constant(name string, data []float32, shape ...int) *G.Node {
	if !s.claim(name) {
		return nil
	}
	full := s.Path(name)
	if s.again {
		node, _ := s.shared(full)
		return node
	}
	node := s.leaf(full, data, shape)
	s.made[full] = made{node, nil}
	return node
}

// Buffer returns the values of a parameter that is state and not a weight, such as running statistics.
func (s *Scope) Buffer(name string, init Init, shape ...int) []float32 {
	if !s.claim(name) {
		return nil
	}
	p, err := s.Params.ensure(s.Path(name), Buffer, false, init, shape)
	if err != nil {
		s.Fail(fmt.Errorf("buffer %s: %w", s.Path(name), err))
		return nil
	}
	if s.again {
		return append([]float32(nil), p.Data...)
	}
	return p.Data
}

// Table returns an embedding table of this scope, [rows, dim], which stays outside of the graph. It may be asked for twice, since
// features that share a table look up the same rows. kind is Table, or Weight for the vector of a numeric feature.
func (s *Scope) Table(name string, kind Kind, rows, dim int, init Init) *Param {
	if s.err != nil {
		return nil
	}
	full := s.Path(name)
	p, err := s.Params.ensure(full, kind, true, init, []int{rows, dim})
	if err != nil {
		s.Fail(fmt.Errorf("table %s: %w", full, err))
		return nil
	}
	if p.Int8 != nil && s.Train {
		s.Fail(fmt.Errorf("table %s is held as int8, which is for scoring alone: it cannot be trained", full))
		return nil
	}
	return p
}

// TableParam returns the node of an embedding table of this scope, [rows, dim], which is a weight of the graph with a dense gradient, as
// a loss over all rows needs it. It is replaced by the graph's Reparam if there is one.
func (s *Scope) TableParam(name string, rows, dim int, init Init) *G.Node {
	p := s.Table(name, Table, rows, dim, init)
	if p == nil || !s.claim(name) {
		return nil
	}
	return s.weight(p)
}

// Values returns a leaf over the values of a parameter that is trained, if at all, by other means.
func (s *Scope) Values(name string, p *Param) *G.Node {
	if !s.inside(p) {
		return nil
	}
	return s.Constant(name, p.Data, p.Shape...)
}

// inside records that the graph reads the values of p as a whole, which must be float32 for it.
func (s *Scope) inside(p *Param) bool {
	if p.Int8 != nil {
		s.Fail(fmt.Errorf("table %s is held as int8, and the graph reads it as a whole", p.Name))
		return false
	}
	if s.Inside == nil {
		s.Inside = map[*Param]bool{}
	}
	s.Inside[p] = true
	return true
}

// Input returns the leaf of an input of that name, and its values, which are to be written before each run.
func (s *Scope) Input(name string, shape ...int) (*G.Node, []float32) {
	return s.input(name, shape, func() []float32 {
		n := 1
		for _, d := range shape {
			n *= d
		}
		if s.Plan != nil {
			s.Plan.Count(4 * float64(n))
			return nil
		}
		return make([]float32, n)
	})
}

// Scratch is Input for values that are all written before each run: the graphs of a program share their memory.
func (s *Scope) Scratch(name string, shape ...int) (*G.Node, []float32) {
	return s.input(name, shape, func() []float32 { return ops.Lend(s.Graph.Graph, shape...) })
}

// input returns the leaf of an input whose values lie where values says.
func (s *Scope) input(name string, shape []int, values func() []float32) (*G.Node, []float32) {
	if !s.claim(name) {
		return nil, nil
	}
	full := "input." + s.Path(name)
	if s.again {
		return s.shared(full)
	}
	data := values()
	node := s.leaf(full, data, shape)
	s.made[full] = made{node, data}
	return node, data
}

func (s *Scope) leaf(name string, data []float32, shape []int) *G.Node {
	if s.Plan != nil {
		return G.NewTensor(s.Graph.Graph, tensor.Float32, len(shape), G.WithShape(shape...), G.WithName(name))
	}
	t := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	return G.NewTensor(s.Graph.Graph, tensor.Float32, len(shape), G.WithShape(shape...), G.WithName(name), G.WithValue(t))
}
