//go:build !amd64

package kernel

func microSize() (mr, nr int) { return 4, 4 }

func micro(k int, a, b, c *float32, ldc int, acc bool) { gemm4x4(k, a, b, c, ldc, acc) }

func transposeVec(dst, src []float32, ld, kc, w, live int) (done transposed) { return done }
