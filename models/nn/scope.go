package nn

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/splice-ml/splice/models/ops"
)

// Reparam replaces the leaf of a weight by another node of the same shape. The model cannot tell: it is how a splice of two
// frozen parents takes a weight's place. It returns the leaf itself for weights that it leaves alone.
type Reparam func(s *Scope, name string, leaf *G.Node) *G.Node

// Capture gets the inputs x, [B, in], of the linear map whose weight, [out, in], has that full name, for statistics of layers'
// inputs: x holds a batch's values after a run.
type Capture func(name string, x *G.Node)

// Graph is one compiled graph under construction: what all its scopes share.
type Graph struct {
	Params  *Params
	Graph   *G.ExprGraph
	Train   bool              // training mode: dropout drops, batch norm uses the batch's statistics
	Batch   int               // rows of a batch, padding included
	Rows    *ops.Rows         // live rows of the current batch
	Step    *ops.Step         // current step: source of dropout's masks
	Reparam Reparam           // nil: none
	Frozen  func(string) bool // weights that take no gradient; nil: none
	Leaves  []Leaf            // weights that take a gradient, in order of creation
	Capture Capture           // called for each weight matrix of a linear map; nil: nobody looks
	Stats   []*ops.BatchStats // running statistics of the batch norms, in order of creation
	Derive  Derive            // how lookups' parameters are computed; nil: they are not
	derived map[*Param]*Derived
	used    map[string]bool // full names that this graph has asked for
	sym     *recorder       // what the layers declare to be interchangeable
	err     error
}

// Leaf is a weight and the graph's node that holds it.
type Leaf struct {
	Param *Param
	Node  *G.Node
}

// Scope is a path into a Graph's parameters. Only a Scope makes leaves. The first error sticks, with its path: layers go on
// with nil nodes, and the one who built the graph reads Err once.
type Scope struct {
	*Graph
	path string
}

// NewScope returns the root scope of g.
func NewScope(g *Graph) *Scope {
	g.used, g.sym = map[string]bool{}, newRecorder()
	return &Scope{Graph: g}
}

// Sub returns the scope one name further down.
func (s *Scope) Sub(name string) *Scope { return &Scope{Graph: s.Graph, path: s.Path(name)} }

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

// Fail records err under this scope's path, unless an earlier one is there.
func (s *Scope) Fail(err error) {
	if s.err == nil && err != nil {
		if s.path == "" {
			s.err = fmt.Errorf("nn: %w", err)
		} else {
			s.err = fmt.Errorf("nn: %s: %w", s.path, err)
		}
	}
}

// Check returns n, recording err. Layers wrap op calls in it: s.Check(ops.Linear(x, w, b, act)).
func (s *Scope) Check(n *G.Node, err error) *G.Node {
	if s.Fail(err); s.err != nil {
		return nil
	}
	return n
}

// captured shows the inputs of the linear map with that weight to the graph's Capture, if any.
func (s *Scope) captured(name string, x *G.Node) {
	if s.Capture != nil {
		s.Capture(s.Path(name), x)
	}
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

// Param returns the node of a weight, made by init if Params does not have it, and replaced by the graph's Reparam, if any.
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
	leaf := s.leaf(full, p.Data, shape)
	node := leaf
	if s.Reparam != nil {
		node = s.Reparam(s, full, leaf)
		if s.err != nil {
			return nil
		}
	}
	if node == leaf && (s.Frozen == nil || !s.Frozen(full)) {
		s.Leaves = append(s.Leaves, Leaf{p, leaf})
	}
	return node
}

// Constant returns a leaf over values that take no gradient and are not part of the model, such as a parent's frozen weight.
func (s *Scope) Constant(name string, data []float32, shape ...int) *G.Node {
	if !s.claim(name) {
		return nil
	}
	return s.leaf(s.Path(name), data, shape)
}

// Buffer returns the values of a parameter that is state, not weight: running statistics.
func (s *Scope) Buffer(name string, init Init, shape ...int) []float32 {
	if !s.claim(name) {
		return nil
	}
	p, err := s.Params.ensure(s.Path(name), Buffer, false, init, shape)
	if err != nil {
		s.Fail(fmt.Errorf("buffer %s: %w", s.Path(name), err))
		return nil
	}
	return p.Data
}

// Table returns an embedding table of this scope, [rows, dim], which stays outside of the graph. Asking twice is allowed:
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
	return p
}

// Input returns the leaf of a batch's input of that name and its values, to be written before each run.
func (s *Scope) Input(name string, shape ...int) (*G.Node, []float32) {
	if !s.claim(name) {
		return nil, nil
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]float32, n)
	return s.leaf("input."+s.Path(name), data, shape), data
}

func (s *Scope) leaf(name string, data []float32, shape []int) *G.Node {
	t := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	return G.NewTensor(s.Graph.Graph, tensor.Float32, len(shape), G.WithShape(shape...), G.WithName(name), G.WithValue(t))
}
