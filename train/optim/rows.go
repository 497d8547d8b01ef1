package optim

import (
	"sort"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// rowsUpdater is a rule with a kernel for rows that lie apart: it updates the rows ids of w and of the state s in place.
type rowsUpdater interface {
	updateRows(w []float32, dim int, ids []int32, g []float32, s *slots, scale kernel.RowScale, decay float64)
}

// inPlaceFrom is the row width from which a rowsUpdater is faster than copies of the rows, which are updated as one array.
const inPlaceFrom = 4

// sparseChunk is the lazy update of chunk i's groups of rows.
func (o *Optimizer) sparseChunk(i int) {
	from, to := o.part(i)
	if u, ok := o.rule.(rowsUpdater); ok && o.dim >= inPlaceFrom && o.p.rows == nil {
		lo, hi := from*o.per, min(len(o.ids), to*o.per)
		s := kernel.RowScale{Scale: float32(o.scale), L2: float32(o.l2Term())}
		u.updateRows(o.w, o.dim, o.ids[lo:hi], o.g[lo*o.dim:hi*o.dim], &o.p.s, s, o.p.decay)
		return
	}
	for k := from; k < to; k++ {
		lo, hi := k*o.per, min(len(o.ids), (k+1)*o.per)
		if o.dim < gatherBelow {
			o.gatherRows(i, lo, hi)
			continue
		}
		for r := lo; r < hi; r++ {
			o.updateRow(i, r)
		}
	}
}

// updateRow updates the row ids[r] in place, block elements at a time.
func (o *Optimizer) updateRow(i, r int) {
	at := int(o.ids[r]) * o.dim
	for lo := 0; lo < o.dim; lo += block {
		hi := min(o.dim, lo+block)
		o.cut(i, at+lo, at+hi)
		w, g := o.w[at+lo:at+hi], o.g[r*o.dim+lo:r*o.dim+hi]
		if o.p.rows == nil {
			o.update(i, w, g)
			continue
		}
		t := o.work(i).g[:len(g)]
		o.addRow(t, g, w, int(o.ids[r]))
		o.rule.update(w, t, &o.cur[i], o.p.decay)
	}
}

// gatherRows updates the rows ids[lo:hi] as one array: copies them and their state together, updates, and copies back.
func (o *Optimizer) gatherRows(i, lo, hi int) {
	d, t := o.dim, o.work(i)
	n := (hi - lo) * d
	s := &o.cur[i]
	for k := range o.names {
		s[k] = t.s[k][:n]
		gather(s[k], o.p.s[k], o.ids[lo:hi], d)
	}
	w := t.w[:n]
	gather(w, o.w, o.ids[lo:hi], d)
	if g := o.g[lo*d : hi*d]; o.p.rows == nil {
		o.update(i, w, g)
	} else {
		for r, id := range o.ids[lo:hi] {
			o.addRow(t.g[r*d:(r+1)*d], g[r*d:(r+1)*d], w[r*d:(r+1)*d], int(id))
		}
		o.rule.update(w, t.g[:n], s, o.p.decay)
	}
	scatter(o.w, w, o.ids[lo:hi], d)
	for k := range o.names {
		scatter(o.p.s[k], s[k], o.ids[lo:hi], d)
	}
}

func gather(dst, table []float32, ids []int32, d int) {
	if d == 1 {
		for r, id := range ids {
			dst[r] = table[id]
		}
		return
	}
	for r, id := range ids {
		copy(dst[r*d:(r+1)*d], table[int(id)*d:])
	}
}

func scatter(table, src []float32, ids []int32, d int) {
	if d == 1 {
		for r, id := range ids {
			table[id] = src[r]
		}
		return
	}
	for r, id := range ids {
		copy(table[int(id)*d:], src[r*d:(r+1)*d])
	}
}

// tableChunk is the dense update of chunk i's blocks, whose gradient it writes out block by block. The blocks are those
// of denseChunk, so the bits are too.
func (o *Optimizer) tableChunk(i int) {
	from, to := o.part(i)
	d, t := o.dim, o.work(i)
	r := sort.Search(len(o.ids), func(r int) bool { return int(o.ids[r]+1)*d > from*block })
	for b := from; b < to; b++ {
		lo, hi := b*block, min(len(o.w), (b+1)*block)
		g := t.g[:hi-lo]
		clear(g)
		for ; r < len(o.ids) && int(o.ids[r])*d < hi; r++ {
			at := int(o.ids[r]) * d // a row may begin before the block or end after it
			cut := max(0, lo-at)
			copy(g[at+cut-lo:], o.g[r*d+cut:(r+1)*d])
			if at+d > hi {
				break
			}
		}
		o.cut(i, lo, hi)
		if o.p.rows == nil {
			o.update(i, o.w[lo:hi], g)
			continue
		}
		for at := lo; at < hi; {
			to := min(hi, (at/d+1)*d)
			o.addRow(g[at-lo:to-lo], g[at-lo:to-lo], o.w[at:to], at/d)
			at = to
		}
		o.rule.update(o.w[lo:hi], g, &o.cur[i], o.p.decay)
	}
}
