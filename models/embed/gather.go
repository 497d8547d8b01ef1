package embed

import (
	"fmt"
	"slices"

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
	for _, v := range p.numbers {
		for r, n, nd := 0, v.feature.Numbers(), p.schema.NumDense; r < p.batch; r++ {
			copy(v.leaf[r*n:(r+1)*n], b.Dense[r*nd+v.feature.Column:])
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
				f.gather(l.leaf[lo*stride+off:], stride, d, v[lo:hi])
			case f.Param.Int8 != nil:
				for r := lo; r < hi; r++ {
					kernel.AxpyInt8(l.leaf[r*d:(r+1)*d], 1, f.Param.Int8, v[r])
				}
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
	v, rows := f.index.lanes[f.lane].ids, int32(f.Param.Shape[0])
	var buf [pooledBuffer]float32
	for r := lo; r < hi; r++ {
		dst := l.leaf[r*stride+off : r*stride+off+d]
		if !l.Reduce {
			clear(dst)
		}
		list := v[r*n : (r+1)*n]
		for _, id := range list {
			if uint32(id) >= uint32(rows) {
				return outside(f, r, id, rows)
			}
		}
		if scale := poolScale(f.Pool, list); f.Param.Int8 == nil {
			f.pool(dst, scale, list)
		} else {
			f.poolInt8(dst, scale, list, buf[:])
		}
	}
	return nil
}

// pool adds the rows of ids, but for padding, to dst, with a factor.
func (f *Field) pool(dst []float32, scale float32, ids []int32) {
	d, w := len(dst), f.Param.Data
	for _, id := range ids {
		if id != 0 {
			kernel.Axpy(dst, scale, w[int(id)*d:int(id)*d+d])
		}
	}
}

// pooledBuffer is the number of values of rows of int8 that are float32 before they are added up.
const pooledBuffer = 1 << 9

// poolInt8 is pool of a table of int8, with the same bits as of one that has the values in float32. It writes into buf.
func (f *Field) poolInt8(dst []float32, scale float32, ids []int32, buf []float32) {
	d := len(dst)
	if d > len(buf) {
		for _, id := range ids {
			if id != 0 {
				kernel.AxpyInt8(dst, scale, f.Param.Int8, id)
			}
		}
		return
	}
	for part := range slices.Chunk(ids, len(buf)/d) {
		live := len(part)
		for live > 0 && part[live-1] == 0 {
			live--
		}
		kernel.GatherInt8Rows(buf, d, f.Param.Int8, d, part[:live])
		for i, id := range part[:live] {
			if id != 0 {
				kernel.Axpy(dst, scale, buf[i*d:(i+1)*d])
			}
		}
	}
}

// gather copies the rows of ids, d values each, to dst.
func (f *Field) gather(dst []float32, stride, d int, ids []int32) {
	if f.Param.Int8 != nil {
		kernel.GatherInt8Rows(dst, stride, f.Param.Int8, d, ids)
		return
	}
	kernel.GatherRows(dst, stride, f.Param.Data, d, ids)
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
		f.gather(l.leaf[lo*l.Dim:], l.Dim, l.Dim, l.IDs[lo:hi])
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
	return &RowError{Feature: f.Feature.Name, Table: f.Param.Name, Row: row, ID: id, Rows: rows}
}

// RowError is the error of an id that its table has not.
type RowError struct {
	Feature, Table string
	Row            int // of the batch
	ID, Rows       int32
}

// Error names the feature, the row and the id.
func (e *RowError) Error() string {
	return fmt.Sprintf("embed: feature %s: row %d of the batch has id %d, table %s has %d rows: "+
		"was the data encoded with another vocabulary?", e.Feature, e.Row, e.ID, e.Table, e.Rows)
}
