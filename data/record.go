package data

import (
	"encoding/binary"
	"math"
)

// record is the layout of an encoded row: fixed width, little endian, ids as narrow as their vocabulary allows.
//
//	dense float32 × NumDense | label float32 | group int64, if any | ids of each feature, 1, 2 or 4 bytes each
type record struct {
	schema *Schema
	size   int
	group  int // offset, -1: none
	ids    []idField
}

// idField is where the ids of a feature lie.
type idField struct {
	name  string
	at    int // offset
	n     int // ids
	width int // bytes of an id
}

func newRecord(s *Schema) *record {
	r := &record{schema: s, group: -1}
	r.size = 4*s.NumDense + 4
	if s.HasGroup {
		r.group = r.size
		r.size += 8
	}
	for _, f := range s.Features {
		if f.Kind == Numeric {
			continue
		}
		width := 4
		switch {
		case f.Vocab <= 1<<8:
			width = 1
		case f.Vocab <= 1<<16:
			width = 2
		}
		r.ids = append(r.ids, idField{name: f.Name, at: r.size, n: f.width(), width: width})
		r.size += f.width() * width
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

// encoder is the part of a sink that turns rows into records.
type encoder struct {
	plan   *plan
	rec    *record
	tables []*Vocabulary // by feature; nil for Numeric
	fields []int         // by feature: index in rec.ids, or column of Dense
}

func newEncoder(m *FeatureMap, p *plan) *encoder {
	s := m.Schema(p.group != "")
	e := &encoder{plan: p, rec: newRecord(s)}
	ids := 0
	for i, f := range m.Features {
		if f.Kind == Numeric {
			e.tables = append(e.tables, nil)
			e.fields = append(e.fields, s.Features[i].Column)
			continue
		}
		e.tables = append(e.tables, m.Table(f.Table))
		e.fields = append(e.fields, ids)
		ids++
	}
	return e
}

// work encodes the rows of c into c.enc, part by part.
func (e *encoder) work(c *chunk) {
	size := e.rec.size
	c.count = [3]int64{}
	for _, p := range c.part {
		c.count[p]++
	}
	for p := range c.enc {
		c.enc[p] = grow(c.enc[p], int(c.count[p])*size)
	}
	var scratch [32]byte
	var at [3]int
	for r := range c.n {
		p := c.part[r]
		rec := c.enc[p][at[p] : at[p]+size]
		at[p] += size
		clear(rec)
		e.row(c, r, rec, scratch[:0])
	}
}

func (e *encoder) row(c *chunk, r int, rec, scratch []byte) {
	binary.LittleEndian.PutUint32(rec[4*e.rec.schema.NumDense:], math.Float32bits(c.label[r]))
	if e.rec.group >= 0 {
		binary.LittleEndian.PutUint64(rec[e.rec.group:], uint64(c.group[r]))
	}
	for i := range e.plan.features {
		f, at := &e.plan.features[i], e.plan.at[i]
		var cell []byte
		switch {
		case f.Kind == Numeric:
			v := f.value(c.num[r*e.plan.numbers+at])
			binary.LittleEndian.PutUint32(rec[4*e.fields[i]:], math.Float32bits(v))
			continue
		case f.numbers():
			cell = bucket(scratch, c.num[r*e.plan.numbers+at])
		default:
			s := c.tok[r*e.plan.tokens+at]
			cell = c.data[s.lo:s.hi]
		}
		field := &e.rec.ids[e.fields[i]]
		if f.Kind != Multi {
			field.put(rec, 0, e.tables[i].ID(cell))
			continue
		}
		c.pieces = pieces(c.pieces[:0], cell, f)
		for k, t := range c.pieces {
			field.put(rec, k, e.tables[i].ID(t))
		}
	}
}

// rowsAtOnce is how many records are decoded column by column: few enough to stay in the first-level cache.
const rowsAtOnce = 64

// decode writes the records rows into rows lo, lo+1, ... of b.
func (r *record) decode(b *Batch, lo int, rows []byte) {
	n := len(rows) / r.size
	for i := 0; i < n; i += rowsAtOnce {
		k := min(rowsAtOnce, n-i)
		r.decodeFew(b, lo+i, k, rows[i*r.size:(i+k)*r.size])
	}
}

func (r *record) decodeFew(b *Batch, lo, n int, rows []byte) {
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
func (r *record) pad(b *Batch, lo int) {
	clear(b.Dense[lo*r.schema.NumDense:])
	clear(b.Label[lo:])
	if b.Group != nil {
		clear(b.Group[lo:])
	}
	for i := range r.ids {
		clear(b.IDs[r.ids[i].name][lo*r.ids[i].n:])
	}
}
