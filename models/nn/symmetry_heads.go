package nn

import "slices"

// headed is a declaration of Scope.Heads: by class (queries and keys, values) the units of each head.
type headed struct {
	name    string
	heads   int
	classes [][]Space
}

// bundle is a group whose units are heads, with the groups within them.
type bundle struct {
	group   Group
	classes [][]Space    // flat, by class and head
	members map[int]bool // roots of all heads
	place   int
	done    bool
}

// bundles returns the groups of heads that can be exchanged: each head has units of its own, none is fixed, and wherever
// a head's units lie, those of all heads lie side by side.
func (r *recorder) bundles() []*bundle {
	var all []*bundle
	owner := map[int]int{} // how many bundles have the root
	for _, h := range r.heads {
		b := &bundle{members: map[int]bool{}, group: Group{Name: h.name, Size: h.heads}}
		n := 0
		for _, c := range h.classes {
			flat := make([]Space, len(c))
			for u := range c {
				flat[u] = r.flatten(c[u])
				for _, id := range flat[u] {
					b.members[id] = true
					n++
				}
			}
			b.classes = append(b.classes, flat)
		}
		for id := range b.members {
			owner[id]++
		}
		if n == len(b.members) {
			all = append(all, b)
		}
	}
	return slices.DeleteFunc(all, func(b *bundle) bool {
		for id := range b.members {
			if owner[id] > 1 || r.units[id].fixed {
				return true
			}
		}
		return !b.even(r) || !b.locate(r)
	})
}

// even reports whether the heads of each class are cut alike.
func (b *bundle) even(r *recorder) bool {
	for _, c := range b.classes {
		for _, sp := range c {
			if !slices.EqualFunc(sp, c[0], func(x, y int) bool { return r.units[x].size == r.units[y].size }) {
				return false
			}
		}
	}
	return true
}

// locate finds the uses and the view of the heads, and reports whether the heads lie side by side everywhere.
func (b *bundle) locate(r *recorder) bool {
	for _, a := range r.axes {
		if !b.scan(r, a.space, func(at, block int) { b.group.Uses = append(b.group.Uses, Use{a.param, a.k, at, block}) }) {
			return false
		}
	}
	for _, n := range r.nodes {
		if !b.scan(r, r.columns[n], func(int, int) {}) {
			return false
		}
	}
	return true
}

// scan calls each for all places of the space where the heads of a class lie side by side, and reports whether their
// units lie nowhere else in it.
func (b *bundle) scan(r *recorder, sp Space, each func(at, block int)) bool {
	flat, at := r.flatten(sp), 0
	for len(flat) > 0 {
		if !b.members[flat[0]] {
			at += r.units[flat[0]].size
			flat = flat[1:]
			continue
		}
		found := false
		for _, c := range b.classes {
			if all := Join(c...); len(all) <= len(flat) && slices.Equal(flat[:len(all)], all) {
				each(at, r.width(c[0]))
				at += r.width(all)
				flat = flat[len(all):]
				found = true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// fill sets the group's inner groups; place is that of each root in s.Groups.
func (b *bundle) fill(s *Symmetry, r *recorder, place map[int]int) {
	if !b.done {
		return
	}
	inner := make([][]int, b.group.Size)
	for u := range inner {
		for _, c := range b.classes {
			for _, id := range c[u] {
				if r.units[id].size > 1 {
					inner[u] = append(inner[u], place[id])
				}
			}
		}
	}
	if len(inner[0]) > 0 {
		s.Groups[b.place].Inner = inner
	}
}
