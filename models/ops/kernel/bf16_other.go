//go:build !amd64

package kernel

func splitRows(parts, rows, steps, tail int, src []float32, ld int, dst []uint16) {
	SplitRowsRef(parts, rows, steps, tail, src, ld, dst)
}

func splitRowsT(parts, n int, src []float32, ld int, dst []uint16, stride int) {
	SplitRowsTRef(parts, n, src, ld, dst, stride)
}

func splitPairs(parts, pairs, panels, tail int, top, bottom []float32, ld int, dst []uint16, stride int) {
	SplitPairsRef(parts, pairs, panels, tail, top, bottom, ld, dst, stride)
}

func splitPairsT(parts, steps, tail int, src []float32, ld int, dst []uint16) {
	SplitPairsTRef(parts, steps, tail, src, ld, dst)
}

func tilesProduct(parts, ta, tb, panels, steps int, a, b []uint16, c []float32, ldc int, acc bool) {
	TilesRef(parts, ta, tb, panels, steps, a, b, c, ldc, acc)
}

func pairsProduct(rows, tb, eighths int, a, b []uint16, c []float32, ldc int, acc bool) {
	PairsRef(rows, tb, eighths, a, b, c, ldc, acc)
}

func pairsRowPanels(eighths int, a, b []uint16, stride int, c []float32, acc bool) {
	pairsRowRef(eighths, a, b, stride, c, acc)
}
