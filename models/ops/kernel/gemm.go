package kernel

import (
	"fmt"
	"sync/atomic"
)

// Gemm computes C = op(A)·op(B), or C += op(A)·op(B) if acc, on row-major matrices with row strides lda, ldb, ldc:
//
//	op(A) is [m, k]: a[i*lda+p], or a[p*lda+i] if transA
//	op(B) is [k, n]: b[p*ldb+j], or b[j*ldb+p] if transB
//
// epi, if not nil, is called once for each finished block of rows [r0, r1) of C, with all columns done. The blocks cover the rows,
// and calls may come from several goroutines at once. Work is split over the threads of [Parallel], and the result does not depend
// on their number. c must not overlap a or b.
func Gemm(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int,
	acc bool, epi func(r0, r1 int),
) {
	Highest.Gemm(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, acc, epi)
}

// GemmRows is Gemm for A·op(B), the product of a layer's inputs with its weights, without acc. A row of it has the same bits whatever
// the number of rows, so that a row of data has the same score alone and among others. Gemm takes another way for one row.
func GemmRows(transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, epi func(r0, r1 int)) {
	Highest.GemmRows(transB, m, n, k, a, lda, b, ldb, c, ldc, epi)
}

// GemmST is Gemm without epi on the calling goroutine alone, for use inside tasks of [Parallel]. The result has the same
// bits as Gemm's.
func GemmST(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	Highest.GemmST(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, acc)
}

// serial runs tasks as [Parallel] does, on the calling goroutine.
func serial(n int, f func(i int)) {
	for i := range n {
		f(i)
	}
}

// multiplyAdds counts those of all products.
var multiplyAdds atomic.Int64

// MultiplyAdds returns the number of multiplications, each with an addition, of all matrix products since the program began, in whatever
// precision.
func MultiplyAdds() int64 { return multiplyAdds.Load() }

// bytesMoved counts those of all steps.
var bytesMoved atomic.Int64

// CountBytes adds n to what [BytesMoved] returns.
func CountBytes(n int) { bytesMoved.Add(int64(n)) }

// BytesMoved returns how many bytes the ops of all programs, the lookups of embedding rows and the optimizers have read and written since
// the program began, each operand counted once for each op, whether it came from memory or from a cache. Operands that a product packs
// are counted once.
func BytesMoved() int64 { return bytesMoved.Load() }

// smallWork is the number of multiplications under which handing out tasks costs more than it gains.
const smallWork = 1 << 17

// multiply is Gemm, on the goroutines of [Parallel] or the calling one. A product of a vector is a row of dot products, or a sum of rows.
func multiply(p Precision, transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int,
	acc bool, epi func(r0, r1 int), parallel, vector bool,
) {
	if m == 0 {
		return
	}
	multiplyAdds.Add(int64(m) * int64(n) * int64(k))
	g := products.take()
	g.transA, g.transB, g.m, g.n, g.k = transA, transB, m, n, k
	g.a, g.lda, g.b, g.ldb, g.c, g.ldc = a, lda, b, ldb, c, ldc
	g.acc, g.epi, g.each, g.workers = acc, epi, serial, 1
	if parallel && m*n*k >= smallWork {
		g.each, g.workers = Parallel, Threads()
	}
	switch {
	case n == 0 || k == 0:
		g.empty()
	case k == 1:
		g.outer()
	case vector:
		g.vector()
	case p.onTiles(n, k):
		g.tiled(p.parts())
	default:
		if splits(n, k) && p != Highest {
			g.round(p.parts())
		}
		g.blocked()
	}
	g.a, g.b, g.c, g.epi = nil, nil, nil, nil
	products.put(g)
}

func checkGemm(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	if m < 0 || n < 0 || k < 0 {
		panic(fmt.Sprintf("kernel: Gemm: negative size m=%d n=%d k=%d", m, n, k))
	}
	checkMatrix("a", a, m, k, lda, transA)
	checkMatrix("b", b, k, n, ldb, transB)
	checkMatrix("c", c, m, n, ldc, false)
}

// checkMatrix panics if a rows x cols matrix, stored transposed if trans, does not fit in x.
func checkMatrix(name string, x []float32, rows, cols, ld int, trans bool) {
	if trans {
		rows, cols = cols, rows
	}
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols || len(x) < (rows-1)*ld+cols {
		panic(fmt.Sprintf("kernel: Gemm: %s [%d, %d] with stride %d does not fit in %d elements", name, rows, cols, ld, len(x)))
	}
}
