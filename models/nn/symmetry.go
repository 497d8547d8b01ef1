package nn

import (
	"fmt"

	G "gorgonia.org/gorgonia"
)

// Symmetry is what can be exchanged in a model without changing what it computes.
type Symmetry struct {
	Groups []Group // from the inputs to the outputs; a group of heads stands before the groups within its heads
	Fixed  []Group // entries of axes that have nothing to exchange, such as logits and the rows of tables
	Layers []Layer // linear maps, each after those whose results it reads

	Lookups []Lookup // of embeddings that a model reads side by side
}

// Lookup is a node that holds rows of tables side by side, [B, F·dim].
type Lookup struct {
	Node   *G.Node
	Tables []string // full names, by field
}

// Layer is a linear map x·Wᵀ + b with weights of the model.
type Layer struct {
	Weight string  // full name of W, [out, in]
	Bias   string  // full name of b, [out]; empty without one
	In     *G.Node // x, [rows, in]
	Norm   *Norm   // the batch norm that alone reads the result; nil if there is none
	Out    *G.Node // the result, [rows, out]; nil if no node shows it, as with an activation in the same operation
	Sum    *G.Node // the sum that alone reads the result, such as that of a tower's logit and linear terms; nil if there is none
}

// Norm is a batch norm, with the full name of its scope: weight, bias, running_mean and running_var are its parameters.
type Norm struct {
	Name string
	Eps  float64
}

// Group is a set of interchangeable units, such as those of a hidden layer. Moving its units by one permutation along all of its
// Uses changes no output of the model.
type Group struct {
	Name       string
	Size       int   // units
	Uses       []Use // where the units lie in the parameters
	Orthogonal bool  // any orthogonal map of the units changes no output either, up to rounding
	// Linear says that any invertible map of the units changes no output, up to rounding, if its inverse is applied where they are read: no
	// inner products are taken of them.
	Linear bool
	// Inner are the groups within each unit, as places in Symmetry.Groups: Inner[u][k] is class k of unit u. The groups
	// of a class have one size, and are moved with their unit. Heads of attention have such groups; others do not.
	Inner [][]int
	Views []View // where one node shows the units' values; empty if no node does
}

// Use says where the units of a group lie along an axis of a parameter: unit u owns the Block entries from Offset + u·Block on.
type Use struct {
	Param               string
	Axis, Offset, Block int
}

// View says where the units' values lie in the columns of a node after a run: unit u owns the Block columns from Offset + u·Block on.
type View struct {
	Node          *G.Node // its last axis has the columns
	Offset, Block int
}

// Uncovered describes the axes of p's parameters, longer than 1, with entries of which no layer has declared that they lie in a
// group or are fixed.
func (s Symmetry) Uncovered(p *Params) []string {
	covered := map[axis][]bool{}
	for _, list := range [][]Group{s.Groups, s.Fixed} {
		for _, g := range list {
			for _, u := range g.Uses {
				q := p.Get(u.Param)
				if q == nil || u.Axis >= len(q.Shape) {
					continue
				}
				at := axis{u.Param, u.Axis}
				if covered[at] == nil {
					covered[at] = make([]bool, q.Shape[u.Axis])
				}
				for i := u.Offset; i < min(u.Offset+g.Size*u.Block, q.Shape[u.Axis]); i++ {
					covered[at][i] = true
				}
			}
		}
	}
	var out []string
	for _, q := range p.All() {
		for k, n := range q.Shape {
			if n < 2 {
				continue
			}
			c, missing := covered[axis{q.Name, k}], n
			for _, ok := range c {
				if ok {
					missing--
				}
			}
			if missing > 0 {
				out = append(out, fmt.Sprintf("%s: %d of the %d entries of axis %d", q.Name, missing, n, k))
			}
		}
	}
	return out
}

// Symmetry returns what can be exchanged without changing out, by what the layers have declared. What the graph computes with
// undeclared operations stays fixed, and so do the columns of out.
func (g *Graph) Symmetry(out *G.Node) Symmetry {
	if g.sym == nil || out == nil {
		return Symmetry{}
	}
	r := g.sym
	r.pin(r.columns[out])
	r.pinUndeclared(g.Graph, out)

	s := Symmetry{Layers: r.layers, Lookups: r.lookups}
	bundles := r.bundles()
	uses, views := r.uses(), r.views()
	place := map[int]int{} // of a root in s.Groups
	for id := range r.units {
		u := &r.units[id]
		if r.find(id) != id || u.parts != nil {
			continue
		}
		for _, b := range bundles {
			if !b.done && b.members[id] {
				b.done = true
				b.place = len(s.Groups)
				s.Groups = append(s.Groups, b.group)
			}
		}
		one := Group{Name: u.name, Size: u.size, Uses: uses[id]}
		if u.fixed || u.size == 1 {
			if len(one.Uses) > 0 {
				s.Fixed = append(s.Fixed, one)
			}
			continue
		}
		one.Orthogonal, one.Linear, one.Views = !u.rigid, !u.rigid && !u.metric, views[id]
		place[id] = len(s.Groups)
		s.Groups = append(s.Groups, one)
	}
	for _, b := range bundles {
		b.fill(&s, r, place)
	}
	return s
}
