package text

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/cache"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/rng"
)

// windowBatches is how many batches' rows are sorted by length together, in training. More make less padding and an order
// that depends more on lengths.
const windowBatches = 50

// records is a file of records that may be read by many goroutines at once.
type records struct {
	file  *os.File
	id    string // of what is in it
	width int64  // bytes of an id
	ends  []int64
}

// source is a Source over a file of tokenised texts, or over some of its rows. Rows of about equal length share a batch, whose
// sequences have the length of the smallest bucket that holds them all.
//
// A train epoch is a permutation of the rows by (seed, epoch): each window of it is sorted by length and cut into batches,
// and the batches of all windows are permuted. Other parts are sorted as a whole. The last batch alone may have padding for rows.
type source struct {
	*records
	schema  *data.Schema
	kept    []uint32 // places of a view's records, in ascending order; nil if it has all
	seed    uint64
	shuffle bool
	mask    *masker // of a masked language model
}

// Schema returns the schema, which has text.
func (s *source) Schema() *data.Schema { return s.schema }

// Rows returns the number of rows.
func (s *source) Rows() int64 {
	if s.kept != nil {
		return int64(len(s.kept))
	}
	return int64(len(s.ends))
}

// Fingerprint identifies the rows, their ids and labels, but not their order: equal ones have the same rows under the same
// numbers (Batch.Row).
func (s *source) Fingerprint() string {
	if s.kept == nil {
		return s.id
	}
	h := xxhash.New()
	var b [4]byte
	for _, k := range s.kept {
		binary.LittleEndian.PutUint32(b[:], k)
		h.Write(b[:])
	}
	return fmt.Sprintf("%s-%d-%016x", s.id, len(s.kept), h.Sum64())
}

// View returns some of the rows.
func (s *source) View(o data.ViewOptions) data.Viewer {
	v := *s
	v.kept, v.seed = data.Places(s.kept, o.Keep), o.Seed
	v.shuffle = s.shuffle || o.Window > 0
	return &v
}

// Shuffles reports whether the rows are those of a train part.
func (s *source) Shuffles() bool { return s.shuffle }

// EachID returns an error: texts have no ids of features.
func (s *source) EachID(_ context.Context, f *data.Feature, _ func(int32)) error {
	return fmt.Errorf("data: rows of text have no ids of a feature %s; deal them by rows or order", f.Name)
}

// Batches returns the rows of an epoch.
func (s *source) Batches(epoch, size int) iter.Seq2[*data.Batch, error] {
	return s.BatchesFrom(epoch, size, 0)
}

// BatchesFrom returns the rows of an epoch without the first skip batches, of which nothing is read.
func (s *source) BatchesFrom(epoch, size, skip int) iter.Seq2[*data.Batch, error] {
	return s.BatchesOf(epoch, size, skip, nil)
}

// BatchesOf returns the rows of an epoch without the first skip batches, and without the content of those that are not mine.
func (s *source) BatchesOf(epoch, size, skip int, mine func(batch int) bool) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		if size <= 0 || skip < 0 {
			yield(nil, fmt.Errorf("data: batches of %d rows after %d, want a positive size", size, skip))
			return
		}
		rows, batches := s.order(epoch, size)
		if skip >= len(batches) {
			return
		}
		batches = batches[skip:]
		made := make([]*data.Batch, min(scan.Prefetched, len(batches)))
		for i := range made {
			made[i] = data.NewTokenBatch(s.schema, size, s.schema.Text.MaxLen())
		}
		f, n := filler{s: s, epoch: epoch}, skip-1
		scan.Prefetch(made, func(b *data.Batch) (bool, error) {
			if len(batches) == 0 {
				return false, nil
			}
			lo := int(batches[0]) * size
			batches = batches[1:]
			of := rows[lo:min(lo+size, len(rows))]
			if n++; mine != nil && !mine(n) {
				b.N = len(of)
				return true, nil
			}
			return true, f.fill(b, of)
		}, yield)
	}
}

// length returns the ids of a record.
func (f *records) length(row uint32) int {
	lo := int64(len(cache.Magic))
	if row > 0 {
		lo = f.ends[row-1]
	}
	return int((f.ends[row] - lo - recordHead) / f.width)
}

// order returns the rows of an epoch, by their numbers in the file, and the order of their batches.
func (s *source) order(epoch, size int) (rows, batches []uint32) {
	if rows = slices.Clone(s.kept); rows == nil {
		rows = make([]uint32, len(s.ends))
		for i := range rows {
			rows[i] = uint32(i)
		}
	}
	batches = make([]uint32, (len(rows)+size-1)/size)
	for i := range batches {
		batches[i] = uint32(i)
	}
	window, full := len(rows), len(rows)
	if s.shuffle {
		r := rng.New(rng.Key(s.seed, "shuffle", epoch))
		r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		whole := len(rows) / size
		r.Shuffle(whole, func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
		window, full = windowBatches*size, whole*size
	}
	byLength := func(a, b uint32) int { return s.length(a) - s.length(b) }
	for w := range slices.Chunk(rows[:full], max(window, 1)) {
		slices.SortStableFunc(w, byLength)
	}
	return rows, batches
}

// filler reads rows into batches.
type filler struct {
	s     *source
	epoch int
	buf   []byte
	ids   []int32
}

// fill reads rows into b.
func (f *filler) fill(b *data.Batch, rows []uint32) error {
	longest := 0
	for _, r := range rows {
		longest = max(longest, f.s.length(r))
	}
	text := f.s.schema.Text
	b.Resize(text, longest)
	for i, r := range rows {
		rec, err := f.s.record(r, &f.buf)
		if err == nil {
			err = f.row(b, i, rec)
		}
		if err != nil {
			return fmt.Errorf("data: cache %s: %w; it was changed while in use, start again", f.s.file.Name(), err)
		}
		b.Row[i] = int64(r)
		if f.s.mask != nil {
			f.s.mask.row(b, i, f.s.maskKey(f.epoch, r))
		}
	}
	b.N = len(rows)
	clear(b.Label[b.N:])
	clear(b.Row[b.N:])
	b.ClearText(text, b.N)
	return nil
}

// maskKey names the stream of a row's masks: by the epoch in training, else always the same one.
func (s *source) maskKey(epoch int, row uint32) uint64 {
	if s.shuffle {
		return rng.Key(s.seed, "mask", epoch, int64(row))
	}
	return rng.Key(0, "mask", int64(row))
}

// record reads a record into buf.
func (f *records) record(row uint32, buf *[]byte) ([]byte, error) {
	lo := int64(len(cache.Magic))
	if row > 0 {
		lo = f.ends[row-1]
	}
	*buf = scan.Grow(*buf, int(f.ends[row]-lo))
	_, err := f.file.ReadAt(*buf, lo)
	return *buf, err
}

// row decodes a record into row i of b.
func (f *filler) row(b *data.Batch, i int, rec []byte) error {
	f.ids = appendIDs(f.ids[:0], rec, int(f.s.width))
	return setText(b, f.s.schema.Text, i, rec, f.ids)
}

// errRecord is a record that does not belong to the schema.
var errRecord = errors.New("wrong record")

// setText makes ids, which the record holds, the text of row i, and sets its label.
func setText(b *data.Batch, s *data.Text, i int, rec []byte, ids []int32) error {
	t := b.Tokens
	split := int(binary.LittleEndian.Uint32(rec[4:]))
	if len(ids) > t.L || split > len(ids) {
		return errRecord
	}
	for _, id := range ids {
		if id < 0 || int(id) >= s.Vocab {
			return errRecord
		}
	}
	row, segments := t.IDs[i*t.L:(i+1)*t.L], t.Segments[i*t.L:(i+1)*t.L]
	n := copy(row, ids)
	for k := n; k < len(row); k++ {
		row[k] = s.Pad
	}
	clear(segments)
	for k := split; k < n; k++ {
		segments[k] = 1
	}
	t.Len[i] = int32(n)
	b.Label[i] = math.Float32frombits(binary.LittleEndian.Uint32(rec))
	return nil
}
