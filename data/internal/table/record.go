package table

import (
	"encoding/binary"
	"math"

	"github.com/splice-ml/splice/data"
)

// record is the layout of an encoded row: fixed width, little endian, ids as narrow as their vocabulary allows.
//
//	dense float32 × NumDense | label float32 × labels | weight float32, if any | group int64, if any | ids of each feature, 1, 2 or 4 bytes each
type record struct {
	schema *data.Schema
	size   int
	group  int // offset, or -1 for none
	ids    []idField
}

// idField is where the ids of a feature lie.
type idField struct {
	name  string
	at    int // offset
	n     int // ids
	width int // bytes of an id
}

func newRecord(s *data.Schema) *record {
	r := &record{schema: s, group: -1}
	r.size = 4*s.NumDense + 4*max(1, len(s.Labels))
	if s.HasWeight {
		r.size += 4
	}
	if s.HasGroup {
		r.group = r.size
		r.size += 8
	}
	for _, f := range s.Features {
		if f.Kind == data.Numeric {
			continue
		}
		width := 4
		switch {
		case f.Vocab <= 1<<8:
			width = 1
		case f.Vocab <= 1<<16:
			width = 2
		}
		r.ids = append(r.ids, idField{name: f.Name, at: r.size, n: f.Width(), width: width})
		r.size += f.Width() * width
	}
	return r
}

func (f *idField) put(rec []byte, k int, id int32) {
	at := f.at + k*f.width
	switch f.width {
	case 1:
		rec[at] = byte(id)
	case 2:
		binary.LittleEndian.PutUint16(rec[at:], uint16(id))
	default:
		binary.LittleEndian.PutUint32(rec[at:], uint32(id))
	}
}

// rowsAtOnce is how many records are decoded column by column: few enough to stay in the first-level cache.
const rowsAtOnce = 64

// decode writes the records rows into rows lo, lo+1, ... of b.
func (r *record) decode(b *data.Batch, lo int, rows []byte) {
	n := len(rows) / r.size
	for i := 0; i < n; i += rowsAtOnce {
		k := min(rowsAtOnce, n-i)
		r.decodeFew(b, lo+i, k, rows[i*r.size:(i+k)*r.size])
	}
}

func (r *record) decodeFew(b *data.Batch, lo, n int, rows []byte) {
	size, nd := r.size, r.schema.NumDense
	dense, label := b.Dense[lo*nd:(lo+n)*nd], b.Label[lo:lo+n]
	for i := range label {
		rec := rows[i*size : (i+1)*size]
		out := dense[i*nd : (i+1)*nd]
		for k := range out {
			out[k] = math.Float32frombits(binary.LittleEndian.Uint32(rec[4*k:]))
		}
		label[i] = math.Float32frombits(binary.LittleEndian.Uint32(rec[4*nd:]))
	}
	at := 4*nd + 4
	for k := 1; k < len(b.Labels); k++ {
		decodeNumber(b.Labels[k][lo:lo+n], rows[at:], size)
		at += 4
	}
	if b.Weight != nil {
		decodeNumber(b.Weight[lo:lo+n], rows[at:], size)
	}
	if r.group >= 0 {
		for i := range n {
			b.Group[lo+i] = int64(binary.LittleEndian.Uint64(rows[i*size+r.group:]))
		}
	}
	for f := range r.ids {
		f := &r.ids[f]
		out := b.IDs[f.name][lo*f.n : (lo+n)*f.n]
		if f.n == 1 {
			f.decodeOne(out, rows, size)
			continue
		}
		for i := range n {
			for k := range f.n {
				out[i*f.n+k] = f.get(rows[i*size:], k)
			}
		}
	}
}

// decodeNumber decodes the numbers at the start of rows, and of each size bytes behind it.
func decodeNumber(out []float32, rows []byte, size int) {
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(rows[i*size:]))
	}
}

func (f *idField) get(rec []byte, k int) int32 {
	at := f.at + k*f.width
	switch f.width {
	case 1:
		return int32(rec[at])
	case 2:
		return int32(binary.LittleEndian.Uint16(rec[at:]))
	default:
		return int32(binary.LittleEndian.Uint32(rec[at:]))
	}
}

// decodeOne decodes a feature of one id a row.
func (f *idField) decodeOne(out []int32, rows []byte, size int) {
	at := f.at
	switch f.width {
	case 1:
		for i := range out {
			out[i] = int32(rows[at])
			at += size
		}
	case 2:
		for i := range out {
			out[i] = int32(binary.LittleEndian.Uint16(rows[at:]))
			at += size
		}
	default:
		for i := range out {
			out[i] = int32(binary.LittleEndian.Uint32(rows[at:]))
			at += size
		}
	}
}

// pad zeroes the rows of b from lo on.
func (r *record) pad(b *data.Batch, lo int) {
	clear(b.Dense[lo*r.schema.NumDense:])
	clear(b.Label[lo:])
	for k := 1; k < len(b.Labels); k++ {
		clear(b.Labels[k][lo:])
	}
	clear(b.Weight[min(lo, len(b.Weight)):])
	if b.Group != nil {
		clear(b.Group[lo:])
	}
	for i := range r.ids {
		clear(b.IDs[r.ids[i].name][lo*r.ids[i].n:])
	}
}
