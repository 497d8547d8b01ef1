package kernel

import (
	"math"
	"unsafe"
)

// Dot returns the sum of a[i]*b[i] over len(a) elements, added up in float32 in several lanes.
func Dot(a, b []float32) float32 {
	b = b[:len(a)]
	var lanes [16]float32
	i := dotVec(len(a), unsafe.SliceData(a), unsafe.SliceData(b), &lanes[0])
	if i == 0 {
		return DotRef(a, b)
	}
	for w := 8; w > 0; w /= 2 {
		for j := range w {
			lanes[j] += lanes[j+w]
		}
	}
	sum := lanes[0]
	for ; i < len(a); i++ {
		sum += float32(a[i] * b[i])
	}
	return sum
}

// Sum returns the sum of x, added up in float64.
func Sum(x []float32) float32 {
	var lanes [8]float64
	i := sumVec(len(x), unsafe.SliceData(x), &lanes[0])
	var sum float64
	for _, v := range lanes {
		sum += v
	}
	for _, v := range x[i:] {
		sum += float64(v)
	}
	return float32(sum)
}

// SumSq returns the sum of the squares of x, added up in float64.
func SumSq(x []float32) float64 {
	var lanes [8]float64
	i := sumSqVec(len(x), unsafe.SliceData(x), &lanes[0])
	var sum float64
	for _, v := range lanes {
		sum += v
	}
	return sum + SumSqRef(x[i:])
}

// Max returns the greatest element of x. It is -Inf if x is empty, and NaN if an element is.
func Max(x []float32) float32 {
	var lanes [32]float32 // maxima, and as many lanes of greatest magnitudes
	i := maxAbsVec(len(x), unsafe.SliceData(x), &lanes[0])
	m := MaxRef(x[i:])
	if i == 0 {
		return m
	}
	w := 8
	if path == avx512 {
		w = 16
	}
	for _, v := range lanes[w : 2*w] {
		if v != v {
			return float32(math.NaN())
		}
	}
	for _, v := range lanes[:w] {
		if v > m {
			m = v
		}
	}
	return m
}

// ColSum adds to dst[j] the sum of column j of x, which is [rows, cols] row-major.
func ColSum(dst, x []float32, rows, cols int) {
	const width, height = 256, 128 // height rows are added up in float32, the rest in float64
	x, dst = x[:rows*cols], dst[:cols]
	ones := [4]float32{1, 1, 1, 1}
	var part [width]float32
	var sum [width]float64
	for j := 0; j < cols; j += width {
		w := min(width, cols-j)
		clear(sum[:w])
		for r := 0; r < rows; r += height {
			h := min(height, rows-r)
			clear(part[:w])
			addRows(part[:w], x[r*cols+j:], cols, h, &ones)
			for q, v := range part[:w] {
				sum[q] += float64(v)
			}
		}
		for q, v := range sum[:w] {
			dst[j+q] += float32(v)
		}
	}
}

// addRows adds the first rows of x, with stride ld, to dst.
func addRows(dst, x []float32, ld, rows int, ones *[4]float32) {
	n := len(dst)
	if rows > 0 && n <= 64 && fills(n) {
		_ = x[(rows-1)*ld+n-1]
		sumRows(rows, n, &x[0], ld, &dst[0])
		return
	}
	for ; rows >= 4; rows -= 4 {
		axpy4(dst, x, ld, ones)
		if rows > 4 {
			x = x[4*ld:]
		}
	}
	for r := range rows {
		Add(dst, x[r*ld:][:n])
	}
}

// axpy4 is dst += a[0]*x + a[1]*x[ld:] + a[2]*x[2*ld:] + a[3]*x[3*ld:].
func axpy4(dst, x []float32, ld int, a *[4]float32) {
	n := len(dst)
	x0, x1, x2, x3 := x[:n], x[ld:][:n], x[2*ld:][:n], x[3*ld:][:n]
	i := axpy4Vec(n, unsafe.SliceData(dst), unsafe.SliceData(x0), ld, &a[0])
	a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
	for ; i < n; i++ {
		dst[i] += float32(a0*x0[i]) + float32(a1*x1[i]) + float32(a2*x2[i]) + float32(a3*x3[i])
	}
}

// PairwiseFwd computes one row of a factorization machine (Rendle 2010, lemma 3.1). e is [fields, dim]; s receives the
// sum of the fields [dim]; the result is ½·(Σ_d s[d]² - Σ e²), added up in float64.
func PairwiseFwd(e []float32, fields, dim int, s []float32) float32 {
	s, e = s[:dim], e[:fields*dim]
	clear(s)
	ones := [4]float32{1, 1, 1, 1}
	addRows(s, e, dim, fields, &ones)
	return float32(0.5 * (SumSq(s) - SumSq(e)))
}
