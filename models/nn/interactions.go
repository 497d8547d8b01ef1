package nn

import (
	"fmt"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// InnerPairs returns the inner products of all pairs of vectors of width dim, [B, F·dim] → [B, F·(F−1)/2], in the order of ops.InnerPairs.
func InnerPairs(s *Scope, e *G.Node, dim int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	y := s.Check(ops.InnerPairs(e, e.Shape()[1]/dim))
	s.alike(e, dim)
	if s.Err() != nil {
		return nil
	}
	return s.Columns(y, s.Fixed(y.Shape()[1]))
}

// CIN returns what the layers of a compressed interaction network have found in vectors e of width dim, [B, F·dim] → [B, Σ maps] (Lian et al.
// 2018, eqs. 6 and 7). Layer k has maps[k] feature maps
//
//	x^k_h = Σ_i Σ_j w^k_hij·(x^{k-1}_i ⊙ x^0_j) + b^k_h
//
// of the fields x^0, and each is summed over its entries. Maps have no activation, and a bias as in the authors' code. The parameters of layer k
// are k.weight, [maps, maps before it, F], and k.bias, [maps].
func CIN(s *Scope, e *G.Node, dim int, maps []int) *G.Node {
	x0, entries := FieldColumns(s, e, dim) // [B·D, F]
	if s.Err() != nil {
		return nil
	}
	s.Rigid(entries)
	each := &ops.Tokens{L: dim}
	x, sums := x0, G.Nodes{}
	for k, n := range maps {
		l := s.Sub(strconv.Itoa(k))
		if s.Err() != nil {
			return nil
		}
		w, b := l.Param("weight", s.weights(), n, x.Shape()[1], x0.Shape()[1]), l.Param("bias", Zeros, n)
		if s.Err() != nil {
			return nil
		}
		sp := l.Units(n)
		l.Along("weight", 0, sp)
		l.Along("weight", 1, l.SpaceOf(x))
		l.Along("weight", 2, l.SpaceOf(x0))
		l.Along("bias", 0, sp)
		x = l.Columns(l.Check(ops.Bilinear(x, x0, w, b)), sp)
		sums = append(sums, l.Columns(l.Check(ops.SumTokens(x, each)), sp))
	}
	return Concat(s, sums...)
}

// SqueezeExcite returns vectors of width dim, each times a weight that all of them together give it, [B, F·dim] → the same (Huang et al. 2019,
// section 3.3): with z the means of the vectors, relu(W_2·relu(W_1·z)). The parameters are squeeze.weight, [reduced, F], and
// excite.weight, [F, reduced].
func SqueezeExcite(s *Scope, e *G.Node, dim, reduced int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	n, sp := e.Shape()[1]/dim, s.SpaceOf(e)
	s.Rigid(sp)
	x := s.Check(ops.Turn(e, n))
	if s.Err() != nil {
		return nil
	}
	z := s.Columns(s.Check(ops.MeanTokens(s.Columns(x, s.Fixed(n)), &ops.Tokens{L: dim})), s.Fixed(n))
	z = Activate(s, Project(s.Sub("squeeze"), z, reduced), kernel.ReLU)
	z = Activate(s, Project(s.Sub("excite"), z, n), kernel.ReLU)
	if s.Err() != nil {
		return nil
	}
	s.Tie(s.SpaceOf(z), s.Fixed(n))
	return s.Columns(s.Check(ops.Mix(e, z)), sp)
}

// Bilinear says which pairs of vectors share a matrix.
type Bilinear string

// What [BilinearPairs] multiplies by.
const (
	FieldAll         Bilinear = "field_all"         // one matrix for all pairs
	FieldEach        Bilinear = "field_each"        // one for all pairs of a left vector
	FieldInteraction Bilinear = "field_interaction" // one for each pair
)

// BilinearPairs returns (W·v_i) ⊙ v_j of all pairs i < j of vectors of width dim, [B, F·dim] → [B, F·(F−1)/2·dim] (Huang et al. 2019, eqs. 6 to
// 8). The parameters are weight, [dim, dim], or i.weight of the left vectors, [dim, dim] or with the matrices of its pairs one below the
// other, [(F−1−i)·dim, dim].
func BilinearPairs(s *Scope, v *G.Node, dim int, kind Bilinear) *G.Node {
	if s.Err() != nil {
		return nil
	}
	n := v.Shape()[1] / dim
	if n < 2 {
		s.Fail(fmt.Errorf("products of pairs need at least two columns of data"))
		return nil
	}
	fields := s.eachOf(v, dim)
	var u *G.Node
	if kind == FieldAll {
		x := s.Columns(s.Check(ops.Columns(v, 0, (n-1)*dim)), Join(fields[:n-1]...))
		u = JoinRows(s, Project(s, FieldRows(s, x, dim), dim), n-1)
	} else {
		var parts G.Nodes
		for i := range n - 1 {
			out := dim
			if kind == FieldInteraction {
				out *= n - 1 - i
			}
			x := s.Columns(s.Check(ops.Columns(v, i*dim, dim)), fields[i])
			parts = append(parts, Project(s.Sub(strconv.Itoa(i)), x, out))
		}
		u = Concat(s, parts...)
	}
	if s.Err() != nil {
		return nil
	}
	var left, right Space // of the products
	for i := range n - 1 {
		right = append(right, Join(fields[i+1:]...)...)
	}
	if left = s.SpaceOf(u); kind != FieldInteraction {
		left = nil
		for i, sp := range s.eachOf(u, dim) {
			left = append(left, Repeated(sp, n-1-i)...)
		}
	}
	s.Tie(right, left)
	s.Rigid(right)
	return s.Columns(s.Check(ops.PairProducts(u, v, dim)), right)
}
