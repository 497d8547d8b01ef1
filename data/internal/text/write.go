package text

import (
	"encoding/binary"

	"github.com/splice-ml/splice/data/internal/cache"
	"github.com/splice-ml/splice/data/internal/scan"
)

// writer is the sink that writes the records of each part to a file.
type writer struct {
	*encoder
	parts [3]cache.Writer
	ends  [3][]byte // of the records of each part
}

// Emit appends the records of a chunk.
func (w *writer) Emit(c *scan.Chunk) error { return w.rows(c, w.row) }

// row writes a record.
func (w *writer) row(part int, rec []byte) error {
	p := &w.parts[part]
	err := p.Add(rec, 1)
	w.ends[part] = binary.LittleEndian.AppendUint64(w.ends[part], uint64(p.Size))
	return err
}

// commit writes the ends of records, gives the files their names and fills e.Parts.
func (w *writer) commit(e *cache.Entry) error {
	for i := range w.parts {
		p := &w.parts[i]
		if p.Rows == 0 {
			continue
		}
		if err := p.Add(w.ends[i], 0); err != nil {
			return err
		}
		f, err := p.Commit()
		if err != nil {
			return err
		}
		f.Bytes = p.Size
		e.Parts[i] = f
	}
	return nil
}

// abort removes what was not committed.
func (w *writer) abort() {
	for p := range w.parts {
		w.parts[p].Abort()
	}
}
