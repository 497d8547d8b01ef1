//go:build !amd64

package kernel

func microSize() (mr, nr, kc int) { return 4, 4, 256 }

func micro(k int, a, b, c *float32, ldc int, acc bool) { gemm4x4(k, a, b, c, ldc, acc) }

func microShort() int { return 0 }

func microInPlace(_, _ int, _ *float32, _, _ int, _ *float32, _ int, _ *float32, _ int, _ bool) {}

func transposeVec(dst, src []float32, ld, kc, w, live int) (done transposed) { return done }

func copyPanels(rows, panels int, src []float32, ld int, dst []float32, stride, w int) {
	copyPanelsGo(rows, panels, src, ld, dst, stride, w)
}
