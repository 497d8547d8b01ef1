package align

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/splice-ml/splice/models/nn"
)

// chunk bounds how many values of a unit are turned into float64 at once.
const chunk = 4096

// inner adds to c the inner products of the pieces of two tensors along a use: c[i, j] += factor·Σ A_i·B_j over all that
// units i of a and j of b own. Blocks are compared entry by entry.
func inner(c *mat.Dense, a, b []float32, shape []int, use nn.Use, factor float64) {
	n, _ := c.Dims()
	slices, stride, start, piece := extent(shape, use)
	var sum mat.Dense
	if piece == 1 { // columns: rows of the matrices are slices
		for lo := 0; lo < slices; lo += chunk {
			rows := min(chunk, slices-lo)
			x, y := mat.NewDense(rows, n, nil), mat.NewDense(rows, n, nil)
			for s := range rows {
				widen(x.RawRowView(s), a[(lo+s)*stride+start:])
				widen(y.RawRowView(s), b[(lo+s)*stride+start:])
			}
			sum.Mul(x.T(), y)
			sum.Scale(factor, &sum)
			c.Add(c, &sum)
		}
		return
	}
	for s := range slices {
		for lo := 0; lo < piece; lo += chunk {
			k := min(chunk, piece-lo)
			x, y := mat.NewDense(n, k, nil), mat.NewDense(n, k, nil)
			for i := range n {
				widen(x.RawRowView(i), a[s*stride+start+i*piece+lo:])
				widen(y.RawRowView(i), b[s*stride+start+i*piece+lo:])
			}
			sum.Mul(x, y.T())
			sum.Scale(factor, &sum)
			c.Add(c, &sum)
		}
	}
}

// widen fills dst from src.
func widen(dst []float64, src []float32) {
	for i, v := range src[:len(dst)] {
		dst[i] = float64(v)
	}
}

func dot(a, b []float32) (sum float64) {
	for i, x := range a {
		sum += float64(x) * float64(b[i])
	}
	return sum
}

// products are the sums over entries of a·b, a² and b².
type products struct{ ab, aa, bb float64 }

func (p *products) add(q products) {
	p.ab += q.ab
	p.aa += q.aa
	p.bb += q.bb
}

// cosine returns a·b/(|a|·|b|), or 0 if one of them is 0.
func (p products) cosine() float64 {
	if p.aa == 0 || p.bb == 0 {
		return 0
	}
	return p.ab / math.Sqrt(p.aa*p.bb)
}

// along returns the products of what lies along a group's uses, but for running statistics.
func along(a, b *nn.Params, g nn.Group) (p products) {
	for _, u := range g.Uses {
		x, y := a.Get(u.Param), b.Get(u.Param)
		if x.Kind == nn.Buffer {
			continue
		}
		p.add(over(x, y, u, g.Size))
	}
	return p
}

// over returns the products along one use of n units.
func over(x, y *nn.Param, u nn.Use, n int) (p products) {
	slices, stride, start, piece := extent(x.Shape, u)
	for s := range slices {
		at := s*stride + start
		v, w := x.Data[at:at+n*piece], y.Data[at:at+n*piece]
		p.add(products{dot(v, w), dot(v, v), dot(w, w)})
	}
	return p
}

// procrustes returns the orthogonal R that makes Σ_i A_i·(Σ_j R[i, j]·B_j) largest, for c[i, j] = A_i·B_j, and that sum. R is U·Vᵀ of
// the decomposition c = U·Σ·Vᵀ (Schönemann 1966).
func procrustes(c *mat.Dense) (*mat.Dense, float64, bool) {
	var svd mat.SVD
	if !svd.Factorize(c, mat.SVDFull) {
		return nil, 0, false
	}
	var u, v, r mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	r.Mul(&u, v.T())
	sum := 0.0
	for _, s := range svd.Values(nil) {
		sum += s
	}
	return &r, sum, true
}
