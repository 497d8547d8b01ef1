package data

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/splice-ml/splice/data/rng"
)

// Row is one example of a Memory source.
type Row struct {
	IDs   map[string][]int32 // by feature; at most MaxLen of a Multi or a Sequence
	Dense []float32          // [NumDense]
	Label float32
	Group int64

	Labels []float32 // of a schema with several, in place of Label
	Weight float32   // of a schema with weights
}

// Memory is a Source over rows held in memory, for tests and small sets.
type Memory struct {
	Shuffle  bool   // in a new order each epoch
	Seed     uint64 // of that order
	DropLast bool   // leave out the last batch if it is not full

	schema *Schema
	rows   *Batch   // all of them
	kept   []uint32 // places of a view's rows, in ascending order; nil if it has all
}

// FromRows returns a source of rows in their order. Every row must have each feature of s, with ids below its Vocab.
func FromRows(s *Schema, rows []Row) (*Memory, error) {
	all := NewBatch(s, len(rows))
	all.N = len(rows)
	for i, r := range rows {
		if len(r.Dense) != s.NumDense {
			return nil, fmt.Errorf("data: row %d has %d numbers, the schema %d", i, len(r.Dense), s.NumDense)
		}
		copy(all.Dense[i*s.NumDense:], r.Dense)
		all.Label[i] = r.Label
		if len(r.Labels) != len(all.Labels) {
			return nil, fmt.Errorf("data: row %d has %d labels in a list, the schema %d", i, len(r.Labels), len(all.Labels))
		}
		for k, y := range r.Labels {
			all.Labels[k][i] = y
		}
		if s.HasWeight {
			all.Weight[i] = r.Weight
		}
		if s.HasGroup {
			all.Group[i] = r.Group
		}
		for _, f := range s.Features {
			if f.Kind == Numeric {
				continue
			}
			ids, width := r.IDs[f.Name], f.Width()
			if len(ids) > width || f.Kind == Categorical && len(ids) != 1 {
				return nil, fmt.Errorf("data: row %d has %d ids of feature %s, want %d", i, len(ids), f.Name, width)
			}
			for _, id := range ids {
				if id < 0 || int(id) >= f.Vocab {
					return nil, fmt.Errorf("data: row %d: id %d of feature %s is not in [0, %d)", i, id, f.Name, f.Vocab)
				}
			}
			copy(all.IDs[f.Name][i*width:], ids)
		}
	}
	return &Memory{schema: s, rows: all}, nil
}

// Width returns how many ids a row has in the feature.
func (f *Feature) Width() int {
	switch f.Kind {
	case Categorical:
		return 1
	case Multi, Sequence:
		return f.MaxLen
	default:
		return 0
	}
}

// Schema returns the schema that the source was made with.
func (m *Memory) Schema() *Schema { return m.schema }

// Rows returns the number of rows.
func (m *Memory) Rows() int64 {
	if m.kept != nil {
		return int64(len(m.kept))
	}
	return int64(m.rows.N)
}

// Batches returns the rows of an epoch.
func (m *Memory) Batches(epoch, size int) iter.Seq2[*Batch, error] {
	return m.BatchesFrom(epoch, size, 0)
}

// DropsLast reports whether a batch that is not full is left out.
func (m *Memory) DropsLast() bool { return m.DropLast }

// BatchesFrom returns the rows of an epoch without the first skip batches.
func (m *Memory) BatchesFrom(epoch, size, skip int) iter.Seq2[*Batch, error] {
	return m.BatchesOf(epoch, size, skip, nil)
}

// BatchesOf returns the rows of an epoch without the first skip batches, and without the content of those that are not mine.
func (m *Memory) BatchesOf(epoch, size, skip int, mine func(batch int) bool) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		if size <= 0 || skip < 0 {
			yield(nil, fmt.Errorf("data: batches of %d rows after %d, want a positive size", size, skip))
			return
		}
		if err := CheckBatch(m, size); err != nil {
			yield(nil, err)
			return
		}
		order := m.places()
		if m.Shuffle {
			r := rng.New(rng.Key(m.Seed, "shuffle", epoch))
			r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		b, n := NewBatch(m.schema, size), -1
		for rows := range slices.Chunk(order, size) {
			if n++; n < skip {
				continue
			}
			if m.DropLast && len(rows) < size {
				return
			}
			if b.N = len(rows); mine == nil || mine(n) {
				m.gather(b, rows)
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// gather copies rows into b and zeroes the rest of it.
func (m *Memory) gather(b *Batch, rows []int) {
	b.N = len(rows)
	for _, f := range m.schema.Features {
		if w := f.Width(); w > 0 {
			gather(b.IDs[f.Name], m.rows.IDs[f.Name], rows, w)
		}
	}
	gather(b.Dense, m.rows.Dense, rows, m.schema.NumDense)
	gather(b.Label, m.rows.Label, rows, 1)
	for k := 1; k < len(b.Labels); k++ {
		gather(b.Labels[k], m.rows.Labels[k], rows, 1)
	}
	if b.Weight != nil {
		gather(b.Weight, m.rows.Weight, rows, 1)
	}
	if b.Group != nil {
		gather(b.Group, m.rows.Group, rows, 1)
	}
}

func gather[T any](dst, src []T, rows []int, width int) {
	for i, r := range rows {
		copy(dst[i*width:(i+1)*width], src[r*width:])
	}
	clear(dst[len(rows)*width:])
}

// View returns some of the rows.
func (m *Memory) View(o ViewOptions) Viewer {
	v := *m
	v.Seed, v.kept = o.Seed, Places(m.kept, o.Keep)
	v.Shuffle = m.Shuffle || o.Window > 0
	return &v
}

// Shuffles returns m.Shuffle.
func (m *Memory) Shuffles() bool { return m.Shuffle }

// EachID calls do with the ids of a feature.
func (m *Memory) EachID(_ context.Context, f *Feature, do func(id int32)) error {
	for _, r := range m.places() {
		do(m.rows.IDs[f.Name][r])
	}
	return nil
}

// places returns the numbers of the rows.
func (m *Memory) places() []int {
	out := make([]int, m.Rows())
	for i := range out {
		out[i] = i
		if m.kept != nil {
			out[i] = int(m.kept[i])
		}
	}
	return out
}
