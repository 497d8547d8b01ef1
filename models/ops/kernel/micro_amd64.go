package kernel

// microSize returns the rows and columns of the micro-kernel's tile, and the longest piece along k that it is given at once: 16 KB
// of B for AVX2, 48 KB for AVX-512, whose kernel fetches ahead.
func microSize() (mr, nr, kc int) {
	switch path {
	case avx512:
		return 14, 32, 384
	case avx2:
		return 6, 16, 256
	}
	return 4, 4, 256
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

// microShort returns the rows of the lower tile of microInPlace, whose taller one is that of micro; 0 where there is no such kernel.
func microShort() int {
	switch path {
	case avx512:
		return 8
	case avx2:
		return 4
	}
	return 0
}

// microInPlace is c[i*ldc+j] (+)= sum over p < k of a[i*row+p*step] * b[p*ldb+j] for i < mr, which is that of micro or microShort.
func microInPlace(mr, k int, a *float32, row, step int, b *float32, ldb int, c *float32, ldc int, acc bool) {
	switch mr {
	case 14:
		gemmInPlace14AVX512(k, a, row, step, b, ldb, c, ldc, acc)
	case 8:
		gemmInPlace8AVX512(k, a, row, step, b, ldb, c, ldc, acc)
	case 6:
		gemmInPlace6AVX2(k, a, row, step, b, ldb, c, ldc, acc)
	case 4:
		gemmInPlace4AVX2(k, a, row, step, b, ldb, c, ldc, acc)
	}
}

// transposeVec packs what the vector kernels can of a panel: groups of 8 lines, or of 6 and 14 if all are there.
func transposeVec(dst, src []float32, ld, kc, w, live int) (done transposed) {
	k := kc &^ 7
	if path == generic || k == 0 {
		return done
	}
	lines := live &^ 7
	if (w == 6 || w == 14) && live == w {
		lines = w - 6
		transpose6(k, &src[lines*ld], ld, &dst[lines], w)
		done.lines = w
	} else {
		done.lines = lines
	}
	for i := 0; i < lines; i += 8 {
		transpose8(k, &src[i*ld], ld, &dst[i], w)
	}
	done.k = k
	return done
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
