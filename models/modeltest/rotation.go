package modeltest

import (
	"gonum.org/v1/gonum/mat"

	"github.com/splice-ml/splice/data/rng"
)

// Rotation returns a random orthogonal matrix, [n, n].
func Rotation(n int, seed uint64) *mat.Dense {
	r := rng.New(seed)
	a := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			a.Set(i, j, r.NormFloat64())
		}
	}
	var qr mat.QR
	qr.Factorize(a)
	var q mat.Dense
	qr.QTo(&q)
	return &q
}
