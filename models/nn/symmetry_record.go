package nn

import (
	"fmt"

	G "gorgonia.org/gorgonia"
)

// recorder holds what the layers of a graph have declared of its symmetry: sets of units as a forest of a union-find
// structure, whose sets can also be split where a tie needs smaller ones.
type recorder struct {
	units   []units
	axes    []axisSpace
	byAxis  map[axis]int // place in axes
	columns map[*G.Node]Space
	nodes   []*G.Node        // those of columns, in the order of their declaration
	mixed   map[*G.Node]bool // those that no units are looked up in
	heads   []headed
	layers  []Layer
	lookups []Lookup
}

// units are interchangeable, unless they are fixed.
type units struct {
	name   string
	size   int
	parent int   // its own id, or that of the units it was tied to
	parts  []int // what it was split into, in order
	fixed  bool
	rigid  bool // no rotations
	metric bool // inner products are taken
}

// axis is one of a parameter's.
type axis struct {
	param string
	k     int
}

type axisSpace struct {
	axis
	space Space
}

func newRecorder() *recorder {
	return &recorder{byAxis: map[axis]int{}, columns: map[*G.Node]Space{}, mixed: map[*G.Node]bool{}}
}

func (r *recorder) add(u units) Space {
	u.parent = len(r.units)
	r.units = append(r.units, u)
	return Space{u.parent}
}

func (r *recorder) find(id int) int {
	for r.units[id].parent != id {
		id = r.units[id].parent
	}
	return id
}

// flatten returns the space as roots that are not split.
func (r *recorder) flatten(sp Space) Space {
	out := make(Space, 0, len(sp))
	for _, id := range sp {
		id = r.find(id)
		if parts := r.units[id].parts; parts != nil {
			out = append(out, r.flatten(parts)...)
		} else {
			out = append(out, id)
		}
	}
	return out
}

func (r *recorder) width(sp Space) int {
	n := 0
	for _, id := range sp {
		n += r.units[id].size
	}
	return n
}

// split cuts units of a root in two: the first n, and the others.
func (r *recorder) split(id, n int) {
	u := r.units[id]
	a := r.add(units{name: fmt.Sprintf("%s[:%d]", u.name, n), size: n, fixed: u.fixed, rigid: u.rigid})
	b := r.add(units{name: fmt.Sprintf("%s[%d:]", u.name, n), size: u.size - n, fixed: u.fixed, rigid: u.rigid})
	r.units[id].parts = []int{a[0], b[0]}
}

// tie makes two spaces move together, and reports whether they have one width.
func (r *recorder) tie(a, b Space) bool {
	if r.width(a) != r.width(b) {
		return false
	}
	for {
		a, b = r.flatten(a), r.flatten(b)
		i := 0
		for i < len(a) && r.units[a[i]].size == r.units[b[i]].size {
			i++
		}
		if i == len(a) {
			break
		}
		if na, nb := r.units[a[i]].size, r.units[b[i]].size; na > nb {
			r.split(a[i], nb)
		} else {
			r.split(b[i], na)
		}
	}
	for i := range a {
		x, y := r.find(a[i]), r.find(b[i])
		if x == y {
			continue
		}
		if y < x {
			x, y = y, x
		}
		r.units[y].parent = x
		r.units[x].fixed = r.units[x].fixed || r.units[y].fixed
		r.units[x].rigid = r.units[x].rigid || r.units[y].rigid
		r.units[x].metric = r.units[x].metric || r.units[y].metric
	}
	return true
}

// pin fixes the units of a space.
func (r *recorder) pin(sp Space) {
	for _, id := range r.flatten(sp) {
		r.units[id].fixed = true
	}
}

// pinUndeclared fixes the inputs of all operations that out depends on and that no layer has declared.
func (r *recorder) pinUndeclared(g *G.ExprGraph, out *G.Node) {
	seen := map[int64]bool{out.ID(): true}
	for stack := []*G.Node{out}; len(stack) > 0; {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		_, declared := r.columns[n]
		for it := g.From(n.ID()); it.Next(); {
			c, ok := it.Node().(*G.Node)
			if !ok {
				continue
			}
			if !declared {
				r.pin(r.columns[c])
			}
			if !seen[c.ID()] {
				seen[c.ID()] = true
				stack = append(stack, c)
			}
		}
	}
}

// uses returns the uses of all roots.
func (r *recorder) uses() map[int][]Use {
	out := map[int][]Use{}
	for _, a := range r.axes {
		at := 0
		for _, id := range r.flatten(a.space) {
			out[id] = append(out[id], Use{a.param, a.k, at, 1})
			at += r.units[id].size
		}
	}
	return out
}

// views returns the places of each root in the last node that has it.
func (r *recorder) views() map[int][]View {
	out := map[int][]View{}
	for _, n := range r.nodes {
		if r.mixed[n] {
			continue
		}
		at := 0
		for _, id := range r.flatten(r.columns[n]) {
			if v := out[id]; len(v) > 0 && v[0].Node != n {
				out[id] = nil
			}
			out[id] = append(out[id], View{n, at, 1})
			at += r.units[id].size
		}
	}
	return out
}
