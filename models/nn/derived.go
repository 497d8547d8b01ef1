package nn

import "fmt"

// Derived describes a parameter of a lookup that is computed, not trained. The parameter is an embedding table or the vector of a
// numeric feature. Its rows are computed from those of another parameter, which is trained in its place: gates between the rows
// of parents' tables, for example.
type Derived struct {
	// From is what the rows are computed from. It has a row for each row of the parameter, or one row for all. It is nil if
	// nothing is trained, and then the parameter holds its values already.
	From *Param
	// Row sets dst to row id, given the row of From that belongs to it. Several goroutines may call it at once.
	Row func(id int, from, dst []float32)
	// Grad sets grad to the gradient of that row of From, given the gradient dy of row id.
	Grad func(id int, from, dy, grad []float32)
}

// Derive returns how a lookup's parameter is computed, or nil if the parameter is trained as it is. It must have set the
// parameter's values when it returns. The model cannot tell the difference: so a splice of the parents' tables takes the place of
// a table. Derive is called once for each parameter.
type Derive func(s *Scope, p *Param) *Derived

// Derived returns how a lookup's parameter is computed, or nil if it is trained as it is.
func (s *Scope) Derived(p *Param) *Derived {
	if s.Derive == nil || p == nil || s.err != nil {
		return nil
	}
	if p.Int8 != nil {
		s.Fail(fmt.Errorf("table %s is held as int8, which is for scoring alone: it cannot be computed", p.Name))
		return nil
	}
	d, ok := s.derived[p]
	if !ok {
		d = s.Derive(s, p)
		if s.derived == nil {
			s.derived = map[*Param]*Derived{}
		}
		s.derived[p] = d
	}
	return d
}

// Root returns the scope of full names, from any scope of the graph.
func (s *Scope) Root() *Scope { return &Scope{Graph: s.Graph} }
