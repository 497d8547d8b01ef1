package table

import (
	"github.com/splice-ml/splice/data/internal/cache"
	"github.com/splice-ml/splice/data/internal/scan"
)

// writer is the sink that writes the records of each part to a file.
type writer struct {
	*encoder
	parts [3]cache.Writer
}

// Emit appends the records of a chunk.
func (w *writer) Emit(c *scan.Chunk) error {
	for p := range w.parts {
		if c.Count[p] == 0 {
			continue
		}
		if err := w.parts[p].Add(c.Enc[p], c.Count[p]); err != nil {
			return err
		}
	}
	return nil
}

// commit gives the files their names and fills e.Parts.
func (w *writer) commit(e *cache.Entry) error {
	for p := range w.parts {
		f, err := w.parts[p].Commit()
		if err != nil {
			return err
		}
		if f.Rows > 0 {
			f.Record = w.rec.size
		}
		e.Parts[p] = f
	}
	return nil
}

// abort removes what was not committed.
func (w *writer) abort() {
	for p := range w.parts {
		w.parts[p].Abort()
	}
}
