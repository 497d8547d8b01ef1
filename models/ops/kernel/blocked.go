package kernel

import "unsafe"

// The blocked product, after Goto and van de Geijn 2008 (doi:10.1145/1356052.1356053): B is packed into panels of nr
// columns and A into panels of mr rows, cut into pieces of kc along k, so that the micro-kernel reads both in order; a
// panel of B stays in the first-level cache while a block of A is read from the second level, or comes from the second one
// ahead of its use where the micro-kernel's long pieces leave no room for it.
//
// Every element of C is the sum over pieces of kc of sums in order of k. The pieces depend on k alone, so that neither
// the split into tiles nor the order in which they are run can be seen in the result.
const (
	blockPanels = 24      // panels of A in a row block, at most: with 6 rows 144 KB
	maxNC       = 4096    // columns that are packed at once
	maxPacked   = 1 << 20 // elements of B that are packed at once, unless one piece of kc has more,
	maxShared   = 1 << 18 // and of those if A is packed with it: both go to the cores' caches and come back from there
	manyBlocks  = 16      // row blocks from which on columns need not be split
	rowGroups   = 4       // else, at most so many row blocks times
	colGroups   = 8       // so many column groups
	minGroup    = 4       // panels in a column group
	packRows    = 64      // rows of B in a packing task
	// panels of one operand up to which the other is read where it is: packing it costs about what this many uses of it do
	inPlacePanels = 4
)

// plan is how a product is cut into tasks: it depends on the sizes and the micro-kernel alone.
type plan struct {
	mr, nr    int
	kc        int // length of a piece along k
	rowPanels int
	rowBlocks int
	share     bool // A is packed ahead for all tiles, not by each tile for itself
	aInPlace  bool // A is read where it is, but for the last panel if that is short
	bInPlace  bool // and B
	tall      int  // panels of mr rows; those behind them have mr2
	mr2       int

	// the block of B that is packed
	j0, jn, colPanels, colGroups int
	k0, kn                       int
}

// room returns x with n elements, starting on a cache line, if need be from new memory.
func room[T float32 | uint16](x []T, n int) []T {
	if cap(x) >= n {
		return x[:n]
	}
	const line = 64
	var zero T
	size := int(unsafe.Sizeof(zero))
	x = make([]T, n+line/size)
	if off := int(uintptr(unsafe.Pointer(&x[0])) % line); off != 0 {
		x = x[(line-off)/size:]
	}
	return x[:n]
}

func ceil(a, b int) int { return (a + b - 1) / b }

// pieceOf returns the length of the pieces, of about most at most, that k is cut into.
func pieceOf(k, most int) int {
	kc := ceil(ceil(k, ceil(k, most)), 8) * 8
	if kc%16 == 0 {
		kc += 8 // panels that lie a large power of two apart would compete for the same cache lines
	}
	return kc
}

func (g *product) blocked() {
	g.mr, g.nr, g.kc = microSize()
	g.kc = pieceOf(g.k, g.kc)
	g.inPlace()
	g.rowBlocks = ceil(g.rowPanels, blockPanels)
	g.share = false
	if g.rowBlocks >= manyBlocks {
		g.rowBlocks = min(g.rowPanels, ceil(g.rowBlocks, manyBlocks)*manyBlocks)
	} else if g.m*g.n*g.k >= smallWork {
		g.share = !g.aInPlace
		g.rowBlocks = max(g.rowBlocks, min(g.rowPanels, rowGroups))
	}
	for g.j0 = 0; g.j0 < g.n; g.j0 += maxNC {
		g.jn = min(maxNC, g.n-g.j0)
		g.colPanels = ceil(g.jn, g.nr)
		g.colGroups = 1
		limit := maxPacked
		if g.share {
			g.colGroups = min(ceil(g.colPanels, minGroup), colGroups)
			limit = maxShared
		}
		kb := max(1, limit/(g.kc*g.colPanels*g.nr)) * g.kc
		if g.bInPlace || g.kept != nil {
			kb = g.k
		}
		for g.k0 = 0; g.k0 < g.k; g.k0 += kb {
			g.kn = min(kb, g.k-g.k0)
			g.block()
		}
	}
}

// inPlace decides what is packed, and cuts the rows into panels. The bits of C do not depend on either: the pieces of k are the same.
func (g *product) inPlace() {
	g.mr2 = g.mr
	g.tall = ceil(g.m, g.mr)
	g.rowPanels = g.tall
	g.aInPlace, g.bInPlace = false, false
	short := microShort()
	if short == 0 || g.m < short || g.n < g.nr {
		return
	}
	const page = 1024 // elements: rows that lie so far apart share cache lines' places
	g.aInPlace = g.n <= inPlacePanels*g.nr && (g.transA || g.lda%page != 0)
	g.bInPlace = g.aInPlace && !g.transB && g.m <= inPlacePanels*g.mr && g.n%g.nr == 0
	if !g.aInPlace {
		return
	}
	g.mr2 = short
	g.tall = g.m / g.mr
	for p := g.tall; p >= 0 && p > g.tall-short; p-- { // as few rows left over as can be
		if (g.m-p*g.mr)%short == 0 {
			g.tall = p
			break
		}
	}
	g.rowPanels = g.tall + ceil(g.m-g.tall*g.mr, short)
}

// start returns the first row of a panel.
func (g *product) start(panel int) int {
	if panel <= g.tall {
		return min(panel*g.mr, g.m)
	}
	return min(g.tall*g.mr+(panel-g.tall)*g.mr2, g.m)
}

// block multiplies columns [k0, k0+kn) of op(A) with columns [j0, j0+jn) of op(B).
func (g *product) block() {
	tasks := 0
	if !g.bInPlace && g.kept == nil {
		g.packed = room(g.packed, g.kn*g.colPanels*g.nr)
		tasks = g.packTasks()
	}
	if g.share {
		g.shared = room(g.shared, g.kn*g.rowPanels*g.mr)
		tasks += g.rowBlocks
	}
	g.countDown()
	g.each(tasks, g.packTask)
	g.each(g.rowBlocks*g.colGroups, g.tileTask)
}

// panelsOfB returns the block of B that is packed.
func (g *product) panelsOfB() []float32 {
	if g.kept != nil {
		return g.kept
	}
	return g.packed
}

// packTasks is the number of tasks in which B is packed: by panels if the panels' columns are contiguous, else by rows.
func (g *product) packTasks() int {
	if g.kept != nil {
		return 0
	}
	if g.transB {
		return g.colPanels
	}
	return ceil(g.kn, packRows)
}

func (g *product) pack(i int) {
	if n := g.packTasks(); i >= n {
		g.packA(g.shared, g.k0, g.kn, i-n)
		return
	}
	if g.transB {
		j := g.j0 + i*g.nr
		live := min(g.nr, g.j0+g.jn-j)
		for k := 0; k < g.kn; k += g.kc {
			kc := min(g.kc, g.kn-k)
			dst := g.packed[(k*g.colPanels+i*kc)*g.nr:][:kc*g.nr]
			packColumns(dst, g.b[j*g.ldb+g.k0+k:], g.ldb, kc, g.nr, live)
		}
		return
	}
	lo, hi := i*packRows, min((i+1)*packRows, g.kn)
	for lo < hi { // rows of one piece of kc at a time
		k := lo / g.kc * g.kc
		kc := min(g.kc, g.kn-k)
		end := min(hi, k+kc)
		dst := g.packed[k*g.colPanels*g.nr:][:kc*g.colPanels*g.nr]
		copyRows(dst, g.b[(g.k0+lo)*g.ldb+g.j0:], g.ldb, lo-k, end-k, kc, g.nr, g.jn)
		lo = end
	}
}

// rows returns the panels and rows of a row block.
func (g *product) rows(block int) (p0, p1, r0, r1 int) {
	p0, p1 = g.rowPanels*block/g.rowBlocks, g.rowPanels*(block+1)/g.rowBlocks
	return p0, p1, g.start(p0), g.start(p1)
}

// packA packs columns [k0, k0+kn) of a row block of op(A) at its place in dst, or at the start of dst if dst is no more
// than the tile's own piece.
func (g *product) packA(dst []float32, k0, kn, block int) {
	p0, p1, r0, r1 := g.rows(block)
	panels, first := g.rowPanels, p0
	if !g.share {
		panels, first = p1-p0, 0
	}
	for k := 0; k < kn; k += g.kc {
		kc := min(g.kc, kn-k)
		at := dst[(k*panels+first*kc)*g.mr:][:(p1-p0)*kc*g.mr]
		if g.transA {
			copyRows(at, g.a[(k0+k)*g.lda+r0:], g.lda, 0, kc, kc, g.mr, r1-r0)
			continue
		}
		for p := p0; p < p1; p++ {
			r := p * g.mr
			packColumns(at[(p-p0)*kc*g.mr:][:kc*g.mr], g.a[r*g.lda+k0+k:], g.lda, kc, g.mr, min(g.mr, g.m-r))
		}
	}
}

// tile multiplies a row block with a group of columns.
func (g *product) tile(t int) {
	block, group := t/g.colGroups, t%g.colGroups
	p0, p1, r0, r1 := g.rows(block)
	q0, q1 := g.colPanels*group/g.colGroups, g.colPanels*(group+1)/g.colGroups
	space := spaces.take()
	for k := 0; k < g.kn; k += g.kc {
		kc := min(g.kc, g.kn-k)
		var a []float32
		switch {
		case g.aInPlace:
			g.tileInPlace(space, k, kc, p0, p1, q0, q1)
			continue
		case g.share:
			a = g.shared[(k*g.rowPanels+p0*kc)*g.mr:]
		default:
			space.packed = room(space.packed, (p1-p0)*kc*g.mr)
			a = space.packed
			g.packA(a, g.k0+k, kc, block)
		}
		b := g.panelsOfB()[k*g.colPanels*g.nr:]
		add := g.acc || g.k0+k > 0
		for q := q0; q < q1; q++ {
			j := g.j0 + q*g.nr
			width := min(g.nr, g.j0+g.jn-j)
			panel := &b[q*kc*g.nr]
			for p := p0; p < p1; p++ {
				r := p * g.mr
				at := r*g.ldc + j
				height := min(g.mr, g.m-r)
				if width == g.nr && height == g.mr {
					micro(kc, &a[(p-p0)*kc*g.mr], panel, &g.c[at], g.ldc, add)
					continue
				}
				micro(kc, &a[(p-p0)*kc*g.mr], panel, &space.edge[0], g.nr, false)
				g.edge(space.edge, at, height, width, add)
			}
		}
	}
	spaces.put(space)
	if g.epi != nil && g.k0+g.kn == g.k && g.j0+g.jn == g.n && g.left[block].Add(-1) == 0 {
		g.epi(r0, r1)
	}
}

// edge writes the part of a tile that is in C.
func (g *product) edge(tile []float32, at, height, width int, add bool) {
	for i := range height {
		src, dst := tile[i*g.nr:][:width], g.c[at+i*g.ldc:][:width]
		if add {
			Add(dst, src)
		} else {
			copy(dst, src)
		}
	}
}

// tileInPlace multiplies columns [k, k+kc) of the panels [p0, p1) of A, which is not packed, with the column panels [q0, q1).
func (g *product) tileInPlace(space *tileSpace, k, kc, p0, p1, q0, q1 int) {
	add := g.acc || g.k0+k > 0
	row, step := g.lda, 1
	if g.transA {
		row, step = 1, g.lda
	}
	for p := p0; p < p1; p++ {
		r, mr := g.start(p), g.mr
		if p >= g.tall {
			mr = g.mr2
		}
		height := min(mr, g.m-r)
		a, row, step := &g.a[r*row+(g.k0+k)*step], row, step
		if height < mr { // the rest of the rows of the kernel would be behind A
			space.packed = room(space.packed, kc*mr)
			if g.transA {
				copyRows(space.packed, g.a[(g.k0+k)*g.lda+r:], g.lda, 0, kc, kc, mr, height)
			} else {
				packColumns(space.packed, g.a[r*g.lda+g.k0+k:], g.lda, kc, mr, height)
			}
			a, row, step = &space.packed[0], 1, mr
		}
		for q := q0; q < q1; q++ {
			j := g.j0 + q*g.nr
			var b *float32
			ldb := g.nr
			if g.bInPlace {
				b, ldb = &g.b[(g.k0+k)*g.ldb+j], g.ldb
			} else {
				b = &g.panelsOfB()[(k*g.colPanels+q*kc)*g.nr]
			}
			at := r*g.ldc + j
			width := min(g.nr, g.j0+g.jn-j)
			if width == g.nr && height == mr {
				microInPlace(mr, kc, a, row, step, b, ldb, &g.c[at], g.ldc, add)
				continue
			}
			microInPlace(mr, kc, a, row, step, b, ldb, &space.edge[0], g.nr, false)
			g.edge(space.edge, at, height, width, add)
		}
	}
}
