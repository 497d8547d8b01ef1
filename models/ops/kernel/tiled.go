package kernel

import "sync/atomic"

// The product on AMX's tiles. Factors are split in bf16 parts and laid out as tiles (bf16.go) when they are packed, and the micro-kernel
// adds the products of the parts to 32 x 32 elements of C that stay in four tiles.
//
// Every element of C is one sum over the steps of 32 along k, in order, so that its bits depend on k, the number of parts and, for three of
// them, on the length of the pieces along k alone: there each piece has a sum of its own, since a single long one would be less exact than
// float32's.

// tiling is how such a product is cut into tasks.
type tiling struct {
	parts  int
	steps  int // along k
	piece  int // steps in a piece
	stride int // from a panel of B to the next
	s0, sn int // the steps of B that are packed

	packedB []uint16 // by pieces, by panels
}

const (
	linePad       = 64  // numbers between panels of B, so that these do not compete for the same cache lines
	columnPiece   = 8   // steps in a piece if A is stored transposed: the panels of A and B are both in the second-level cache
	columnsAtOnce = 128 // panels of B, at most, that a task of columns packs for itself
	fewRows       = 4   // rows from which on a kernel of several is as fast as one row's on several panels
	tileBlocks    = 8   // row blocks, if there are so many panels
	tileGroups    = 4   // else, groups of columns
)

// pieceSteps is the number of steps in a piece, and blockTiles the panels of A in a row block, by the number of parts.
var (
	pieceSteps = [4]int{1: 10, 2: 20, 3: 12}
	blockTiles = [4]int{1: 4, 2: 8, 3: 8}
)

func (g *product) tiled(parts int) {
	most := pieceSteps[parts]
	own := g.transA && !g.transB
	if own {
		most = columnPiece
	}
	g.cut(parts, most)
	if own {
		g.j0, g.jn, g.colPanels = 0, g.n, ceil(g.n, panelRows)
		g.each(g.workers, g.columnTask)
		if g.epi != nil {
			g.epi(0, g.m)
		}
		return
	}
	for g.j0 = 0; g.j0 < g.n; g.j0 += maxNC {
		g.jn = min(maxNC, g.n-g.j0)
		g.colPanels = ceil(g.jn, panelRows)
		g.groups()
		block := max(1, maxPacked/(g.piece*tileStep*g.colPanels*panelRows)) * g.piece
		for g.s0 = 0; g.s0 < g.steps; g.s0 += block {
			g.sn = min(block, g.steps-g.s0)
			g.packedB = room(g.packedB, ceil(g.sn, g.piece)*g.colPanels*g.stride)
			g.countDown()
			tasks := g.sn
			if g.transB {
				tasks = 2 * g.colPanels
			}
			g.each(tasks, g.splitTask)
			g.each(g.rowBlocks*g.colGroups, g.panelTask)
		}
	}
}

// cut cuts k into pieces of at most so many steps, and the rows into panels.
func (g *product) cut(parts, most int) {
	g.parts, g.steps = parts, ceil(g.k, tileStep)
	g.piece = ceil(g.steps, ceil(g.steps, most))
	g.stride = g.piece*parts*partSize + linePad
	g.rowPanels = ceil(g.m, panelRows)
}

// groups cuts the rows into blocks and, if these are few, the columns into groups.
func (g *product) groups() {
	g.rowBlocks, g.colGroups = max(ceil(g.rowPanels, blockTiles[g.parts]), min(g.rowPanels, tileBlocks)), 1
	if g.rowBlocks < tileGroups {
		g.colGroups = min(g.colPanels, tileGroups)
	}
	if g.few() {
		g.colGroups = max(1, min(g.colPanels/rowPanels, tileGroups))
	}
}

// few reports whether rows are multiplied one by one with several panels of B.
func (g *product) few() bool { return tiles.inPairs() && g.m < fewRows }

// group returns the column panels of a group.
func (g *product) group(i int) (q0, q1 int) {
	start := func(i int) int {
		q := g.colPanels * i / g.colGroups
		if g.few() && i < g.colGroups {
			q -= q % rowPanels
		}
		return q
	}
	return start(i), start(i + 1)
}

// countDown makes ready to count the groups of columns that are not done yet.
func (g *product) countDown() {
	if cap(g.left) < g.rowBlocks {
		g.left = make([]atomic.Int32, g.rowBlocks)
	}
	g.left = g.left[:g.rowBlocks]
	for i := range g.left {
		g.left[i].Store(int32(g.colGroups))
	}
}

// splitB packs a tile's columns, or 32 rows, of the block of B.
func (g *product) splitB(i int) {
	if !g.transB {
		s := g.s0 + i
		at := i/g.piece*g.colPanels*g.stride + i%g.piece*g.parts*partSize
		g.splitSteps(s, g.j0, g.jn, g.packedB[at:])
		return
	}
	j := g.j0 + i*tileRows
	live := min(tileRows, g.j0+g.jn-j)
	if live <= 0 {
		return // the second tile of the last panel
	}
	space := spaces.take()
	for s := 0; s < g.sn; s += g.piece {
		steps, tail := g.stepsOf(g.s0+s, min(g.piece, g.sn-s))
		dst := g.packedB[(s/g.piece*g.colPanels+i/2)*g.stride+i%2*tileSize:]
		src, ld := g.b[j*g.ldb+(g.s0+s)*tileStep:], g.ldb
		if live < tileRows {
			ld = steps*tileStep + tail
			src = space.fill(src, g.ldb, live, ld, tileRows, ld)
		}
		splitPairsT(g.parts, steps, tail, src, ld, dst)
	}
	spaces.put(space)
}

// stepsOf returns how many of the steps [s, s+n) are full, and the length of the last one if it is not.
func (g *product) stepsOf(s, n int) (full, tail int) {
	if (s+n)*tileStep <= g.k {
		return n, 0
	}
	return n - 1, g.k % tileStep
}

// fill copies live rows of width numbers into rows of ld, the others of rows and of ld being zero.
func (t *tileSpace) fill(src []float32, from, live, width, rows, ld int) []float32 {
	t.piece = room(t.piece, rows*ld)
	clear(t.piece)
	for i := range live {
		copy(t.piece[i*ld:][:width], src[i*from:])
	}
	return t.piece
}

var zeros [maxNC]float32

// splitSteps packs columns [j, j+n) of step s of B, stored as it is, to panels that lie stride apart.
func (g *product) splitSteps(s, j, n int, dst []uint16) {
	k := s * tileStep
	rows := min(tileStep, g.k-k)
	whole := rows / 2
	for done := 0; done < n; done += maxNC {
		width := min(maxNC, n-done)
		at := dst[done/panelRows*g.stride:]
		pack := func(i, pairs int, top, bottom []float32, ld int) {
			splitPairs(g.parts, pairs, width/panelRows, width%panelRows, top, bottom, ld, at[i*tileStep:], g.stride)
		}
		if whole > 0 {
			pack(0, whole, g.b[k*g.ldb+j+done:], g.b[(k+1)*g.ldb+j+done:], g.ldb)
		}
		i := whole
		if rows%2 == 1 {
			pack(i, 1, g.b[(g.k-1)*g.ldb+j+done:], zeros[:], 0)
			i++
		}
		if i < tileRows {
			pack(i, tileRows-i, zeros[:], zeros[:], 0)
		}
	}
}

// splitA packs the steps [s, s+n) of the panels [p0, p1) of op(A).
func (g *product) splitA(space *tileSpace, s, n, p0, p1 int) {
	panel := n * g.parts * partSize
	space.a = room(space.a, (p1-p0)*panel)
	if g.transA {
		for i := range n {
			g.splitColumns(space, s+i, space.a[i*g.parts*partSize:], panel, p0, p1)
		}
		return
	}
	full, tail := g.stepsOf(s, n)
	for t := 2 * p0; t < 2*p1 && t*tileRows < g.m; t++ {
		r := t * tileRows
		splitRows(g.parts, min(tileRows, g.m-r), full, tail, g.a[r*g.lda+s*tileStep:], g.lda, space.a[(t/2-p0)*panel+t%2*tileSize:])
	}
}

// splitColumns packs step s of the panels [p0, p1) of A, stored transposed.
func (g *product) splitColumns(space *tileSpace, s int, dst []uint16, stride, p0, p1 int) {
	k, r := s*tileStep, p0*panelRows
	rows := min(tileStep, g.k-k)
	last := min(p1*panelRows, g.m)
	if full := (last - r) / tileRows; rows == tileStep && full > 0 {
		splitRowsT(g.parts, full, g.a[k*g.lda+r:], g.lda, dst, stride)
		r += full * tileRows
	}
	for ; r < last; r += tileRows {
		t := r/tileRows - 2*p0
		piece := space.fill(g.a[k*g.lda+r:], g.lda, rows, min(tileRows, last-r), tileStep, tileRows)
		splitRowsT(g.parts, 1, piece, tileRows, dst[t/2*stride+t%2*tileSize:], stride)
	}
}

// panels multiplies a row block with a group of columns.
func (g *product) panels(t int) {
	block, group := t/g.colGroups, t%g.colGroups
	p0, p1 := g.rowPanels*block/g.rowBlocks, g.rowPanels*(block+1)/g.rowBlocks
	q0, q1 := g.group(group)
	space := spaces.take()
	for s := 0; s < g.sn; s += g.piece {
		n := min(g.piece, g.sn-s)
		g.splitA(space, g.s0+s, n, p0, p1)
		b := g.packedB[(s/g.piece*g.colPanels+q0)*g.stride:]
		g.multiplyTiles(space, space.a, b, g.s0+s, n, p0, p1, g.j0/panelRows+q0, g.j0/panelRows+q1, g.acc || g.s0+s > 0)
	}
	spaces.put(space)
	if g.epi != nil && g.s0+g.sn == g.steps && g.j0+g.jn == g.n && g.left[block].Add(-1) == 0 {
		g.epi(p0*panelRows, min(p1*panelRows, g.m))
	}
}

// columns computes a worker's share of C, of columns or of rows, whichever are more: it packs all that it needs itself, so that nothing that
// one core has packed is read by another.
func (g *product) columns(worker int) {
	share := func(n int) (int, int) { return n * worker / g.workers, n * (worker + 1) / g.workers }
	p0, p1, q0, q1 := 0, g.rowPanels, 0, g.colPanels
	if g.rowPanels > g.colPanels {
		p0, p1 = share(g.rowPanels)
	} else {
		q0, q1 = share(g.colPanels)
	}
	if p0 == p1 {
		return
	}
	space := spaces.take()
	for ; q0 < q1; q0 += columnsAtOnce {
		end := min(q1, q0+columnsAtOnce)
		space.b = room(space.b, (end-q0)*g.stride)
		for s := 0; s < g.steps; s += g.piece {
			n := min(g.piece, g.steps-s)
			g.splitA(space, s, n, p0, p1)
			for i := range n {
				g.splitSteps(s+i, q0*panelRows, min(end*panelRows, g.n)-q0*panelRows, space.b[i*g.parts*partSize:])
			}
			g.multiplyTiles(space, space.a, space.b, s, n, p0, p1, q0, end, g.acc || s > 0)
		}
	}
	spaces.put(space)
}

// multiplyTiles multiplies the panels [p0, p1) of A, packed in a, with the panels [q0, q1) of B, packed in b, over n steps from s on.
func (g *product) multiplyTiles(space *tileSpace, a, b []uint16, s, n, p0, p1, q0, q1 int, add bool) {
	panel := n * g.parts * partSize
	if tiles.inPairs() {
		g.multiplyPairs(space, a, b, s, n, p0, p1, q0, q1, add)
		return
	}
	apart := add && g.parts == 3 // the sum of a piece is added to C as a whole
	whole := min(p1, g.m/panelRows)
	for q := q0; q < q1; q++ {
		j := q * panelRows
		width := min(panelRows, g.n-j)
		tb := ceil(width, tileRows)
		b := b[(q-q0)*g.stride:]
		p := p0
		if width%tileRows == 0 && !apart && whole > p0 {
			tilesProduct(g.parts, 2, tb, whole-p0, n, a, b, g.c[p0*panelRows*g.ldc+j:], g.ldc, add)
			p = whole
		}
		for ; p < p1; p++ {
			r := p * panelRows
			height := min(panelRows, g.m-r)
			ta := ceil(height, tileRows)
			c := g.c[r*g.ldc+j:]
			if add && !apart {
				for i := range height {
					copy(space.edge[i*panelRows:][:width], c[i*g.ldc:])
				}
			}
			tilesProduct(g.parts, ta, tb, 1, n, a[(p-p0)*panel:], b, space.edge, panelRows, add && !apart)
			for i := range height {
				if sum := space.edge[i*panelRows:][:width]; apart {
					Add(c[i*g.ldc:][:width], sum)
				} else {
					copy(c[i*g.ldc:][:width], sum)
				}
			}
		}
	}
}

// multiplyPairs is multiplyTiles by AVX512-BF16, which takes any number of rows and no more of the last step than there is of it.
func (g *product) multiplyPairs(space *tileSpace, a, b []uint16, s, n, p0, p1, q0, q1 int, add bool) {
	eighths := ceil(min(n*tileStep, g.k-s*tileStep), 8)
	if g.few() {
		for ; q0+rowPanels <= q1 && (q0+rowPanels)*panelRows <= g.n; q0 += rowPanels {
			for i := range g.m {
				pairsRowPanels(eighths, a[i*tileStep:], b, g.stride, g.c[i*g.ldc+q0*panelRows:], add)
			}
			b = b[rowPanels*g.stride:]
		}
	}
	for q := q0; q < q1; q++ {
		j := q * panelRows
		width := min(panelRows, g.n-j)
		tb := ceil(width, tileRows)
		b := b[(q-q0)*g.stride:]
		for p := p0; p < p1; p++ {
			r := p * panelRows
			height := min(panelRows, g.m-r)
			a, c := a[(p-p0)*n*partSize:], g.c[r*g.ldc+j:]
			if width == tb*tileRows {
				pairsProduct(height, tb, eighths, a, b, c, g.ldc, add)
				continue
			}
			if add {
				for i := range height {
					copy(space.edge[i*panelRows:][:width], c[i*g.ldc:])
				}
			}
			pairsProduct(height, tb, eighths, a, b, space.edge, panelRows, add)
			for i := range height {
				copy(c[i*g.ldc:][:width], space.edge[i*panelRows:])
			}
		}
	}
}
