package table

import (
	"context"
	"fmt"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/cache"
	"github.com/splice-ml/splice/data/internal/scan"
)

// View returns some of the rows.
func (s *source) View(o data.ViewOptions) data.Viewer {
	v := &source{
		rec: s.rec, file: s.file, rows: s.rows, kept: data.Places(s.kept, o.Keep), seed: o.Seed, window: max(s.window, o.Window),
		dropLast: s.dropLast, pool: s.pool,
	}
	if o.Keep != nil {
		v.rows = int64(len(o.Keep))
	}
	return v
}

// Shuffles reports whether the rows are those of a train part.
func (s *source) Shuffles() bool { return s.window > 0 }

// EachID reads the records of the rows.
func (s *source) EachID(ctx context.Context, f *data.Feature, do func(id int32)) error {
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
				return fmt.Errorf("data: cache %s: id %d of %s is not in [0, %d); it was changed while in use, start again", s.file.Name(), id, f.Name,
					f.Vocab)
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
func (s *source) readRows(dst []byte, lo, hi int64, gap *[]byte) error {
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
			*gap = scan.Grow(*gap, int(span*size))
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
func (s *source) readAt(dst []byte, first int64) error {
	if _, err := s.file.ReadAt(dst, int64(len(cache.Magic))+first*int64(s.rec.size)); err != nil {
		return fmt.Errorf("data: cache %s: %w; it was changed while in use, start again", s.file.Name(), err)
	}
	return nil
}
