package kernel

import "fmt"

// The kernels on rows of a table [rows, dim] that lie anywhere in it. Their time is that of the memory, so the vector
// paths fetch rows some ids ahead.

// rowsAhead is the number of rows from the one in work to the one that is fetched: far enough to hide the memory, near
// enough for all of them to stay in the first-level cache.
const rowsAhead = 16

// GatherRows is
//
//	for r, id := range ids { copy(dst[r*stride:][:dim], table[id*dim:][:dim]) }
//
// It panics if an id is outside of the table.
func GatherRows(dst []float32, stride int, table []float32, dim int, ids []int32) {
	if len(ids) == 0 || dim == 0 {
		return
	}
	checkIDs("GatherRows", ids, len(table), dim)
	checkRows("GatherRows: dst", len(dst), stride, dim, len(ids))
	if path == generic {
		GatherRowsRef(dst, stride, table, dim, ids)
		return
	}
	n := max(0, len(ids)-rowsAhead)
	if n > 0 {
		gatherRows(n, dim, &ids[0], rowsAhead, &table[0], &dst[0], stride)
	}
	gatherRows(len(ids)-n, dim, &ids[n], 0, &table[0], &dst[n*stride], stride)
}

// ScatterAddRows is
//
//	for r, s := range slots { if s >= 0 { Add(dst[s*dim:][:dim], src[r*stride:]) } }
//
// It panics if a slot is outside of dst.
func ScatterAddRows(dst []float32, dim int, slots []int32, src []float32, stride int) {
	if len(slots) == 0 || dim == 0 {
		return
	}
	rows := len(dst) / dim
	for r, s := range slots {
		if int(s) >= rows {
			panic(fmt.Sprintf("kernel: ScatterAddRows: slot %d of row %d is not one of %d", s, r, rows))
		}
	}
	if rows == 0 {
		return // all slots are negative
	}
	checkRows("ScatterAddRows: src", len(src), stride, dim, len(slots))
	if path == generic {
		ScatterAddRowsRef(dst, dim, slots, src, stride)
		return
	}
	n := max(0, len(slots)-rowsAhead)
	if n > 0 {
		scatterAdd(n, dim, &slots[0], rowsAhead, &dst[0], &src[0], stride)
	}
	scatterAdd(len(slots)-n, dim, &slots[n], 0, &dst[0], &src[n*stride], stride)
}

// RowScale changes the gradient before an update: scale*g, plus l2*w if l2 is not 0.
type RowScale struct{ Scale, L2 float32 }

// AdamRows is [Adam] on the rows ids of w, m and v [rows, dim], with row r of g [len(ids), dim], scaled by s, as the
// gradient of row ids[r]. The ids must differ from each other. It panics if one is outside of the table.
func AdamRows(w, m, v []float32, dim int, ids []int32, g []float32, s RowScale, lr, b1, b2, eps, c1, c2, decay float64) {
	if len(ids) == 0 || dim == 0 {
		return
	}
	m, v, g = m[:len(w)], v[:len(w)], g[:len(ids)*dim]
	checkIDs("AdamRows", ids, len(w), dim)
	args := struct {
		adamArgs
		RowScale
	}{adamScalars(lr, b1, b2, eps, c1, c2, decay), s}
	if path == generic {
		adamRowsGo(w, m, v, dim, ids, g, s, &args.adamArgs)
		return
	}
	n := max(0, len(ids)-rowsAhead)
	if n > 0 {
		adamRows(n, dim, &ids[0], rowsAhead, &w[0], &m[0], &v[0], &g[0], &args.keep)
	}
	adamRows(len(ids)-n, dim, &ids[n], 0, &w[0], &m[0], &v[0], &g[n*dim], &args.keep)
}

// adamRowsGo is AdamRowsRef, part of a row by part of a row.
func adamRowsGo(w, m, v []float32, dim int, ids []int32, g []float32, s RowScale, a *adamArgs) {
	var scaled [64]float32
	for r, id := range ids {
		for lo := 0; lo < dim; lo += len(scaled) {
			hi := min(lo+len(scaled), dim)
			at, end := int(id)*dim+lo, int(id)*dim+hi
			t, x := scaled[:hi-lo], w[at:end]
			for i, gi := range g[r*dim+lo : r*dim+hi] {
				t[i] = s.Scale * gi
			}
			if s.L2 != 0 {
				for i := range t {
					t[i] += float32(s.L2 * x[i])
				}
			}
			a.update(x, t, m[at:end], v[at:end])
		}
	}
}

func checkIDs(what string, ids []int32, elements, dim int) {
	rows := elements / dim
	for r, id := range ids {
		if uint(id) >= uint(rows) {
			panic(fmt.Sprintf("kernel: %s: id %d of row %d is not one of %d", what, id, r, rows))
		}
	}
}

// checkRows panics if n rows of dim elements, stride apart, do not fit in so many elements.
func checkRows(what string, elements, stride, dim, n int) {
	if dim < 0 || stride < dim || elements < (n-1)*stride+dim {
		panic(fmt.Sprintf("kernel: %s: %d rows of %d with stride %d do not fit in %d elements", what, n, dim, stride, elements))
	}
}
