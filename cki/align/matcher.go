package align

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/splice-ml/splice/models/nn"
)

// matcher holds two models while the units of the second are moved towards those of the first. Running statistics say nothing of
// which units correspond. Parameters that only one group moves, along one axis, such as embedding tables, take part by their inner
// products alone, so nothing of them is copied.
type matcher struct {
	a      *nn.Params
	b      map[string][]float32 // copies of the parameters that several groups move, as they are moved now
	groups []nn.Group
	turn   []bool             // groups that are rotated
	gram   []*mat.Dense       // by group: inner products over the parameters that are its own, in b's present order; nil if it has none
	shared [][]nn.Use         // by group: its uses in the other parameters
	square []bool             // by group: some parameter has it along two axes
	factor map[string]float64 // of the inner products over a parameter
	scale  []float64          // by group: the sum of |a|·|b| over its uses
	moves  map[axis][]int     // groups along each axis
	maps   []Map
	coords []coord
	// by group: what the units' values say of each pair, in b's first order; by class for heads. It outweighs weights
	seen map[int][]*mat.Dense
}

// axis is one of a parameter's.
type axis struct {
	param string
	k     int
}

// coord is what is matched at once: a group, or heads with all groups within them.
type coord struct {
	group int
	inner [][]int // by head and class
}

// all returns the groups of the coordinate.
func (c coord) all() []int {
	out := []int{c.group}
	for _, u := range c.inner {
		out = append(out, u...)
	}
	return out
}

// newMatcher prepares the groups that may move.
func newMatcher(a, b *nn.Params, groups []nn.Group, o WeightsOptions) (*matcher, error) {
	free, turn := o.Free, o.Rotate
	if free == nil {
		free = func(nn.Group) bool { return true }
	}
	if turn == nil {
		turn = func(nn.Group) bool { return false }
	}
	n := len(groups)
	m := &matcher{
		a: a, b: map[string][]float32{}, groups: groups, turn: make([]bool, n), gram: make([]*mat.Dense, n), shared: make([][]nn.Use, n),
		square: make([]bool, n), scale: make([]float64, n), moves: map[axis][]int{}, maps: make([]Map, n),
		seen: map[int][]*mat.Dense{}, factor: map[string]float64{},
	}
	owners, within := map[string][]int{}, map[int]bool{}
	for i, g := range groups {
		for _, u := range g.Uses {
			if err := same(a, b, u.Param); err != nil {
				return nil, err
			}
			if !slices.Contains(owners[u.Param], i) {
				owners[u.Param] = append(owners[u.Param], i)
			}
			if at := (axis{u.Param, u.Axis}); !slices.Contains(m.moves[at], i) {
				m.moves[at] = append(m.moves[at], i)
			}
		}
		if err := errors.Join(check(a, g), check(b, g)); err != nil {
			return nil, err
		}
		for _, u := range g.Inner {
			for _, k := range u {
				within[k] = true
			}
		}
	}
	for i, g := range groups {
		m.turn[i] = g.Orthogonal && !within[i] && turn(g)
		if !within[i] && free(g) {
			m.coords = append(m.coords, coord{i, g.Inner})
		}
		for _, u := range g.Uses {
			x, y := a.Get(u.Param), b.Get(u.Param)
			if x.Kind == nn.Buffer {
				continue
			}
			m.measure(x, y, !o.Unscaled)
			p := over(x, y, u, g.Size)
			m.scale[i] += m.factor[u.Param] * math.Sqrt(p.aa*p.bb)
			both := slices.ContainsFunc(g.Uses, func(v nn.Use) bool { return v.Param == u.Param && v.Axis != u.Axis })
			m.square[i] = m.square[i] || both
			if both || len(owners[u.Param]) > 1 {
				m.shared[i] = append(m.shared[i], u)
				if m.b[u.Param] == nil {
					m.b[u.Param] = slices.Clone(y.Data)
				}
				continue
			}
			if m.gram[i] == nil {
				m.gram[i] = mat.NewDense(g.Size, g.Size, nil)
			}
			inner(m.gram[i], x.Data, y.Data, x.Shape, u, m.factor[u.Param])
		}
	}
	return m, nil
}

// measure sets the factor of a parameter, if it has none yet.
func (m *matcher) measure(x, y *nn.Param, scaled bool) {
	if _, ok := m.factor[x.Name]; ok {
		return
	}
	f := 1.0
	if norms := math.Sqrt(dot(x.Data, x.Data) * dot(y.Data, y.Data)); scaled && norms > 0 {
		f = float64(len(x.Data)) / norms
	}
	m.factor[x.Name] = f
}

// same reports a parameter that both models do not have in one shape.
func same(a, b *nn.Params, name string) error {
	p, q := a.Get(name), b.Get(name)
	switch {
	case p == nil || q == nil:
		return fmt.Errorf("align: one of the models has no parameter %s", name)
	case !slices.Equal(p.Shape, q.Shape):
		return fmt.Errorf("align: %s is %v in the base and %v in the other model: "+
			"only models of one architecture and vocabulary can be aligned", name, p.Shape, q.Shape)
	}
	return nil
}

// clone returns a matcher at the same point that moves on its own.
func (m *matcher) clone() *matcher {
	c := *m
	c.b, c.gram, c.maps = map[string][]float32{}, make([]*mat.Dense, len(m.gram)), slices.Clone(m.maps)
	for name, x := range m.b {
		c.b[name] = slices.Clone(x)
	}
	for i, g := range m.gram {
		if g != nil {
			c.gram[i] = mat.DenseCopyOf(g)
		}
	}
	return &c
}

// total returns Σ a·b, each parameter times its factor, over all parameters that the groups move.
func (m *matcher) total() float64 {
	var names []string
	for name := range m.b {
		names = append(names, name)
	}
	slices.Sort(names)
	sum := 0.0
	for _, name := range names {
		sum += m.factor[name] * dot(m.a.Get(name).Data, m.b[name])
	}
	for _, g := range m.gram {
		if g != nil {
			sum += mat.Trace(g)
		}
	}
	return sum
}

// byWeights is how much weights count beside values: enough to decide between equals.
const byWeights = 1e-3

// weigh returns the factor of the weights' inner products beside what the units' values say.
func (m *matcher) weigh(i int) float64 {
	switch {
	case m.seen[i] == nil:
		return 1
	case m.scale[i] == 0:
		return 0
	}
	return byWeights / m.scale[i]
}

// evidence returns what the values say of each pair of units, in b's present order; inner are the groups within heads.
func (m *matcher) evidence(i int, inner [][]int) []*mat.Dense {
	var out []*mat.Dense
	for k, e := range m.seen[i] {
		n, _ := e.Dims()
		now := mat.NewDense(n, n, nil)
		if r := m.maps[i].Rotation; r != nil {
			now.Mul(e, r.T())
			out = append(out, now)
			continue
		}
		width := n / m.groups[i].Size
		for j := range n {
			from := j / width
			if p := m.maps[i].Perm; p != nil {
				from = p[from]
			}
			at := j % width
			if inner != nil {
				if p := m.maps[inner[j/width][k]].Perm; p != nil {
					at = p[at]
				}
			}
			for r := range n {
				now.Set(r, j, e.At(r, from*width+at))
			}
		}
		out = append(out, now)
	}
	return out
}

// value returns what steps of a coordinate make larger.
func (m *matcher) value(c coord) float64 {
	sum := m.weigh(c.group) * m.along(c.all())
	for _, e := range m.evidence(c.group, c.inner) {
		sum += mat.Trace(e)
	}
	return sum
}

// along returns the sum of total over the parameters that some groups move.
func (m *matcher) along(groups []int) float64 {
	var names []string
	sum := 0.0
	for _, i := range groups {
		for _, u := range m.shared[i] {
			if !slices.Contains(names, u.Param) {
				names = append(names, u.Param)
				sum += m.factor[u.Param] * dot(m.a.Get(u.Param).Data, m.b[u.Param])
			}
		}
		if m.gram[i] != nil {
			sum += mat.Trace(m.gram[i])
		}
	}
	return sum
}

// products returns the inner products of all pairs of units of a group, or what else speaks for them. A seen that is not
// nil leaves the shared parameters out that groups which it does not have move along other axes, unless nothing remains.
func (m *matcher) products(i int, seen []bool) *mat.Dense {
	n := m.groups[i].Size
	c := mat.NewDense(n, n, nil)
	found := false
	if m.gram[i] != nil {
		c.Add(c, m.gram[i])
		found = true
	}
	for _, u := range m.shared[i] {
		if seen == nil || m.settled(u, seen) {
			m.add(c, u)
			found = true
		}
	}
	if !found {
		for _, u := range m.shared[i] {
			m.add(c, u)
		}
	}
	if e := m.evidence(i, nil); e != nil {
		c.Scale(m.weigh(i), c)
		c.Add(c, e[0])
	}
	return c
}

func (m *matcher) add(c *mat.Dense, u nn.Use) {
	p := m.a.Get(u.Param)
	inner(c, p.Data, m.b[u.Param], p.Shape, u, m.factor[u.Param])
}

// settled reports whether seen has all groups along the other axes of the use's parameter.
func (m *matcher) settled(u nn.Use, seen []bool) bool {
	for k := range m.a.Get(u.Param).Shape {
		if k == u.Axis {
			continue
		}
		for _, g := range m.moves[axis{u.Param, k}] {
			if !seen[g] {
				return false
			}
		}
	}
	return true
}

// move moves the units of a group of b.
func (m *matcher) move(i int, by Map) {
	if by.Rotation == nil && by.moved() == 0 {
		return
	}
	for _, u := range m.shared[i] {
		shape := m.a.Get(u.Param).Shape
		if by.Rotation != nil {
			rotate(m.b[u.Param], shape, u, by.Rotation)
		} else {
			permute(m.b[u.Param], shape, u, by.Perm)
		}
	}
	if g := m.gram[i]; g != nil {
		old := mat.DenseCopyOf(g)
		if by.Rotation != nil {
			g.Mul(old, by.Rotation.T())
		} else {
			for j, k := range by.Perm {
				for r := range by.Perm {
					g.Set(r, j, old.At(r, k))
				}
			}
		}
	}
	m.maps[i] = m.maps[i].then(by)
	if inner := m.groups[i].Inner; inner != nil {
		old := slices.Clone(m.maps)
		for u, k := range by.Perm {
			for c := range inner[u] {
				m.maps[inner[u][c]] = old[inner[k][c]]
			}
		}
	}
}
