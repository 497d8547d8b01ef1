package kernel

// packColumns packs a panel whose lines are contiguous along k: dst[p*w+i] = src[i*ld+p] for p < kc and i < live, 0 for
// live <= i < w.
func packColumns(dst, src []float32, ld, kc, w, live int) {
	_, _ = src[(live-1)*ld+kc-1], dst[kc*w-1]
	done := transposeVec(dst, src, ld, kc, w, live)
	if live < w {
		for p := range kc {
			clear(dst[p*w+live : (p+1)*w])
		}
	}
	for i := range live {
		line := src[i*ld:][:kc]
		start := 0
		if i < done.lines {
			start = done.k
		}
		for p := start; p < kc; p++ {
			dst[p*w+i] = line[p]
		}
	}
}

// copyRows packs rows [lo, hi) of panels that lie side by side, each contiguous across k. Row lo is at src[0] and cols
// wide; dst holds the panels [kc][w] one behind the other, filled up with zeros.
func copyRows(dst, src []float32, ld, lo, hi, kc, w, cols int) {
	full := cols / w
	_ = src[(hi-lo-1)*ld+cols-1]
	if full > 0 {
		_ = dst[((full-1)*kc+hi)*w-1]
		copyPanels(hi-lo, full, src, ld, dst[lo*w:], kc*w, w)
	}
	rest := cols - full*w
	if rest == 0 {
		return
	}
	for p := lo; p < hi; p++ {
		d := dst[(full*kc+p)*w:][:w]
		copy(d, src[(p-lo)*ld+full*w:][:rest])
		clear(d[rest:])
	}
}

// transposed says how much of a panel is done: the first lines, up to k.
type transposed struct{ lines, k int }

// copyPanelsGo is dst[q*stride+p*w+i] = src[p*ld+q*w+i] for p < rows, q < panels, i < w.
func copyPanelsGo(rows, panels int, src []float32, ld int, dst []float32, stride, w int) {
	for p := range rows {
		for q := range panels {
			copy(dst[q*stride+p*w:][:w], src[p*ld+q*w:])
		}
	}
}
