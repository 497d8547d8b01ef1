package embed

import (
	"fmt"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Gather fills the leaf of every lookup from the batch. Rows from b.N on are padding, with id 0 and value 0. An id outside of its
// table is an error that names the feature, the row and the id.
func (p *Plan) Gather(b *data.Batch) error {
	p.current = b
	if len(p.derived) > 0 {
		if err := p.derive(b); err != nil {
			return err
		}
	}
	if want := p.batch * p.schema.NumDense; len(b.Dense) < want {
		for _, f := range p.schema.Features {
			if f.Kind == data.Numeric {
				return fmt.Errorf("embed: feature %s: batch has %d numeric values, want %d", f.Name, len(b.Dense), want)
			}
		}
	}
	for _, x := range p.indexes {
		for i := range x.lanes {
			if x.lanes[i].own != nil {
				x.lanes[i].ids = x.lanes[i].own
				continue
			}
			var err error
			if x.lanes[i].ids, err = ids(b, x.lanes[i].feature, p.batch); err != nil {
				return err
			}
		}
	}
	for _, l := range p.lookups {
		kernel.CountBytes(2 * 4 * l.rows(p) * l.stride()) // a row of a table and its copy
		if l.rows(p)*l.Dim*len(l.Fields) < smallGather {
			if err := l.gatherRows(b, 0, l.rows(p)); err != nil {
				return err
			}
			continue
		}
		kernel.Parallel(chunks, l.gather)
		for _, err := range l.fail {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// smallGather is the number of values under which handing out tasks costs more than it gains.
const smallGather = 1 << 13

func (l *Lookup) gatherRows(b *data.Batch, lo, hi int) error {
	if l.Count > 0 {
		return l.gatherIDs(lo, hi)
	}
	d, stride := l.Dim, l.stride()
	if l.Reduce {
		for r := lo; r < hi; r++ {
			if l.Bias != nil {
				copy(l.leaf[r*d:(r+1)*d], l.Bias.Data)
			} else {
				clear(l.leaf[r*d : (r+1)*d])
			}
		}
	}
	nd := l.numDense
	for i := range l.Fields {
		f := &l.Fields[i]
		off := l.offset(i)
		w := f.Param.Data
		switch f.Feature.Kind {
		case data.Numeric:
			for r := lo; r < hi; r++ {
				dst, x := l.leaf[r*stride+off:r*stride+off+d], b.Dense[r*nd+f.Feature.Column]
				if l.Reduce {
					for k := range dst {
						dst[k] += w[k] * x
					}
				} else {
					for k := range dst {
						dst[k] = w[k] * x
					}
				}
			}
		case data.Multi, data.Sequence:
			if err := l.gatherPooled(f, off, stride, lo, hi); err != nil {
				return err
			}
		default:
			v := f.index.lanes[f.lane].ids
			rows := int32(f.Param.Shape[0])
			for r := lo; r < hi; r++ {
				if id := v[r]; uint32(id) >= uint32(rows) {
					return outside(f, r, id, rows)
				}
			}
			switch {
			case lo == hi:
			case !l.Reduce:
				kernel.GatherRows(l.leaf[lo*stride+off:], stride, w, d, v[lo:hi])
			case d == 1:
				for r := lo; r < hi; r++ {
					l.leaf[r] += w[v[r]]
				}
			default:
				for r := lo; r < hi; r++ {
					kernel.Add(l.leaf[r*d:(r+1)*d], w[int(v[r])*d:int(v[r])*d+d])
				}
			}
		}
	}
	return nil
}

func (l *Lookup) gatherPooled(f *Field, off, stride, lo, hi int) error {
	d, n := l.Dim, f.Feature.MaxLen
	v, w, rows := f.index.lanes[f.lane].ids, f.Param.Data, int32(f.Param.Shape[0])
	for r := lo; r < hi; r++ {
		dst := l.leaf[r*stride+off : r*stride+off+d]
		if !l.Reduce {
			clear(dst)
		}
		scale := poolScale(f.Pool, v[r*n:(r+1)*n])
		for _, id := range v[r*n : (r+1)*n] {
			if uint32(id) >= uint32(rows) {
				return outside(f, r, id, rows)
			}
			if id != 0 {
				kernel.Axpy(dst, scale, w[int(id)*d:int(id)*d+d])
			}
		}
	}
	return nil
}

// gatherIDs gathers the rows of the lookup's own ids.
func (l *Lookup) gatherIDs(lo, hi int) error {
	f := &l.Fields[0]
	rows := int32(f.Param.Shape[0])
	for i, id := range l.IDs[lo:hi] {
		if uint32(id) >= uint32(rows) {
			return outside(f, lo+i, id, rows)
		}
	}
	if lo < hi {
		kernel.GatherRows(l.leaf[lo*l.Dim:], l.Dim, f.Param.Data, l.Dim, l.IDs[lo:hi])
	}
	return nil
}

// poolScale is 1, or 1/n for the mean over n values that are not padding.
func poolScale(p Pool, v []int32) float32 {
	if p == Sum {
		return 1
	}
	n := 0
	for _, id := range v {
		if id != 0 {
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return 1 / float32(n)
}

func outside(f *Field, row int, id, rows int32) error {
	return fmt.Errorf("embed: feature %s: row %d of the batch has id %d, table %s has %d rows: "+
		"was the data encoded with another vocabulary?", f.Feature.Name, row, id, f.Param.Name, rows)
}
