package kernel

import "fmt"

// Precision is how exactly matrix products are computed. All else is float32 in each of them, and so are products of fewer than
// [minTiles] columns or terms.
type Precision uint8

const (
	// Highest has the error of float32. Where the processor has AMX, factors of large products are split in three bf16 parts, of which six
	// products are added; else products are fused multiply-adds of float32.
	Highest Precision = iota
	// High splits factors in two bf16 parts, 16 bits, and adds three products.
	High
	// Medium rounds factors to bf16, 8 bits, and adds up in float32, on AMX or by AVX512-BF16 where these are faster.
	Medium
)

var precisions = [...]string{"highest", "high", "medium"}

func (p Precision) String() string { return precisions[p] }

// ParsePrecision returns the precision of a name, as [Precision.String] gives it.
func ParsePrecision(name string) (Precision, error) {
	for i, s := range precisions {
		if s == name {
			return Precision(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no precision: want highest, high or medium", name)
}

// UnmarshalText reads a name, and MarshalText writes it.
func (p *Precision) UnmarshalText(name []byte) (err error) {
	*p, err = ParsePrecision(string(name))
	return err
}

// MarshalText returns the precision's name.
func (p Precision) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// parts is the number of bf16 numbers that a factor is split in.
func (p Precision) parts() int { return 3 - int(p) }

// minTiles is the number of columns and of terms from which on a product's factors are split.
const minTiles = 16

func splits(n, k int) bool { return n >= minTiles && k >= minTiles }

// minSix is the number of elements of B from which on six products on tiles take the place of float32's: splitting small factors in three costs
// more than it gains. Only tests change it.
var minSix = 1 << 14

// onTiles reports whether a product with op(B) [k, n] is computed on tiles. The rows of A have no say: a row has the same bits in any company.
// Pairs are for one part alone: three products would cost one and a half times as much as one of float32.
func (p Precision) onTiles(n, k int) bool {
	if tiles.inPairs() {
		return p == Medium && splits(n, k)
	}
	return tiles != noTiles && splits(n, k) && (p != Highest || n*k >= minSix)
}

// Gemm is [Gemm] in this precision.
func (p Precision) Gemm(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int,
	acc bool, epi func(r0, r1 int),
) {
	checkGemm(transA, transB, m, n, k, a, lda, b, ldb, c, ldc)
	multiply(p, transA, transB, m, n, k, a, lda, b, ldb, c, ldc, acc, epi, true, n == 1 || m == 1)
}

// GemmRows is [GemmRows] in this precision.
func (p Precision) GemmRows(transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, epi func(r0, r1 int)) {
	checkGemm(false, transB, m, n, k, a, lda, b, ldb, c, ldc)
	multiply(p, false, transB, m, n, k, a, lda, b, ldb, c, ldc, false, epi, true, n == 1)
}

// GemmST is [GemmST] in this precision.
func (p Precision) GemmST(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	checkGemm(transA, transB, m, n, k, a, lda, b, ldb, c, ldc)
	multiply(p, transA, transB, m, n, k, a, lda, b, ldb, c, ldc, acc, nil, false, n == 1 || m == 1)
}

// rounding is a matrix of float32 that is rounded to the sum of bf16 parts.
type rounding struct {
	dst, src             []float32
	rows, cols, ld, most int // most is the number of parts
}

const roundRows = 32 // rows in a rounding task

func (r *rounding) task(i int) {
	for row := i * roundRows; row < min((i+1)*roundRows, r.rows); row++ {
		RoundBF16(r.dst[row*r.cols:][:r.cols], r.src[row*r.ld:], r.most)
	}
}

// round makes the factors of a product copies that are rounded to as many bits as their parts have. The product is float32's then: the sums
// come in another order than on tiles, and of two parts the product of the smaller ones, 2^-18 of the whole, is in it.
func (g *product) round(parts int) {
	g.a, g.lda, g.roundA = g.rounded(g.roundA, g.a, g.m, g.k, g.lda, g.transA, parts)
	g.b, g.ldb, g.roundB = g.rounded(g.roundB, g.b, g.k, g.n, g.ldb, g.transB, parts)
}

// rounded rounds op(x), [rows, cols], to the memory of to, and returns it twice and its stride.
func (g *product) rounded(to, x []float32, rows, cols, ld int, trans bool, parts int) ([]float32, int, []float32) {
	if trans {
		rows, cols = cols, rows
	}
	to = room(to, rows*cols)
	g.rounds = rounding{to, x, rows, cols, ld, parts}
	g.each(ceil(rows, roundRows), g.roundTask)
	g.rounds = rounding{}
	return to, cols, to
}
