package align

import (
	"gonum.org/v1/gonum/mat"

	"github.com/splice-ml/splice/models/nn"
)

// heads is the choice of what becomes of heads and of the units within them.
type heads struct {
	perm  []int
	inner [][]Map // by head, where it goes, and class
	sum   float64 // similarity with it
	now   float64 // and without
}

// matchHeads finds, for the similarity of all pairs of entries of two models, which heads correspond and how their units
// do: class[k] has H·d_k rows and columns, head by head. rest, [H, H], is what else speaks for a pair of heads.
func matchHeads(rest *mat.Dense, class []*mat.Dense) (heads, error) {
	n, _ := rest.Dims()
	var h heads
	score := make([]float64, n*n)
	best := make([][]Map, n*n)
	for i := range n {
		for j := range n {
			sum := rest.At(i, j)
			for _, c := range class {
				size, _ := c.Dims()
				d := size / n
				part := c.Slice(i*d, (i+1)*d, j*d, (j+1)*d)
				if i == j {
					h.now += mat.Trace(part)
				}
				p, s, err := largest(part)
				if err != nil {
					return h, err
				}
				best[i*n+j] = append(best[i*n+j], Map{Perm: p})
				sum += s
			}
			score[i*n+j] = sum
		}
		h.now += rest.At(i, i)
	}
	var err error
	if h.perm, h.sum, err = largest(mat.NewDense(n, n, score)); err != nil {
		return h, err
	}
	for i, j := range h.perm {
		h.inner = append(h.inner, best[i*n+j])
	}
	return h, nil
}

// largest returns the permutation p that makes Σ_i c[i, p[i]] largest, and that sum.
func largest(c mat.Matrix) ([]int, float64, error) {
	n, _ := c.Dims()
	cost := make([]float64, n*n)
	for i := range n {
		for j := range n {
			cost[i*n+j] = -c.At(i, j)
		}
	}
	p, err := Assignment(cost, n)
	if err != nil {
		return nil, 0, err
	}
	sum := 0.0
	for i, j := range p {
		sum += c.At(i, j)
	}
	return p, sum, nil
}

// headProducts returns matchHeads' arguments for weights; seen is that of products.
func (m *matcher) headProducts(c coord, seen []bool) (*mat.Dense, []*mat.Dense) {
	g := m.groups[c.group]
	rest := mat.NewDense(g.Size, g.Size, nil)
	class := make([]*mat.Dense, len(c.inner[0]))
	for k, i := range c.inner[0] {
		n := g.Size * m.groups[i].Size
		class[k] = mat.NewDense(n, n, nil)
	}
	found := false
	for range 2 {
		for _, u := range m.shared[c.group] {
			if !found && seen != nil && !m.settled(u, seen) {
				continue
			}
			found = true
			m.headUse(c, u, rest, class)
		}
		if found {
			break
		}
		seen = nil
	}
	if m.seen[c.group] != nil {
		w := m.weigh(c.group)
		rest.Scale(w, rest)
		for k, e := range m.evidence(c.group, c.inner) {
			class[k].Scale(w, class[k])
			class[k].Add(class[k], e)
		}
	}
	return rest, class
}

// headUse adds the products along one use of the heads.
func (m *matcher) headUse(c coord, u nn.Use, rest *mat.Dense, class []*mat.Dense) {
	g := m.groups[c.group]
	n := g.Size * u.Block
	all := mat.NewDense(n, n, nil)
	m.add(all, nn.Use{Param: u.Param, Axis: u.Axis, Offset: u.Offset, Block: 1})
	covered := make([]bool, u.Block)
	for k, i := range c.inner[0] {
		d := m.groups[i].Size
		for _, v := range m.groups[i].Uses {
			at := v.Offset - u.Offset
			if v.Param != u.Param || v.Axis != u.Axis || at < 0 || at >= u.Block {
				continue
			}
			for e := range d {
				covered[at+e] = true
			}
			for x := range n / u.Block {
				for y := range n / u.Block {
					to := class[k].Slice(x*d, (x+1)*d, y*d, (y+1)*d).(*mat.Dense)
					to.Add(to, all.Slice(x*u.Block+at, x*u.Block+at+d, y*u.Block+at, y*u.Block+at+d))
				}
			}
		}
	}
	for e, ok := range covered {
		if ok {
			continue
		}
		for x := range n / u.Block {
			for y := range n / u.Block {
				rest.Set(x, y, rest.At(x, y)+all.At(x*u.Block+e, y*u.Block+e))
			}
		}
	}
}
