package data

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/cespare/xxhash/v2"
)

// A file of texts is cacheMagic, a record for each row, and the end of each record as 8 bytes. A record is the label, the
// number of ids before the second segment, and the ids, of 2 bytes if the vocabulary allows it. All is little-endian.
const textHead = 8 // bytes of a record before its ids

// idWidth returns the bytes of an id.
func idWidth(vocab int) int {
	if vocab <= 1<<16 {
		return 2
	}
	return 4
}

// appendRecord appends a row.
func appendRecord(dst []byte, label float32, split int, ids []int32, width int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(label))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(split))
	for _, id := range ids {
		if width == 2 {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(id))
		} else {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(id))
		}
	}
	return dst
}

// textWriter writes the records of each part to a file.
type textWriter struct {
	*textEncoder
	dir   *cacheDir
	key   string
	parts [3]struct {
		partFile
		ends []byte // of records
		at   int64
	}
}

func (w *textWriter) emit(c *chunk) error { return w.rows(c, w.row) }

// row writes a record.
func (w *textWriter) row(part int, rec []byte) error {
	p := &w.parts[part]
	if p.file == nil {
		f, err := os.CreateTemp(w.dir.dir, "."+w.key+"-"+partNames[part]+".*")
		if err != nil {
			return w.dir.wrap(err)
		}
		p.file, p.hash, p.at = f, xxhash.New(), int64(len(cacheMagic))
		p.buf = append(p.buf, cacheMagic...)
	}
	p.buf = append(p.buf, rec...)
	p.at += int64(len(rec))
	p.ends = binary.LittleEndian.AppendUint64(p.ends, uint64(p.at))
	p.rows++
	if len(p.buf) < 1<<18 {
		return nil
	}
	return w.dir.wrap(p.flush())
}

// commit writes the ends of records, gives the files their names and fills e.Parts.
func (w *textWriter) commit(e *entry) error {
	for i := range w.parts {
		p := &w.parts[i]
		if p.file == nil {
			continue
		}
		p.buf = append(p.buf, p.ends...)
		if err := p.flush(); err != nil {
			return w.dir.wrap(err)
		}
		if err := commitFile(p.file, w.dir.path(w.key, "-"+partNames[i]+".bin")); err != nil {
			return w.dir.wrap(err)
		}
		p.file = nil
		e.Parts[i] = cachePart{Rows: p.rows, Bytes: p.at + int64(len(p.ends)), Hash: p.hash.Sum64()}
	}
	return nil
}

// abort removes what was not committed.
func (w *textWriter) abort() {
	for i := range w.parts {
		if f := w.parts[i].file; f != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}
}

// textRows returns the parts of files: from the cache, or else after writing it.
func (b *builder) textRows(ctx context.Context, m *FeatureMap, files []string, split Split) (parts [3]Source, err error) {
	key, err := cacheKey("text", b.reading(), split, m.Digest(), files)
	if err != nil {
		return parts, err
	}
	e := b.cache.open(key, files)
	if e == nil {
		if e, err = b.writeText(ctx, key, m, files, split); err != nil {
			return parts, err
		}
	}
	report(b.o.Log, e.Skipped, e.Rows, e.First)
	if e.Cut > 0 {
		b.o.Log.Warn("data: texts were cut to max_length tokens", "cut", e.Cut, "rows", e.Rows, "max_length", m.Text.schema().MaxLen())
	}
	schema := m.Schema(false)
	for i, p := range e.Parts {
		if p.Rows == 0 {
			continue
		}
		id := fmt.Sprintf("%s-%s-%016x", key, partNames[i], p.Hash)
		if parts[i], err = openTextRows(b.cache.path(key, "-"+partNames[i]+".bin"), id, p, m, schema); err != nil {
			return parts, err
		}
	}
	return parts, nil
}

// writeText tokenises files into the cache.
func (b *builder) writeText(ctx context.Context, key string, m *FeatureMap, files []string, split Split) (*entry, error) {
	start := time.Now()
	format, err := b.text.format(files)
	if err != nil {
		return nil, err
	}
	enc, err := newTextEncoder(b.text, m.Text)
	if err != nil {
		return nil, err
	}
	b.format = format.withLabels(m.Text)
	w := &textWriter{textEncoder: enc, dir: &b.cache, key: key}
	defer w.abort()
	s, err := b.scan(ctx, textPlan(b.MaxLine), files, split, w)
	if err != nil {
		return nil, err
	}
	if err := w.finish(w.row); err != nil {
		return nil, err
	}
	e := &entry{Sources: s.sums, Rows: s.rows, Skipped: s.bad.count, First: s.bad.first, Cut: w.cut.Load()}
	if err := w.commit(e); err != nil {
		return nil, err
	}
	if e.Parts[0].Rows+e.Parts[1].Rows+e.Parts[2].Rows == 0 {
		return nil, fmt.Errorf("data: %s: no token in any of its lines", files[0])
	}
	b.o.Log.Info("data: tokenised texts", "train", e.Parts[0].Rows, "valid", e.Parts[1].Rows, "test", e.Parts[2].Rows, "seconds", seconds(start))
	return e, b.cache.writeIndex(key, e)
}

// openTextRows opens a file of records.
func openTextRows(path, id string, p cachePart, m *FeatureMap, schema *Schema) (*textRows, error) {
	if p.Rows > math.MaxUint32 {
		return nil, fmt.Errorf("data: %s: %d rows, at most %d can be read", path, p.Rows, uint32(math.MaxUint32))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: cache: %w", err)
	}
	s := &textRows{textFile: &textFile{file: f, id: id, width: int64(idWidth(m.Text.Vocab)), ends: make([]int64, p.Rows)}, schema: schema}
	if m.Text.MaskRate > 0 {
		s.mask = newMasker(m.Text)
	}
	if err := s.index(p); err != nil {
		f.Close()
		return nil, fmt.Errorf("data: cache %s: %w; remove it", path, err)
	}
	return s, nil
}

// index reads the ends of the records.
func (f *textFile) index(p cachePart) error {
	buf, at := make([]byte, 1<<16), p.Bytes-8*p.Rows
	last := int64(len(cacheMagic))
	for i := 0; i < len(f.ends); {
		n := min(len(buf), 8*(len(f.ends)-i))
		if _, err := f.file.ReadAt(buf[:n], at); err != nil {
			return err
		}
		for k := 0; k < n; k += 8 {
			end := int64(binary.LittleEndian.Uint64(buf[k:]))
			if end < last+textHead || end > p.Bytes {
				return errors.New("wrong place of a record")
			}
			f.ends[i], last = end, end
			i++
		}
		at += int64(n)
	}
	return nil
}
