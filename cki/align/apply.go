package align

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/splice-ml/splice/models/nn"
)

// Map says where the units of a group go. Unit i becomes what unit Perm[i] was or, if Rotation is set, Σ_j Rotation[i, j]·unit j. The
// zero value leaves the units where they are.
type Map struct {
	Perm     []int
	Rotation *mat.Dense
}

// moved returns the number of units that are not where they were, or -1 if they are rotated.
func (m Map) moved() int {
	if m.Rotation != nil {
		return -1
	}
	n := 0
	for i, j := range m.Perm {
		if i != j {
			n++
		}
	}
	return n
}

// then returns m followed by next.
func (m Map) then(next Map) Map {
	switch {
	case next.Rotation != nil && m.Rotation != nil:
		var r mat.Dense
		r.Mul(next.Rotation, m.Rotation)
		return Map{Rotation: &r}
	case next.Rotation != nil || m.Perm == nil:
		return next
	case next.Perm == nil:
		return m
	}
	p := make([]int, len(m.Perm))
	for i, j := range next.Perm {
		p[i] = m.Perm[j]
	}
	return Map{Perm: p}
}

// inverse returns the map that undoes m.
func (m Map) inverse() Map {
	if m.Rotation != nil {
		return Map{Rotation: mat.DenseCopyOf(m.Rotation.T())}
	}
	p := make([]int, len(m.Perm))
	for i, j := range m.Perm {
		p[j] = i
	}
	return Map{Perm: p}
}

// Apply moves the units of g in p: unit i becomes what unit perm[i] was, along all uses of the group.
func Apply(p *nn.Params, g nn.Group, perm []int) error {
	if err := check(p, g); err != nil {
		return err
	}
	seen := make([]bool, g.Size)
	for _, j := range perm {
		if len(perm) != g.Size || j < 0 || j >= g.Size || seen[j] {
			return fmt.Errorf("align: group %s: %v is no permutation of %d units", g.Name, perm, g.Size)
		}
		seen[j] = true
	}
	if len(perm) != g.Size {
		return fmt.Errorf("align: group %s: a permutation of %d units for %d", g.Name, len(perm), g.Size)
	}
	for _, u := range g.Uses {
		q := p.Get(u.Param)
		permute(q.Data, q.Shape, u, perm)
	}
	return nil
}

// Rotate turns the units of an orthogonal group in p: unit i becomes Σ_j r[i, j]·unit j, along all uses of the group.
func Rotate(p *nn.Params, g nn.Group, r *mat.Dense) error {
	if err := check(p, g); err != nil {
		return err
	}
	if n, m := r.Dims(); n != g.Size || m != g.Size {
		return fmt.Errorf("align: group %s: a map of [%d %d] for %d units", g.Name, n, m, g.Size)
	}
	if !g.Orthogonal {
		return fmt.Errorf("align: group %s: its units can be permuted, not rotated", g.Name)
	}
	for _, u := range g.Uses {
		q := p.Get(u.Param)
		rotate(q.Data, q.Shape, u, r)
	}
	return nil
}

// move applies a map.
func move(p *nn.Params, g nn.Group, m Map) error {
	if m.Rotation != nil {
		return Rotate(p, g, m.Rotation)
	}
	if m.moved() == 0 {
		return nil
	}
	return Apply(p, g, m.Perm)
}

// check reports what is wrong with g's uses in p.
func check(p *nn.Params, g nn.Group) error {
	for _, u := range g.Uses {
		q := p.Get(u.Param)
		if q == nil {
			return fmt.Errorf("align: group %s: there is no parameter %s", g.Name, u.Param)
		}
		if u.Axis < 0 || u.Axis >= len(q.Shape) || u.Offset < 0 || u.Block < 1 || u.Offset+g.Size*u.Block > q.Shape[u.Axis] {
			return fmt.Errorf("align: group %s: %s is %v, which has no %d units of %d entries from %d on along axis %d",
				g.Name, u.Param, q.Shape, g.Size, u.Block, u.Offset, u.Axis)
		}
	}
	return nil
}

// extent returns a use's layout in row-major data: how many slices there are, from one to the next, where units start
// in the first, and the length of a unit's piece.
func extent(shape []int, u nn.Use) (slices, stride, start, piece int) {
	slices, inner := 1, 1
	for _, n := range shape[:u.Axis] {
		slices *= n
	}
	for _, n := range shape[u.Axis+1:] {
		inner *= n
	}
	return slices, shape[u.Axis] * inner, u.Offset * inner, u.Block * inner
}

func permute(data []float32, shape []int, u nn.Use, perm []int) {
	slices, stride, start, piece := extent(shape, u)
	old := make([]float32, len(perm)*piece)
	for s := range slices {
		d := data[s*stride+start:][:len(old)]
		copy(old, d)
		for i, j := range perm {
			copy(d[i*piece:(i+1)*piece], old[j*piece:])
		}
	}
}

func rotate(data []float32, shape []int, u nn.Use, r *mat.Dense) {
	slices, stride, start, piece := extent(shape, u)
	n, _ := r.Dims()
	old, sum := make([]float32, n*piece), make([]float64, piece)
	for s := range slices {
		d := data[s*stride+start:][:len(old)]
		copy(old, d)
		for i := range n {
			clear(sum)
			for j, c := range r.RawRowView(i) {
				for k, x := range old[j*piece : (j+1)*piece] {
					sum[k] += c * float64(x)
				}
			}
			for k, x := range sum {
				d[i*piece+k] = float32(x)
			}
		}
	}
}
