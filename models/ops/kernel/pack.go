package kernel

import "unsafe"

// packColumns packs a panel whose lines are contiguous along k: dst[p*w+i] = src[i*ld+p] for p < kc and i < live, 0 for
// live <= i < w.
func packColumns(dst, src []float32, ld, kc, w, live int) {
	_, _ = src[(live-1)*ld+kc-1], dst[kc*w-1]
	done := transposeVec(dst, src, ld, kc, w, live)
	for i := range w {
		if i >= live {
			for p := range kc {
				dst[p*w+i] = 0
			}
			continue
		}
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
	for p := lo; p < hi; p++ {
		row := src[(p-lo)*ld:][:cols]
		d := dst[p*w:]
		switch w {
		case 4:
			copyPanels[[4]float32](d, row, kc, full)
		case 6:
			copyPanels[[6]float32](d, row, kc, full)
		case 14:
			copyPanels[[14]float32](d, row, kc, full)
		case 16:
			copyPanels[[16]float32](d, row, kc, full)
		case 32:
			copyPanels[[32]float32](d, row, kc, full)
		default:
			for q := range full {
				copy(d[q*kc*w:][:w], row[q*w:])
			}
		}
		if rest := cols - full*w; rest > 0 {
			last := d[full*kc*w:][:w]
			copy(last, row[full*w:])
			clear(last[rest:])
		}
	}
}

// copyPanels copies the n parts of a row to n panels. T is an array of w float32, so that the compiler knows the size.
func copyPanels[T any](dst, row []float32, kc, n int) {
	var t T
	w := int(unsafe.Sizeof(t)) / 4
	if n == 0 {
		return
	}
	_, _ = row[n*w-1], dst[(n-1)*kc*w+w-1]
	d, s := unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(row))
	for range n {
		*(*T)(d) = *(*T)(s)
		d, s = unsafe.Add(d, 4*kc*w), unsafe.Add(s, 4*w)
	}
}

// transposed says how much of a panel is done: the first lines, up to k.
type transposed struct{ lines, k int }
