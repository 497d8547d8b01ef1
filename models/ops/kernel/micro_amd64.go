package kernel

// microSize returns the rows and columns of the micro-kernel's tile.
func microSize() (mr, nr int) {
	switch path {
	case avx512:
		return 14, 32
	case avx2:
		return 6, 16
	}
	return 4, 4
}

// micro is c[i*ldc+j] (+)= sum over p < k of a[p*mr+i] * b[p*nr+j], k > 0.
func micro(k int, a, b, c *float32, ldc int, acc bool) {
	switch path {
	case avx512:
		gemmAVX512(k, a, b, c, ldc, acc)
	case avx2:
		gemmAVX2(k, a, b, c, ldc, acc)
	default:
		gemm4x4(k, a, b, c, ldc, acc)
	}
}

// transposeVec packs what the vector kernels can of a panel. transpose6 writes two elements too many for each k, which
// belong to the next k: hence the order, and the last k's, one at least, are left to the caller.
func transposeVec(dst, src []float32, ld, kc, w, live int) (done transposed) {
	if path == generic || kc < 8 {
		return done
	}
	if w%8 == 0 {
		lines, k := live&^7, kc&^7
		for i := 0; i < lines; i += 8 {
			transpose8(k, &src[i*ld], ld, &dst[i], w)
		}
		return transposed{lines, k}
	}
	k := (kc - 1) &^ 7
	if live < w || k == 0 {
		return done
	}
	transpose6(k, &src[(w-6)*ld], ld, &dst[w-6], w)
	if w == 14 {
		transpose8(k, &src[0], ld, &dst[0], w)
	}
	return transposed{w, k}
}

// copyPanels is dst[q*stride+p*w+i] = src[p*ld+q*w+i] for p < rows, q < panels, i < w.
func copyPanels(rows, panels int, src []float32, ld int, dst []float32, stride, w int) {
	switch w {
	case 6:
		copy6(rows, panels, &src[0], ld, &dst[0], stride)
	case 14:
		copy14(rows, panels, &src[0], ld, &dst[0], stride)
	case 16:
		copy16(rows, panels, &src[0], ld, &dst[0], stride)
	case 32:
		copy32(rows, panels, &src[0], ld, &dst[0], stride)
	default:
		copyPanelsGo(rows, panels, src, ld, dst, stride, w)
	}
}
