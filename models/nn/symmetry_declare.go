package nn

import (
	"fmt"
	"slices"
	"strconv"

	G "gorgonia.org/gorgonia"
)

// Space says which units lie along an axis. It consists of sets of units side by side, as Scope.Units makes them. While layers
// build the graph, they declare with it what may be exchanged in them:
//
//   - SpaceOf gives the space of a node's columns, Columns sets it. A node without one, made by an operation that no layer
//     declared, is fixed, and so is what it is computed from.
//   - Along says in which space an axis of a parameter lies.
//   - Tie makes spaces move together: those of the terms of a sum, or of a product entry by entry.
//   - Rigid says that units meet an operation entry by entry: they can be permuted, not rotated.
//   - Heads says that columns are the queries, keys and values of attention.
//
// A gated recurrent unit over h with weight [3·H, in] for its three gates, for example, declares
//
//	h := s.Units(H)
//	s.Rigid(h)
//	s.Along("weight_ih", 0, Join(h, h, h))
//	s.Along("weight_ih", 1, s.SpaceOf(x))
//	s.Along("weight_hh", 0, Join(h, h, h))
//	s.Along("weight_hh", 1, h)
//	s.Along("bias", 0, Join(h, h, h))
//	return s.Columns(y, h)
type Space []int

// Join returns the space of several spaces side by side. A space that comes up several times moves alike in all of its places.
func Join(spaces ...Space) Space {
	var out Space
	for _, sp := range spaces {
		out = append(out, sp...)
	}
	return out
}

// Units returns the space of n new units, which may be exchanged for each other. They are named after the scope.
func (s *Scope) Units(n int) Space { return s.sym.add(units{name: s.path, size: n}) }

// Fixed returns a space of n entries that stay where they are.
func (s *Scope) Fixed(n int) Space { return s.sym.add(units{name: s.path, size: n, fixed: true}) }

// SpaceOf returns the space of the columns of x, its last axis: fixed if no layer has declared it.
func (s *Scope) SpaceOf(x *G.Node) Space {
	if s.err != nil || x == nil {
		return nil
	}
	if sp, ok := s.sym.columns[x]; ok {
		return sp
	}
	shape := x.Shape()
	if len(shape) == 0 {
		return nil
	}
	return s.Fixed(shape[len(shape)-1])
}

// Columns declares the space of the columns of y, and thereby that y is computed by a declared operation. It returns y.
func (s *Scope) Columns(y *G.Node, sp Space) *G.Node {
	if s.err != nil || y == nil {
		return y
	}
	if shape := y.Shape(); len(shape) == 0 || shape[len(shape)-1] != s.sym.width(sp) {
		s.Fail(fmt.Errorf("symmetry: a node of shape %v is declared to have %d columns", shape, s.sym.width(sp)))
		return nil
	}
	if _, ok := s.sym.columns[y]; !ok {
		s.sym.nodes = append(s.sym.nodes, y)
	}
	s.sym.columns[y] = sp
	return y
}

// Along declares that an axis of this scope's parameter of that name lies in sp. An axis that is declared again, since
// its parameter is shared, lies in both.
func (s *Scope) Along(name string, at int, sp Space) {
	if s.err != nil {
		return
	}
	full := s.Path(name)
	p := s.Params.Get(full)
	switch {
	case p == nil:
		s.Fail(fmt.Errorf("symmetry: there is no parameter %s", full))
		return
	case at < 0 || at >= len(p.Shape) || p.Shape[at] != s.sym.width(sp):
		s.Fail(fmt.Errorf("symmetry: %s is %v, its axis %d is declared to have %d entries", full, p.Shape, at, s.sym.width(sp)))
		return
	}
	key := axis{full, at}
	if i, ok := s.sym.byAxis[key]; ok {
		s.Tie(s.sym.axes[i].space, sp)
		return
	}
	s.sym.byAxis[key] = len(s.sym.axes)
	s.sym.axes = append(s.sym.axes, axisSpace{key, sp})
}

// Tie declares that spaces of one width move together, entry by entry.
func (s *Scope) Tie(spaces ...Space) {
	for _, sp := range spaces {
		if s.err == nil && !s.sym.tie(spaces[0], sp) {
			s.Fail(fmt.Errorf("symmetry: %d columns are tied to %d", s.sym.width(spaces[0]), s.sym.width(sp)))
		}
	}
}

// Rigid declares that something happens to the space entry by entry, such as an activation.
func (s *Scope) Rigid(sp Space) {
	for _, id := range s.sym.flatten(sp) {
		s.sym.units[id].rigid = true
	}
}

// Heads declares the columns of attention's queries and keys, heads side by side, and of its values: whole heads may be
// exchanged, and within each head the pairs of a query's and a key's column, and the columns of the values. The columns of
// what attention returns lie in v.
func (s *Scope) Heads(q, k, v Space, heads int) {
	if s.err != nil {
		return
	}
	dq, dv := s.sym.width(q), s.sym.width(v)
	if heads < 1 || dq%heads != 0 || dv%heads != 0 || s.sym.width(k) != dq {
		s.Fail(fmt.Errorf("symmetry: %d heads over %d columns of queries, %d of keys, %d of values", heads, dq, s.sym.width(k), dv))
		return
	}
	var qk, vo []Space
	for h := range heads {
		sub := s.Sub("head" + strconv.Itoa(h))
		qk = append(qk, sub.Sub("qk").Units(dq/heads))
		s.Metric(qk[h])
		vo = append(vo, sub.Sub("v").Units(dv/heads))
	}
	s.Tie(q, Join(qk...), k)
	s.Tie(v, Join(vo...))
	if heads > 1 {
		s.sym.heads = append(s.sym.heads, headed{s.Path("heads"), heads, [][]Space{qk, vo}})
	}
}

// Metric declares that inner products are taken of vectors in the space: they can be rotated, and not stretched.
func (s *Scope) Metric(sp Space) {
	for _, id := range s.sym.flatten(sp) {
		s.sym.units[id].metric = true
	}
}

// Mapped declares that y is x·Wᵀ + b with this scope's parameters of those names; bias is empty if there is no b. y may be nil, if no node
// shows the result, as with an activation in the same operation. It shows x to the graph's Capture, if any.
func (s *Scope) Mapped(weight, bias string, x, y *G.Node) {
	if s.err != nil {
		return
	}
	if s.Capture != nil {
		s.Capture(s.Path(weight), x)
	}
	l := Layer{Weight: s.Path(weight), In: x, Out: y}
	if bias != "" {
		l.Bias = s.Path(bias)
	}
	s.sym.layers = append(s.sym.layers, l)
}

// Looked declares that y holds rows of tables with these full names side by side. It returns y.
func (s *Scope) Looked(y *G.Node, tables ...string) *G.Node {
	if s.err == nil {
		s.sym.lookups = append(s.sym.lookups, Lookup{y, tables})
	}
	return y
}

// normed declares that this scope's batch norm reads x.
func (s *Scope) normed(x *G.Node, eps float64) {
	for i := range s.sym.layers {
		if l := &s.sym.layers[i]; l.Out != nil && l.Out == x {
			l.Norm = &Norm{Name: s.path, Eps: eps}
		}
	}
}

// affine declares y = act(x·Wᵀ + b) with the scope's parameters weight and bias; it returns y.
func (s *Scope) affine(x, y *G.Node, activated bool) *G.Node {
	if s.err != nil {
		return nil
	}
	out := s.Units(y.Shape()[1])
	if activated {
		s.Mapped("weight", "bias", x, nil)
		s.Rigid(out)
	} else {
		s.Mapped("weight", "bias", x, y)
	}
	s.Along("weight", 0, out)
	s.Along("weight", 1, s.SpaceOf(x))
	s.Along("bias", 0, out)
	return s.Columns(y, out)
}

// scaled declares an operation on x entry by entry with parameters of one value a column, such as a normalisation; it
// returns its result y.
func (s *Scope) scaled(x, y *G.Node, names ...string) *G.Node {
	sp := s.SpaceOf(x)
	s.Rigid(sp)
	for _, name := range names {
		s.Along(name, 0, sp)
	}
	return s.Columns(y, sp)
}

// summed declares that y is the sum of xs; it returns y.
func (s *Scope) summed(y *G.Node, xs ...*G.Node) *G.Node {
	if s.err != nil || len(xs) == 0 {
		return y
	}
	spaces := make([]Space, len(xs))
	for i, x := range xs {
		spaces[i] = s.SpaceOf(x)
	}
	s.Tie(spaces...)
	return s.Columns(y, spaces[0])
}

// added declares that y is the sum of xs, and nothing else: a layer whose result is among them can make up for what the others lack. It returns
// y.
func (s *Scope) added(y *G.Node, xs ...*G.Node) *G.Node {
	if s.err != nil || len(xs) < 2 {
		return y
	}
	for i := range s.sym.layers {
		if l := &s.sym.layers[i]; l.Out != nil && slices.Contains(xs, l.Out) {
			l.Sum = y
		}
	}
	return y
}

// joined declares that y is xs side by side; it returns y.
func (s *Scope) joined(y *G.Node, xs ...*G.Node) *G.Node {
	var sp Space
	for _, x := range xs {
		sp = append(sp, s.SpaceOf(x)...)
	}
	return s.Columns(y, sp)
}

// alike declares that the columns of e are vectors of width dim side by side whose inner products count: all turn alike.
func (s *Scope) alike(e *G.Node, dim int) {
	if s.err != nil {
		return
	}
	one := s.Units(dim)
	var all Space
	for range e.Shape()[1] / dim {
		all = append(all, one...)
	}
	s.Tie(s.SpaceOf(e), all)
	s.Metric(one)
}
