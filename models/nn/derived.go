package nn

// Derived says that a parameter of a lookup, an embedding table or the vector of a numeric feature, is not trained: its rows are
// computed from those of another parameter, such as gates between the rows of parents' tables, which is trained in its place.
type Derived struct {
	// From is what the rows are computed from: a row for each row of the parameter, or one for all. Nil: nothing is trained,
	// the parameter holds its values already.
	From *Param
	// Row sets dst to row id, given the row of From that belongs to it. It is called for rows of batches, of several at once.
	Row func(id int, from, dst []float32)
	// Grad sets grad to the gradient of that row of From, given the gradient dy of row id.
	Grad func(id int, from, dy, grad []float32)
}

// Derive returns how a lookup's parameter is computed, whose values it must have set by then; nil: it is trained as it is. The model cannot
// tell: it is how a splice of the parents' tables takes a table's place. It is called once for each parameter.
type Derive func(s *Scope, p *Param) *Derived

// Derived returns how a lookup's parameter is computed; nil: it is trained as it is.
func (s *Scope) Derived(p *Param) *Derived {
	if s.Derive == nil || p == nil || s.err != nil {
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
