package nn

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Activate returns act(x), entry by entry.
func Activate(s *Scope, x *G.Node, act kernel.Act) *G.Node {
	if s.Err() != nil {
		return nil
	}
	sp := s.SpaceOf(x)
	s.Rigid(sp)
	return s.Columns(s.Check(ops.Activate(x, act)), sp)
}

// alikeSpace declares that the vectors of width dim that lie side by side in x move alike, and returns the space of each.
func (s *Scope) alikeSpace(x *G.Node, dim int) Space {
	sp := s.Units(dim)
	s.Tie(s.SpaceOf(x), Repeated(sp, x.Shape()[1]/dim))
	return sp
}

// Repeated returns n times the same space side by side.
func Repeated(sp Space, n int) Space {
	var out Space
	for range n {
		out = append(out, sp...)
	}
	return out
}

// FieldRows puts vectors of width dim that lie side by side one below the other, [B, n·dim] → [B·n, dim], so that a layer takes each of them
// alone, with the same weights.
func FieldRows(s *Scope, x *G.Node, dim int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	sp := s.alikeSpace(x, dim)
	return s.Columns(s.Check(ops.FieldRows(x, x.Shape()[1]/dim)), sp)
}

// JoinRows puts n rows at a time side by side, [B·n, dim] → [B, n·dim].
func JoinRows(s *Scope, x *G.Node, n int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.JoinRows(x, n)), Repeated(s.SpaceOf(x), n))
}

// FieldColumns turns the vectors of width dim that lie side by side in x, [B, n·dim] → [B·dim, n], so that a layer mixes the vectors and leaves
// their entries apart. It also returns the space of these entries, which lie along no columns meanwhile. Which field is which is fixed.
func FieldColumns(s *Scope, x *G.Node, dim int) (*G.Node, Space) {
	if s.Err() != nil {
		return nil, nil
	}
	n := x.Shape()[1] / dim
	sp := s.alikeSpace(x, dim)
	return s.Columns(s.Check(ops.Turn(x, n)), s.Fixed(n)), sp
}

// JoinColumns turns back what FieldColumns has turned, [B·dim, n] → [B, n·dim], with the space of the entries. The columns are fixed then.
func JoinColumns(s *Scope, x *G.Node, entries Space) *G.Node {
	if s.Err() != nil {
		return nil
	}
	n := x.Shape()[1]
	s.Tie(s.SpaceOf(x), s.Fixed(n))
	return s.Columns(s.Check(ops.TurnBack(x, s.sym.width(entries))), Repeated(entries, n))
}

// eachOf returns the spaces of the vectors of width dim that lie side by side in x.
func (s *Scope) eachOf(x *G.Node, dim int) []Space {
	fields := make([]Space, x.Shape()[1]/dim)
	for i := range fields {
		fields[i] = s.Units(dim)
	}
	s.Tie(s.SpaceOf(x), Join(fields...))
	return fields
}
