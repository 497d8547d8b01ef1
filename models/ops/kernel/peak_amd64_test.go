package kernel

// peakLoop runs n times 12 multiply-adds of vectors and returns the vectors' lanes, 0 without vectors.
func peakLoop(n int) int {
	switch path {
	case avx512:
		peakAVX512(n)
		return 16
	case avx2:
		peakAVX2(n)
		return 8
	}
	return 0
}
