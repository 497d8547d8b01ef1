package kernel

import (
	"fmt"
	"sync"
)

// stripWidth is the number of columns of a strip: their sums stay in the first-level cache, in whole vectors.
const stripWidth = 256

// Transposed is a matrix b, [n, k], stored so that a product of a single row with its transpose reads it once, from start to end, and so that
// products of a few rows need not pack it. Each form is made by the first product that reads it. Goroutines may share it: what it stands for
// does not change but by [Transposed.Renew].
type Transposed struct {
	n, k   int
	source []float32
	b      []float32 // source, rounded if parts > 0
	parts  int       // of a rounded factor; 0 if factors are taken as they are
	strip  sync.Once
	data   []float32 // the strips of columns of bᵀ, [k, stripWidth], with zeros to fill up strips and groups of four rows
	pack   sync.Once
	panel  []float32 // b as product.packed
	tiles  []uint16  // b on tiles, in place of both
}

// Transpose returns b, [n, k], as a [Transposed] for products in this precision. It may go on reading b.
func (p Precision) Transpose(n, k int, b []float32) *Transposed {
	if n < 1 || k < 1 || len(b) != n*k {
		panic(fmt.Sprintf("kernel: Transpose: %d elements are not [%d, %d]", len(b), n, k))
	}
	t := &Transposed{n: n, k: k, source: b, b: b}
	switch {
	case p.onTiles(n, k):
		t.parts = p.parts()
		t.onTiles()
	case splits(n, k) && p != Highest:
		t.parts = p.parts()
		t.b = make([]float32, len(b))
		RoundBF16(t.b, b, t.parts)
	}
	return t
}

// Renew makes t stand for the values that the matrix has now. No product may run meanwhile.
func (t *Transposed) Renew() {
	if t.tiles != nil {
		t.onTiles()
		return
	}
	if t.parts > 0 {
		RoundBF16(t.b, t.source, t.parts)
	}
	if t.data != nil {
		t.strips()
	}
	if t.panel != nil {
		t.panels()
	}
}

// stripWidth returns the columns of the strip that begins with column j0.
func (t *Transposed) stripWidth(j0 int) int { return min(stripWidth, ceil(t.n-j0, 16)*16) }

// strips makes t.data.
func (t *Transposed) strips() {
	height := ceil(t.k, 4) * 4
	t.data = room(t.data, height*ceil(t.n, 16)*16)
	at := 0
	for j0 := 0; j0 < t.n; j0 += stripWidth {
		w := t.stripWidth(j0)
		for j := j0; j < min(j0+w, t.n); j++ {
			for p, v := range t.b[j*t.k : (j+1)*t.k] {
				t.data[at+p*w+j-j0] = v
			}
		}
		at += height * w
	}
}

// Times is
//
//	for j := range n { for p := range k { c[j] += a[p] * b[j*k+p] } }
//
// over c set to zero, with the bits of a row of [Precision.GemmRows] that has the rows of b for its transposed second factor, n and k above 1.
func (t *Transposed) Times(c, a []float32) {
	a, c = a[:t.k], c[:t.n]
	switch {
	case t.tiles != nil:
		t.TimesRows(1, c, a, nil)
		return
	case t.parts > 0:
		space := spaces.take()
		defer spaces.put(space)
		space.piece = room(space.piece, t.k)
		RoundBF16(space.piece, a, t.parts)
		a = space.piece
	}
	t.strip.Do(t.strips)
	_, _, kc := microSize()
	kc = pieceOf(t.k, kc)
	height := ceil(t.k, 4) * 4
	var part [stripWidth]float32
	strip := t.data
	for len(c) > 0 {
		w := t.stripWidth(t.n - len(c))
		live := min(w, len(c))
		for k := 0; k < t.k; k += kc {
			sum := part[:w]
			clear(sum)
			inOrder(sum, a[k:min(k+kc, t.k)], strip[k*w:])
			if k == 0 {
				copy(c[:live], sum)
			} else {
				Add(c[:live], sum[:live])
			}
		}
		c, strip = c[live:], strip[height*w:]
	}
}

// inOrder adds to sum the rows of x, each as long as sum, times the elements of a, in the order of the micro-kernel and rounded
// as it rounds. x has rows up to the next multiple of four.
func inOrder(sum, a, x []float32) {
	w := len(sum)
	if path == generic {
		for p, v := range a {
			row := x[p*w:][:w]
			for j := range sum {
				sum[j] += v * row[j]
			}
		}
		return
	}
	for len(a) >= 4 {
		axpy4(sum, x, w, (*[4]float32)(a))
		a, x = a[4:], x[4*w:]
	}
	if len(a) > 0 {
		var rest [4]float32
		copy(rest[:], a)
		axpy4(sum, x, w, &rest)
	}
}

// TimesRows is [Transposed.Times] of m rows of a, [m, k], each with the bits that it has alone. epi is that of [Gemm].
func (t *Transposed) TimesRows(m int, c, a []float32, epi func(r0, r1 int)) {
	c, a = c[:m*t.n], a[:m*t.k]
	if m == 0 {
		return
	}
	multiplyAdds.Add(int64(m) * int64(t.n) * int64(t.k))
	g := t.product(m)
	g.a, g.lda, g.c, g.ldc, g.acc, g.epi = a, t.k, c, t.n, false, epi
	if t.tiles != nil {
		g.allTiles(t)
		kept := g.packedB
		g.packedB = t.tiles
		g.countDown()
		g.each(g.rowBlocks*g.colGroups, g.panelTask)
		g.packedB = kept
	} else {
		t.pack.Do(t.panels)
		g.kept = t.panel
		if t.parts > 0 {
			g.a, g.lda, g.roundA = g.rounded(g.roundA, a, m, t.k, t.k, false, t.parts)
		}
		g.blocked()
	}
	g.a, g.b, g.c, g.epi, g.kept = nil, nil, nil, nil, nil
	products.put(g)
}

// WidestKept is the largest n that [Transposed.TimesRows] takes.
const WidestKept = maxNC

// panels packs b.
func (t *Transposed) panels() {
	g := t.product(1)
	g.b, g.ldb = t.b, t.k
	g.mr, g.nr, g.kc = microSize()
	g.kc = pieceOf(t.k, g.kc)
	g.j0, g.jn, g.k0, g.kn = 0, t.n, 0, t.k
	g.colPanels = ceil(t.n, g.nr)
	kept := g.packed
	g.packed = room(t.panel, t.k*g.colPanels*g.nr)
	for i := range g.packTasks() {
		g.pack(i)
	}
	t.panel, g.packed, g.b = g.packed, kept, nil
	products.put(g)
}

// product returns a product of m rows with t.
func (t *Transposed) product(m int) *product {
	g := products.take()
	g.transA, g.transB, g.m, g.n, g.k = false, true, m, t.n, t.k
	g.each, g.workers = serial, 1
	if m*t.n*t.k >= smallWork {
		g.each, g.workers = Parallel, Threads()
	}
	return g
}

// allTiles cuts g into tasks over all of t at once.
func (g *product) allTiles(t *Transposed) {
	g.cut(t.parts, pieceSteps[t.parts])
	g.j0, g.jn, g.colPanels = 0, t.n, ceil(t.n, panelRows)
	g.s0, g.sn = 0, g.steps
	g.groups()
}

// onTiles packs b whole.
func (t *Transposed) onTiles() {
	g := t.product(1)
	g.allTiles(t)
	g.b, g.ldb = t.source, t.k
	kept := g.packedB
	g.packedB = room(t.tiles, ceil(g.steps, g.piece)*g.colPanels*g.stride)
	for i := range 2 * g.colPanels {
		g.splitB(i)
	}
	t.tiles, g.b, g.packedB = g.packedB, nil, kept
	products.put(g)
}
