package kernel

// tileConfig is the configuration of the eight tiles: 16 rows of 64 bytes each.
var tileConfig = func() (c [64]byte) {
	c[0] = 1 // the only palette
	for i := range 8 {
		c[16+2*i], c[48+i] = 64, 16
	}
	return c
}()

func splitRows(parts, rows, steps, tail int, src []float32, ld int, dst []uint16) {
	switch {
	case tiles != amxTiles && tiles != pairTiles:
		SplitRowsRef(parts, rows, steps, tail, src, ld, dst)
	case parts == 1:
		splitRows1(rows, steps, tail, &src[0], ld, &dst[0])
	case parts == 2:
		splitRows2(rows, steps, tail, &src[0], ld, &dst[0])
	default:
		splitRows3(rows, steps, tail, &src[0], ld, &dst[0])
	}
}

func splitRowsT(parts, n int, src []float32, ld int, dst []uint16, stride int) {
	switch {
	case tiles != amxTiles && tiles != pairTiles:
		SplitRowsTRef(parts, n, src, ld, dst, stride)
	case parts == 1:
		splitRowsT1(n, &src[0], ld, &dst[0], stride)
	case parts == 2:
		splitRowsT2(n, &src[0], ld, &dst[0], stride)
	default:
		splitRowsT3(n, &src[0], ld, &dst[0], stride)
	}
}

func splitPairs(parts, pairs, panels, tail int, top, bottom []float32, ld int, dst []uint16, stride int) {
	switch {
	case tiles != amxTiles && tiles != pairTiles:
		SplitPairsRef(parts, pairs, panels, tail, top, bottom, ld, dst, stride)
	case parts == 1:
		splitPairs1(pairs, panels, tail, &top[0], &bottom[0], ld, &dst[0], stride)
	case parts == 2:
		splitPairs2(pairs, panels, tail, &top[0], &bottom[0], ld, &dst[0], stride)
	default:
		splitPairs3(pairs, panels, tail, &top[0], &bottom[0], ld, &dst[0], stride)
	}
}

func splitPairsT(parts, steps, tail int, src []float32, ld int, dst []uint16) {
	switch {
	case tiles != amxTiles && tiles != pairTiles:
		SplitPairsTRef(parts, steps, tail, src, ld, dst)
	case parts == 1:
		splitPairsT1(steps, tail, &src[0], ld, &dst[0])
	case parts == 2:
		splitPairsT2(steps, tail, &src[0], ld, &dst[0])
	default:
		splitPairsT3(steps, tail, &src[0], ld, &dst[0])
	}
}

// tileKernels are the micro-kernels by parts and by tiles of rows and of columns, each less one.
var tileKernels = [3][2][2]func(config *byte, panels, steps int, a, b *uint16, c *float32, ldc int, acc bool){
	{{tiles1x11, tiles1x12}, {tiles1x21, tiles1x22}},
	{{tiles2x11, tiles2x12}, {tiles2x21, tiles2x22}},
	{{tiles3x11, tiles3x12}, {tiles3x21, tiles3x22}},
}

func tilesProduct(parts, ta, tb, panels, steps int, a, b []uint16, c []float32, ldc int, acc bool) {
	if tiles != amxTiles {
		TilesRef(parts, ta, tb, panels, steps, a, b, c, ldc, acc)
		return
	}
	tileKernels[parts-1][ta-1][tb-1](&tileConfig[0], panels, steps, &a[0], &b[0], &c[0], ldc, acc)
}

// pairKernels are the micro-kernels of AVX512-BF16 by vectors of columns less one, the tallest first.
var pairKernels = [2][4]struct {
	rows int
	run  func(eighths int, a, b *uint16, c *float32, ldc int, acc bool)
}{
	{{16, pairs16x1}, {8, pairs8x1}, {4, pairs4x1}, {1, pairs1x1}},
	{{12, pairs12x2}, {8, pairs8x2}, {4, pairs4x2}, {1, pairs1x2}},
}

func pairsProduct(rows, tb, eighths int, a, b []uint16, c []float32, ldc int, acc bool) {
	if tiles != pairTiles {
		PairsRef(rows, tb, eighths, a, b, c, ldc, acc)
		return
	}
	_ = c[(rows-1)*ldc+tb*tileRows-1]
	r := 0
	for i := range pairKernels[tb-1] {
		for k := &pairKernels[tb-1][i]; rows-r >= k.rows; r += k.rows {
			k.run(eighths, &a[r*tileStep], &b[0], &c[r*ldc], ldc, acc)
		}
	}
}

// pairsRowPanels is pairsProduct of a row with rowPanels panels of B, stride apart.
func pairsRowPanels(eighths int, a, b []uint16, stride int, c []float32, acc bool) {
	if tiles != pairTiles {
		pairsRowRef(eighths, a, b, stride, c, acc)
		return
	}
	_ = c[rowPanels*panelRows-1]
	pairsRow(eighths, &a[0], &b[0], stride, &c[0], acc)
}
