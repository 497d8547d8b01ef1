package kernel

// fills tells whether rows of n elements, at least one, fill whole vectors.
func fills(n int) bool { return n > 0 && (path == avx512 && n%16 == 0 || path == avx2 && n%8 == 0) }

func dotRows(rows, n int, x, q, out *float32) {
	if path == avx512 {
		dotRowsAVX512(rows, n, x, q, out)
	} else {
		dotRowsAVX2(rows, n, x, q, out)
	}
}

func weightedRows(rows, n int, x, p, y *float32) {
	if path == avx512 {
		weightedRowsAVX512(rows, n, x, p, y)
	} else {
		weightedRowsAVX2(rows, n, x, p, y)
	}
}

func outerRows(rows, n int, p, a, s, b, dst *float32) {
	if path == avx512 {
		outerRowsAVX512(rows, n, p, a, s, b, dst)
	} else {
		outerRowsAVX2(rows, n, p, a, s, b, dst)
	}
}

func sumRows(rows, n int, x *float32, ld int, dst *float32) {
	if path == avx512 {
		sumRowsAVX512(rows, n, x, ld, dst)
	} else {
		sumRowsAVX2(rows, n, x, ld, dst)
	}
}
