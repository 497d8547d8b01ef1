package data

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// viewer is a source that can show some of its rows as another one.
type viewer interface {
	Skipper
	// view returns the rows at these places, rising; nil are all. It shuffles as the source does, by a seed of its own.
	view(keep []uint32, seed uint64) Skipper
	// shuffles reports whether epochs have orders of their own.
	shuffles() bool
	// ids gives the id of a categorical feature of one row after the other, in the order of the file.
	ids(ctx context.Context, f *Feature, do func(id int32)) error
}

// viewable returns src as a viewer, or says what it cannot do.
func viewable(src Source, what string) (viewer, error) {
	v, ok := src.(viewer)
	switch {
	case src == nil:
		return nil, fmt.Errorf("data: %s: there are no rows: the data set has no such part", what)
	case !ok:
		return nil, fmt.Errorf("data: %s: a %T cannot be taken apart; want rows that Dataset.Open or FromRows returned", what, src)
	case v.Rows() > math.MaxUint32:
		return nil, fmt.Errorf("data: %s: %d rows, at most %d can be taken apart", what, v.Rows(), uint32(math.MaxUint32))
	}
	return v, nil
}

// pick returns the rows of kept (nil: all) at the places keep (nil: all).
func pick(kept, keep []uint32) []uint32 {
	if kept == nil || keep == nil {
		if keep == nil {
			return kept
		}
		return keep
	}
	out := make([]uint32, len(keep))
	for i, k := range keep {
		out[i] = kept[k]
	}
	return out
}

func (s *cached) view(keep []uint32, seed uint64) Skipper {
	v := &cached{rec: s.rec, file: s.file, rows: s.rows, kept: pick(s.kept, keep), seed: seed, window: s.window, dropLast: s.dropLast, pool: s.pool}
	if keep != nil {
		v.rows = int64(len(keep))
	}
	return v
}

func (s *cached) shuffles() bool { return s.window > 0 }

func (s *cached) ids(ctx context.Context, f *Feature, do func(id int32)) error {
	field := &s.rec.ids[slices.IndexFunc(s.rec.ids, func(i idField) bool { return i.name == f.Name })]
	size := s.rec.size
	buf := make([]byte, blockRows*size)
	var gap []byte
	for lo := int64(0); lo < s.rows; lo += blockRows {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi := min(lo+blockRows, s.rows)
		rows := buf[:int(hi-lo)*size]
		if err := s.readRows(rows, lo, hi, &gap); err != nil {
			return err
		}
		for ; len(rows) > 0; rows = rows[size:] {
			id := field.get(rows, 0)
			if id < 0 || int(id) >= f.Vocab {
				return fmt.Errorf("data: cache %s: id %d of %s is not in [0, %d); it was changed while in use, start again", s.file.Name(), id, f.Name, f.Vocab)
			}
			do(id)
		}
	}
	return nil
}

// gapBytes is how much of a file a view reads at once, with the records between those that it keeps: less than what a disk
// reads in the time that it takes to find another place.
const gapBytes = 1 << 18

// readRows reads the records lo to hi, by their number among those that are kept, into dst. gap is scratch.
func (s *cached) readRows(dst []byte, lo, hi int64, gap *[]byte) error {
	size := int64(s.rec.size)
	if s.kept == nil {
		return s.readAt(dst, lo)
	}
	kept := s.kept[lo:hi]
	most := max(1, gapBytes/size)
	for len(kept) > 0 {
		n := 1
		for n < len(kept) && int64(kept[n]-kept[0]) < most {
			n++
		}
		first, span := int64(kept[0]), int64(kept[n-1]-kept[0])+1
		if span == int64(n) {
			if err := s.readAt(dst[:span*size], first); err != nil {
				return err
			}
		} else {
			*gap = grow(*gap, int(span*size))
			if err := s.readAt(*gap, first); err != nil {
				return err
			}
			for i, k := range kept[:n] {
				at := (int64(k) - first) * size
				copy(dst[int64(i)*size:int64(i+1)*size], (*gap)[at:])
			}
		}
		dst, kept = dst[int64(n)*size:], kept[n:]
	}
	return nil
}

// readAt reads records of the file from row first on.
func (s *cached) readAt(dst []byte, first int64) error {
	if _, err := s.file.ReadAt(dst, int64(len(cacheMagic))+first*int64(s.rec.size)); err != nil {
		return fmt.Errorf("data: cache %s: %w; it was changed while in use, start again", s.file.Name(), err)
	}
	return nil
}

func (m *Memory) view(keep []uint32, seed uint64) Skipper {
	v := *m
	v.Seed, v.kept = seed, pick(m.kept, keep)
	return &v
}

func (m *Memory) shuffles() bool { return m.Shuffle }

func (m *Memory) ids(_ context.Context, f *Feature, do func(id int32)) error {
	for _, r := range m.places() {
		do(m.rows.IDs[f.Name][r])
	}
	return nil
}

// places returns the numbers of the rows.
func (m *Memory) places() []int {
	out := make([]int, m.Rows())
	for i := range out {
		if out[i] = i; m.kept != nil {
			out[i] = int(m.kept[i])
		}
	}
	return out
}
