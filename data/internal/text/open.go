package text

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/evict"
	"github.com/splice-ml/splice/data/internal/cache"
)

// openSource opens a file of records.
func openSource(path, id string, p cache.File, m *data.FeatureMap, schema *data.Schema) (*source, error) {
	if p.Rows > math.MaxUint32 {
		return nil, fmt.Errorf("data: %s: %d rows, at most %d can be read", path, p.Rows, uint32(math.MaxUint32))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: cache: %w", err)
	}
	evict.Hold(f)
	s := &source{records: &records{file: f, id: id, width: int64(idWidth(m.Text.Vocab)), ends: make([]int64, p.Rows)}, schema: schema}
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
func (f *records) index(p cache.File) error {
	buf, at := make([]byte, 1<<16), p.Bytes-8*p.Rows
	last := int64(len(cache.Magic))
	for i := 0; i < len(f.ends); {
		n := min(len(buf), 8*(len(f.ends)-i))
		if _, err := f.file.ReadAt(buf[:n], at); err != nil {
			return err
		}
		for k := 0; k < n; k += 8 {
			end := int64(binary.LittleEndian.Uint64(buf[k:]))
			if end < last+recordHead || end > p.Bytes {
				return errors.New("wrong place of a record")
			}
			f.ends[i], last = end, end
			i++
		}
		at += int64(n)
	}
	return nil
}
