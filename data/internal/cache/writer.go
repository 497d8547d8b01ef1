package cache

import (
	"bufio"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/atomicfile"
)

// Writer writes the file of a part's rows. It makes no file before there is a row.
type Writer struct {
	Rows int64 // so far
	Size int64 // bytes of the file so far

	dir  *Dir
	path string
	file *atomicfile.File
	out  *bufio.Writer
	hash *xxhash.Digest
}

// Writers returns a writer for each part of the cache of that key.
func (d *Dir) Writers(key string) (w [3]Writer) {
	for p := range w {
		w[p] = Writer{dir: d, path: d.PartPath(key, data.Part(p))}
	}
	return w
}

// Add appends the records of some rows.
func (w *Writer) Add(records []byte, rows int64) error {
	if w.file == nil {
		f, err := atomicfile.Create(w.path)
		if err != nil {
			return w.dir.Wrap(err)
		}
		w.file, w.out, w.hash = f, bufio.NewWriterSize(f, 1<<18), xxhash.New()
		if err := w.write([]byte(Magic)); err != nil {
			return err
		}
	}
	w.Rows += rows
	return w.write(records)
}

func (w *Writer) write(b []byte) error {
	w.Size += int64(len(b))
	w.hash.Write(b)
	_, err := w.out.Write(b)
	return w.dir.Wrap(err)
}

// Commit gives the file its name and returns its description, which is zero if there are no rows.
func (w *Writer) Commit() (File, error) {
	if w.file == nil {
		return File{}, nil
	}
	if err := w.out.Flush(); err != nil {
		return File{}, w.dir.Wrap(err)
	}
	return File{Rows: w.Rows, Hash: w.hash.Sum64()}, w.dir.Wrap(w.file.Commit())
}

// Abort removes a file that was not committed.
func (w *Writer) Abort() {
	if w.file != nil {
		w.file.Abort()
	}
}
