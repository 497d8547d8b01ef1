// Package cache keeps the encoded rows of each part of a data set, and fitted feature maps. The key of a cache covers everything that
// decides its content. Its index names the files that it was made from, so that changed files are read again.
package cache

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/evict"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/sealed"
)

// version is part of every key: caches of another layout are never opened.
const version = 1

// Magic begins every file of records.
const Magic = "SPLICE\x00\x01"

// Entry is the content of a cache's index file, which has a checksum. The index is written last, so a cache without it does not count.
type Entry struct {
	Sources []scan.FileSum `json:"sources"` // the files that it was made from
	Parts   [3]File        `json:"parts"`
	Map     string         `json:"map,omitempty"`    // digest of the feature map that is fitted, or by which the rows are encoded
	Folder  uint64         `json:"folder,omitempty"` // xxhash of all files of a fitted map that has several
	Rows    int64          `json:"rows"`
	Skipped int64          `json:"skipped"`
	First   []string       `json:"first,omitempty"` // of the skipped rows
	Cut     int64          `json:"cut,omitempty"`   // texts that were longer than the longest row
}

// File is a file of records.
type File struct {
	Rows   int64  `json:"rows"`
	Record int    `json:"record"`          // bytes of a row
	Bytes  int64  `json:"bytes,omitempty"` // of the file, where rows differ in length
	Hash   uint64 `json:"hash"`            // xxhash of the file
	// columns that have tokens, but none that the feature map knows
	Unknown []string `json:"unknown,omitempty"`
}

// Dir is a directory of caches.
type Dir struct {
	dir string
	log *slog.Logger
}

// At returns the directory that an option names, or .cache if the option is empty.
func At(option string, log *slog.Logger) Dir {
	return Dir{dir: cmp.Or(option, ".cache"), log: log}
}

// Key returns the name of the cache that the parts describe.
func Key(parts ...any) (string, error) {
	text, err := json.Marshal(append([]any{version}, parts...))
	if err != nil {
		return "", fmt.Errorf("data: cache key: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

// Path returns the path of a file of the cache of that key.
func (d *Dir) Path(key, suffix string) string { return filepath.Join(d.dir, key+suffix) }

// PartPath returns the path of the rows of a part.
func (d *Dir) PartPath(key string, part data.Part) string {
	return d.Path(key, "-"+part.String()+".bin")
}

// Open returns the entry of key if it is there, whole, and made from the files as they are now. Otherwise it returns nil.
func (d *Dir) Open(key string, files []string) *Entry {
	evict.Touch(d.Path(key, ".json"))
	e, err := d.read(key, files)
	if err == nil {
		return e
	}
	if !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("data: cache is built again", "cache", d.Path(key, ""), "reason", err)
	}
	return nil
}

func (d *Dir) read(key string, files []string) (*Entry, error) {
	e := &Entry{}
	switch err := sealed.Read(d.Path(key, ".json"), bound.JSON, e); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("index: %w", err)
	}
	renewed, err := sameFiles(e.Sources, files)
	if err != nil {
		return nil, err
	}
	if e.Rows < 0 || e.Skipped < 0 || e.Cut < 0 {
		return nil, errors.New("index: a count is negative")
	}
	for i, p := range e.Parts {
		if p.Rows == 0 {
			continue
		}
		path := d.PartPath(key, data.Part(i))
		if info, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("part: %v", err) // not %w: a part that is gone is said
		} else if n := info.Size(); !p.fits(n) {
			return nil, fmt.Errorf("%s has %d bytes, which %d rows do not have", path, n, p.Rows)
		}
		if h, err := scan.HashFile(path); err != nil {
			return nil, fmt.Errorf("part: %w", err)
		} else if h != p.Hash {
			return nil, fmt.Errorf("%s: wrong checksum", path)
		}
	}
	if renewed {
		_ = d.WriteIndex(key, e) // the files are read as a whole again next time
	}
	return e, nil
}

// fits reports whether a file of so many bytes may hold the rows. Rows of several lengths have 8 bytes each at the file's end.
func (f *File) fits(size int64) bool {
	rows := size - int64(len(Magic))
	switch {
	case f.Rows < 0 || rows < 0 || f.Record < 0:
		return false
	case f.Bytes != 0:
		return f.Bytes == size && f.Rows <= rows/8
	}
	return f.Record > 0 && rows%int64(f.Record) == 0 && f.Rows == rows/int64(f.Record)
}

// sameFiles returns an error if files are not those that were read. The times in sums are brought up to date where they alone differ:
// touching or copying a file does not change the data.
func sameFiles(sums []scan.FileSum, files []string) (renewed bool, err error) {
	if len(sums) != len(files) {
		return false, fmt.Errorf("made from %d files, now there are %d", len(sums), len(files))
	}
	for i := range sums {
		if sums[i].Path != files[i] {
			return false, fmt.Errorf("made from %s in place of %s", sums[i].Path, files[i])
		}
		why, again, err := sums[i].Changed(files[i])
		if err != nil {
			return false, fmt.Errorf("source: %v", err)
		}
		if why != "" {
			return false, fmt.Errorf("%s has changed: it %s", files[i], why)
		}
		renewed = renewed || again
	}
	return renewed, nil
}

// WriteIndex writes the entry of key. It then removes what was used least recently, if the cache has grown too large.
func (d *Dir) WriteIndex(key string, e *Entry) error {
	if err := sealed.Write(d.Path(key, ".json"), e); err != nil {
		return d.Wrap(err)
	}
	l, err := evict.Default()
	if err == nil {
		_, err = evict.To(d.dir, l, d.log)
	}
	if err != nil && d.log != nil { // the new entry is there all the same
		d.log.Warn("data: old caches stay", "cache", d.dir, "error", err)
	}
	return nil
}

// Wrap returns an error that says that err is about the cache.
func (d *Dir) Wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("data: cache directory %s: %w; free space or choose another one", d.dir, err)
}

// Make creates the directory, and sweeps it.
func (d *Dir) Make() error {
	if _, err := evict.Default(); err != nil { // before anything is read
		return err
	}
	return d.MakeIn("")
}

// MakeIn creates a directory within the cache, and removes what writes of processes that were killed left there.
func (d *Dir) MakeIn(name string) error {
	dir := filepath.Join(d.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return d.Wrap(err)
	}
	atomicfile.Sweep(dir, func(string) bool { return true })
	return nil
}
