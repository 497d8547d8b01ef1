package kernel

import "fmt"

// stripWidth is the number of columns of a strip: their sums stay in the first-level cache, in whole vectors.
const stripWidth = 256

// Transposed is a matrix b, [n, k], stored so that a product of a single row with its transpose reads it once, from start to end.
// It does not change after it is made, so goroutines may share it.
type Transposed struct {
	n, k  int
	parts int       // of a rounded factor; 0 if factors are taken as they are
	tiles []uint16  // b on tiles, in place of data
	data  []float32 // the strips of columns of bᵀ, [k, stripWidth], with zeros to fill up strips and groups of four rows
}

// Transpose returns b, [n, k], as a [Transposed] for products in this precision.
func (p Precision) Transpose(n, k int, b []float32) *Transposed {
	if n < 1 || k < 1 || len(b) != n*k {
		panic(fmt.Sprintf("kernel: Transpose: %d elements are not [%d, %d]", len(b), n, k))
	}
	t := &Transposed{n: n, k: k}
	switch {
	case splits(n, k) && tiles != noTiles:
		t.parts = p.parts()
		t.onTiles(b)
		return t
	case splits(n, k) && p != Highest:
		t.parts = p.parts()
		rounded := make([]float32, len(b))
		RoundBF16(rounded, b, t.parts)
		b = rounded
	}
	height := ceil(k, 4) * 4
	for j0 := 0; j0 < n; j0 += stripWidth {
		w := min(stripWidth, ceil(n-j0, 16)*16)
		at := len(t.data)
		t.data = append(t.data, make([]float32, height*w)...)
		for j := j0; j < min(j0+w, n); j++ {
			for p, v := range b[j*k : (j+1)*k] {
				t.data[at+p*w+j-j0] = v
			}
		}
	}
	return t
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
		t.timesTiles(c, a)
		return
	case t.parts > 0:
		space := spaces.take()
		defer spaces.put(space)
		space.piece = room(space.piece, t.k)
		RoundBF16(space.piece, a, t.parts)
		a = space.piece
	}
	_, _, kc := microSize()
	kc = pieceOf(t.k, kc)
	height := ceil(t.k, 4) * 4
	var part [stripWidth]float32
	strip := t.data
	for len(c) > 0 {
		w := min(stripWidth, ceil(len(c), 16)*16)
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

// onTiles packs b whole.
func (t *Transposed) onTiles(b []float32) {
	g := t.row()
	g.b, g.ldb, g.transB = b, t.k, true
	g.packedB = room[uint16](nil, ceil(g.steps, g.piece)*g.colPanels*g.stride)
	for i := range 2 * g.colPanels {
		g.splitB(i)
	}
	t.tiles, g.b, g.packedB = g.packedB, nil, nil
	products.put(g)
}

// row returns a product of one row with t.
func (t *Transposed) row() *product {
	g := products.take()
	g.transA, g.m, g.n, g.k = false, 1, t.n, t.k
	g.cut(t.parts, pieceSteps[t.parts])
	g.rowBlocks, g.colGroups = 1, 1
	g.j0, g.jn, g.colPanels = 0, t.n, ceil(t.n, panelRows)
	g.s0, g.sn = 0, g.steps
	return g
}

func (t *Transposed) timesTiles(c, a []float32) {
	g := t.row()
	kept := g.packedB
	g.a, g.lda, g.c, g.ldc, g.acc, g.epi, g.packedB = a, t.k, c, t.n, false, nil, t.tiles
	g.panels(0)
	g.a, g.c, g.packedB = nil, nil, kept
	products.put(g)
}
