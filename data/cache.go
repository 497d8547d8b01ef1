package data

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"
)

// cacheVersion is part of every key: caches of another layout are never opened.
const cacheVersion = 1

// cacheMagic begins every file of records.
const cacheMagic = "SPLICE\x00\x01"

// entry is what a cache's index file says. The index is written last: without it there is no cache.
type entry struct {
	Sources []fileSum    `json:"sources"` // the files that it was made from
	Parts   [3]cachePart `json:"parts"`
	Map     string       `json:"map,omitempty"` // digest of a fitted feature map
	Rows    int64        `json:"rows"`
	Skipped int64        `json:"skipped"`
	First   []string     `json:"first,omitempty"` // of the skipped rows
	Cut     int64        `json:"cut,omitempty"`   // texts that were longer than the longest row
}

// cachePart is a file of records.
type cachePart struct {
	Rows   int64  `json:"rows"`
	Record int    `json:"record"`          // bytes of a row
	Bytes  int64  `json:"bytes,omitempty"` // of the file, where rows differ in length
	Hash   uint64 `json:"hash"`            // xxhash of the file
}

// cacheDir is a directory of caches.
type cacheDir struct {
	dir string
	log *slog.Logger
}

// cacheKey returns the name of the cache of what the parts describe.
func cacheKey(parts ...any) (string, error) {
	text, err := json.Marshal(append([]any{cacheVersion}, parts...))
	if err != nil {
		return "", fmt.Errorf("data: cache key: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

func (d *cacheDir) path(key, suffix string) string { return filepath.Join(d.dir, key+suffix) }

// open returns the entry of key if it is there, whole, and made from the files as they are now; nil if not.
func (d *cacheDir) open(key string, files []string) *entry {
	e, err := d.read(key, files)
	if err == nil {
		return e
	}
	if !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("data: cache is built again", "cache", d.path(key, ""), "reason", err)
	}
	return nil
}

func (d *cacheDir) read(key string, files []string) (*entry, error) {
	text, err := os.ReadFile(d.path(key, ".json"))
	if err != nil {
		return nil, err
	}
	e := &entry{}
	if err := json.Unmarshal(text, e); err != nil {
		return nil, fmt.Errorf("index: %v", err)
	}
	changed, err := sameFiles(e.Sources, files)
	if err != nil {
		return nil, err
	}
	for i, p := range e.Parts {
		if p.Rows == 0 {
			continue
		}
		path := d.path(key, "-"+partNames[i]+".bin")
		if info, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("part: %v", err)
		} else if want := cmp.Or(p.Bytes, p.Rows*int64(p.Record)+int64(len(cacheMagic))); info.Size() != want {
			return nil, fmt.Errorf("%s has %d bytes, want %d", path, info.Size(), want)
		}
		if h, err := hashFile(path); err != nil || h != p.Hash {
			return nil, fmt.Errorf("%s: wrong checksum (%v)", path, err)
		}
	}
	if changed { // only in their times: remember the new ones
		d.writeIndex(key, e)
	}
	return e, nil
}

// sameFiles returns an error if files are not those that were scanned. A file of another time but the same size is
// read again: touching or copying it does not change the data. The times in sums are then brought up to date.
func sameFiles(sums []fileSum, files []string) (changed bool, err error) {
	if len(sums) != len(files) {
		return false, fmt.Errorf("made from %d files, now there are %d", len(sums), len(files))
	}
	for i := range sums {
		s := &sums[i]
		info, err := os.Stat(files[i])
		switch {
		case err != nil:
			return false, fmt.Errorf("source: %v", err)
		case s.Path != files[i] || s.Size != info.Size():
			return false, fmt.Errorf("%s has changed", files[i])
		case s.Time == info.ModTime().UnixNano():
			continue
		}
		if h, err := hashFile(files[i]); err != nil || h != s.Hash {
			return false, fmt.Errorf("%s has changed (%v)", files[i], err)
		}
		s.Time, changed = info.ModTime().UnixNano(), true
	}
	return changed, nil
}

func (d *cacheDir) writeIndex(key string, e *entry) error {
	return d.wrap(writeFile(d.path(key, ".json"), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(e)
	}))
}

// wrap says of an error that it is about the cache.
func (d *cacheDir) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("data: cache directory %s: %w; free space or choose another one", d.dir, err)
}

// make creates the directory.
func (d *cacheDir) make() error { return d.wrap(os.MkdirAll(d.dir, 0o755)) }

// recordWriter is the sink that writes the records of each part to a file.
type recordWriter struct {
	*encoder
	dir   *cacheDir
	key   string
	parts [3]partFile
}

type partFile struct {
	file *os.File
	hash *xxhash.Digest
	rows int64
	buf  []byte // not written yet
}

// emit appends the records of a chunk.
func (w *recordWriter) emit(c *chunk) error {
	for p := range w.parts {
		if c.count[p] == 0 {
			continue
		}
		part := &w.parts[p]
		if part.file == nil {
			f, err := os.CreateTemp(w.dir.dir, "."+w.key+"-"+partNames[p]+".*")
			if err != nil {
				return w.dir.wrap(err)
			}
			part.file, part.hash = f, xxhash.New()
			if err := part.write([]byte(cacheMagic)); err != nil {
				return w.dir.wrap(err)
			}
		}
		if err := part.write(c.enc[p]); err != nil {
			return w.dir.wrap(err)
		}
		part.rows += c.count[p]
	}
	return nil
}

func (p *partFile) write(b []byte) error {
	p.hash.Write(b)
	_, err := p.file.Write(b)
	return err
}

// flush writes buf.
func (p *partFile) flush() error {
	err := p.write(p.buf)
	p.buf = p.buf[:0]
	return err
}

// commit gives the files their names and fills e.Parts.
func (w *recordWriter) commit(e *entry) error {
	for i := range w.parts {
		p := &w.parts[i]
		if p.file == nil {
			continue
		}
		if err := commitFile(p.file, w.dir.path(w.key, "-"+partNames[i]+".bin")); err != nil {
			return w.dir.wrap(err)
		}
		p.file = nil
		e.Parts[i] = cachePart{Rows: p.rows, Record: w.rec.size, Hash: p.hash.Sum64()}
	}
	return nil
}

// abort removes what was not committed.
func (w *recordWriter) abort() {
	for i := range w.parts {
		if f := w.parts[i].file; f != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}
}
