package kernel

// The products that touch each element of a matrix once: there is nothing to pack, and memory bounds the speed.

const (
	vectorRows = 64   // rows of a task of dot products or of an outer product
	sumHeight  = 256  // rows that are added up before the partial sums are
	sumWidth   = 2048 // columns of such a task
)

// empty is the product of a matrix without columns, or with one without columns.
func (g *product) empty() {
	if !g.acc {
		for i := range g.m {
			clear(g.c[i*g.ldc:][:g.n])
		}
	}
	if g.epi != nil {
		g.epi(0, g.m)
	}
}

// gather sets x to the elements of src that lie stride apart.
func gather(x, src []float32, stride int) []float32 {
	if stride == 1 {
		copy(x, src)
		return x
	}
	for i := range x {
		x[i] = src[i*stride]
	}
	return x
}

// strides returns the distance between elements of op(A) or op(B) along k and across it.
func strides(ld int, contiguousAlongK bool) (along, across int) {
	if contiguousAlongK {
		return 1, ld
	}
	return ld, 1
}

// outer is k = 1: c[i,j] (+)= a[i]*b[j].
func (g *product) outer() {
	_, across := strides(g.ldb, g.transB)
	g.x = gather(room(g.x, g.n), g.b, across)
	g.each(ceil(g.m, vectorRows), g.outerTask)
}

func (g *product) outerRows(t int) {
	r0, r1 := t*vectorRows, min((t+1)*vectorRows, g.m)
	_, across := strides(g.lda, !g.transA)
	for i := r0; i < r1; i++ {
		c := g.c[i*g.ldc:][:g.n]
		if g.acc {
			Axpy(c, g.a[i*across], g.x)
		} else {
			Scale(c, g.x, g.a[i*across])
		}
	}
	if g.epi != nil {
		g.epi(r0, r1)
	}
}

// lines is a matrix times a vector, with one result for each of its count lines along k.
type lines struct {
	mat   []float32
	ld    int
	count int
	step  int // from one result to the next in C
}

// vector is n = 1 or m = 1. Both are lines times product.x: those of op(A) times the column of B, or those of op(B)
// times the row of A.
func (g *product) vector() {
	contiguous := !g.transA
	if g.n == 1 {
		along, _ := strides(g.ldb, g.transB)
		g.x = gather(room(g.x, g.k), g.b, along)
		g.lines = lines{g.a, g.lda, g.m, g.ldc}
	} else {
		along, _ := strides(g.lda, !g.transA)
		g.x = gather(room(g.x, g.k), g.a, along)
		g.lines = lines{g.b, g.ldb, g.n, 1}
		contiguous = g.transB
	}
	if contiguous {
		g.each(ceil(g.count, vectorRows), g.dotTask)
	} else {
		g.sumLines()
	}
	g.mat = nil
	if g.epi != nil && (g.n != 1 || !contiguous) {
		g.epi(0, g.m)
	}
}

// dotRows is c[i*step] (+)= Σ_p mat[i*ld+p]·x[p], and epi if these are the rows of C.
func (g *product) dotRows(t int) {
	r0, r1 := t*vectorRows, min((t+1)*vectorRows, g.count)
	for i := r0; i < r1; i++ {
		v := Dot(g.x, g.mat[i*g.ld:])
		if g.acc {
			v += g.c[i*g.step]
		}
		g.c[i*g.step] = v
	}
	if g.epi != nil && g.n == 1 {
		g.epi(r0, r1)
	}
}

// sumLines is c[i*step] (+)= Σ_p mat[p*ld+i]·x[p]: partial sums over pieces of sumHeight rows, then their sum in order.
func (g *product) sumLines() {
	n := g.count
	chunks := ceil(g.k, sumHeight)
	g.part = room(g.part, chunks*n)
	g.each(chunks*ceil(n, sumWidth), g.sumTask)
	sum := g.part[:n]
	for t := 1; t < chunks; t++ {
		Add(sum, g.part[t*n:][:n])
	}
	for i, v := range sum {
		if g.acc {
			v += g.c[i*g.step]
		}
		g.c[i*g.step] = v
	}
}

func (g *product) sumRows(t int) {
	spans := ceil(g.count, sumWidth)
	chunk, j := t/spans, t%spans*sumWidth
	p, end := chunk*sumHeight, min((chunk+1)*sumHeight, g.k)
	sum := g.part[chunk*g.count+j:][:min(sumWidth, g.count-j)]
	clear(sum)
	for ; p+4 <= end; p += 4 {
		axpy4(sum, g.mat[p*g.ld+j:], g.ld, (*[4]float32)(g.x[p:]))
	}
	for ; p < end; p++ {
		Axpy(sum, g.x[p], g.mat[p*g.ld+j:])
	}
}
