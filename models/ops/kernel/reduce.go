package kernel

// Dot returns the sum of a[i]*b[i] over len(a) elements, added up in float32 in several lanes.
func Dot(a, b []float32) float32 {
	return DotRef(a, b)
}

// Sum returns the sum of x, added up in float64.
func Sum(x []float32) float32 {
	return SumRef(x)
}

// SumSq returns the sum of the squares of x, added up in float64.
func SumSq(x []float32) float64 {
	return SumSqRef(x)
}

// Max returns the greatest element of x, -Inf if x is empty, NaN if it holds one.
func Max(x []float32) float32 {
	return MaxRef(x)
}

// ColSum adds to dst[j] the sum of column j of x, which is [rows, cols] row-major.
func ColSum(dst, x []float32, rows, cols int) {
	ColSumRef(dst, x, rows, cols)
}

// PairwiseFwd computes one row of a factorization machine (Rendle 2010, lemma 3.1). e is [fields, dim]; s receives the
// sum of the fields [dim]; the result is ½·(Σ_d s[d]² - Σ e²), added up in float64.
func PairwiseFwd(e []float32, fields, dim int, s []float32) float32 {
	return PairwiseFwdRef(e, fields, dim, s)
}
