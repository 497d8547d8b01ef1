package report

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// Mix finds how far values of a merge come from each parent: the weights of sum 1 whose combination of the parents is nearest to them by squares.
// Values may be added in pieces.
type Mix struct {
	parents     int
	gram        *mat.SymDense
	right       *mat.VecDense
	gap, square float64 // sums of (m - p₁)² and of m²
	d           []float64
}

// NewMix returns a Mix of so many parents.
func NewMix(parents int) *Mix {
	m := &Mix{parents: parents, d: make([]float64, max(0, parents-1))}
	m.Reset()
	return m
}

// Reset forgets all values.
func (m *Mix) Reset() {
	m.gap, m.square = 0, 0
	if n := m.parents - 1; n > 0 && m.gram == nil {
		m.gram, m.right = mat.NewSymDense(n, nil), mat.NewVecDense(n, nil)
	} else if n > 0 {
		m.gram.Zero()
		m.right.Zero()
	}
}

// Add adds values of the parents and of the merge.
func (m *Mix) Add(parents [][]float32, merged []float32) {
	for i, v := range merged {
		base := float64(parents[0][i])
		e := float64(v) - base
		m.gap, m.square = m.gap+e*e, m.square+float64(v)*float64(v)
		for k := range m.d {
			m.d[k] = float64(parents[k+1][i]) - base
		}
		for k, a := range m.d {
			m.right.SetVec(k, m.right.AtVec(k)+a*e)
			for j := k; j < len(m.d); j++ {
				m.gram.SetSym(k, j, m.gram.At(k, j)+a*m.d[j])
			}
		}
	}
}

// Weights returns the weights by parent, and the distance of the combination from the merge. The weights are nil if the parents do not determine
// them, as equal ones do not; the distance is then that of the first parent.
func (m *Mix) Weights() (weights []float64, distance float64) {
	var scale float64
	for k := range m.d {
		scale = max(scale, m.gram.At(k, k))
	}
	if len(m.d) == 0 || scale <= 1e-12*m.square {
		return nil, math.Sqrt(m.gap)
	}
	var c mat.Cholesky
	var x mat.VecDense
	if ok := c.Factorize(m.gram); !ok || c.Cond() > 1e10 || c.SolveVecTo(&x, m.right) != nil {
		return nil, math.Sqrt(m.gap)
	}
	weights = append(weights, 1)
	left := m.gap
	for k := range m.d {
		w := x.AtVec(k)
		weights = append(weights, w)
		weights[0] -= w
		left -= w * m.right.AtVec(k)
	}
	return weights, math.Sqrt(max(0, left))
}

// Norm returns the norm of the merge's values.
func (m *Mix) Norm() float64 { return math.Sqrt(m.square) }
