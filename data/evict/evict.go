// Package evict removes what was used least recently of the cache. Only files that the cache writes are removed, and none that is in use:
// whoever reads a file of the cache has a shared lock on it as long as it is open.
package evict

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/filelock"
	"github.com/splice-ml/splice/data/memory"
)

// Limit says how much is kept.
type Limit struct {
	Bytes float64       // of all entries together
	Age   time.Duration // since an entry was used
}

// Variable is the environment variable for the size that the cache may have, such as 20GB; none for no limit of size or age.
const Variable = "SPLICE_CACHE_LIMIT"

// Default returns the limit that the environment gives, or 50 GB. What was not used for 90 days is not kept in either case.
func Default() (Limit, error) {
	l := Limit{50e9, 90 * 24 * time.Hour}
	switch text := os.Getenv(Variable); text {
	case "":
	case "none":
		return Limit{math.Inf(1), math.MaxInt64}, nil
	default:
		n, err := memory.Parse(text)
		if err != nil {
			return l, fmt.Errorf("%s: %w, or none", Variable, err)
		}
		l.Bytes = n
	}
	return l, nil
}

// Entry is files of the cache that belong together.
type Entry struct {
	Key   string
	Files []string // their paths; the index first, if there is one
	Bytes int64
	Used  time.Time // when it was last opened, or written
}

// names are the files of the cache: those of a key, generated rows, and features of a frozen part.
var names = regexp.MustCompile(`^([0-9a-f]{32})(\.json|-(train|valid|test)\.bin|-features\.json\.zst|-frappe\.tsv|-text)$|^([0-9a-f]{16}-tastes)\.tsv$|^(features-[0-9a-f]{24})\.bin$`)

// key returns the key of a file of the cache, "" if it is none.
func key(name string) string {
	m := names.FindStringSubmatch(name)
	if m == nil {
		return ""
	}
	return cmp.Or(m[1], m[4], m[5])
}

// List returns the entries of a directory of caches, those first that were used least recently. A directory that is not there has none.
func List(dir string) ([]*Entry, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("data: cache: %w", err)
	}
	at := map[string]*Entry{}
	var all []*Entry
	for _, f := range files {
		k := key(f.Name())
		folder := strings.HasSuffix(f.Name(), "-text")
		if k == "" || folder != f.IsDir() || !folder && !f.Type().IsRegular() {
			continue
		}
		info, err := f.Info()
		if err != nil {
			continue // it is gone
		}
		e := at[k]
		if e == nil {
			e = &Entry{Key: k}
			at[k], all = e, append(all, e)
		}
		path := filepath.Join(dir, f.Name())
		if filepath.Ext(path) == ".json" {
			e.Files = slices.Insert(e.Files, 0, path)
		} else {
			e.Files = append(e.Files, path)
		}
		if folder {
			e.Bytes += folderBytes(path)
		} else {
			e.Bytes += info.Size()
		}
		if info.ModTime().After(e.Used) {
			e.Used = info.ModTime()
		}
	}
	slices.SortFunc(all, func(a, b *Entry) int { return cmp.Or(a.Used.Compare(b.Used), cmp.Compare(a.Key, b.Key)) })
	return all, nil
}

func folderBytes(dir string) (n int64) {
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if info, err := f.Info(); err == nil && f.Type().IsRegular() {
			n += info.Size()
		}
	}
	return n
}

// Touch says that an entry is used: path is one of its files.
func Touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now) // of another user's file it is not known
}

// Hold says that an open file of the cache is in use until it is closed. Where there are no locks, an entry counts as in use for a day.
func Hold(f *os.File) {
	Touch(f.Name())
	for range 100 { // whoever looks whether it is in use has a lock for a moment
		if !errors.Is(filelock.Shared(f), filelock.ErrHeld) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Recent is how long an entry counts as in use after it was used. It covers the moments between its index and its other files.
const Recent = 10 * time.Minute

// InUse reports whether somebody reads the entry, or has just done so.
func (e *Entry) InUse() bool {
	for _, path := range e.Files {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return true
		}
		info, err := f.Stat()
		if err == nil && info.Mode().IsRegular() {
			err = filelock.Exclusive(f)
		}
		f.Close()
		switch {
		case errors.Is(err, filelock.ErrUnsupported):
			return time.Since(e.Used) < 24*time.Hour
		case err != nil || time.Since(info.ModTime()) < Recent:
			return true
		}
	}
	return false
}

// Remove removes an entry, the index first, unless it is in use.
func (e *Entry) Remove() (removed bool, err error) {
	if e.InUse() {
		return false, nil
	}
	for _, path := range e.Files {
		remove := os.Remove
		if strings.HasSuffix(path, "-text") {
			remove = os.RemoveAll
		}
		if err := remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("data: cache: %w", err)
		}
	}
	return true, nil
}

// To removes entries of a directory until it keeps the limit, those first that were used least recently. It returns what was removed. log
// may be nil.
func To(dir string, l Limit, log *slog.Logger) (removed []*Entry, err error) {
	all, err := List(dir)
	if err != nil {
		return nil, err
	}
	bytes := 0.0
	for _, e := range all {
		bytes += float64(e.Bytes)
	}
	for _, e := range all {
		if bytes <= l.Bytes && time.Since(e.Used) <= l.Age {
			break
		}
		gone, err := e.Remove()
		if err != nil {
			return removed, err
		}
		if gone {
			bytes -= float64(e.Bytes)
			removed = append(removed, e)
		}
	}
	if log != nil && len(removed) > 0 {
		freed := int64(0)
		for _, e := range removed {
			freed += e.Bytes
		}
		log.Info("data: old caches are removed", "cache", dir, "entries", len(removed), "freed", memory.Format(float64(freed)))
	}
	return removed, nil
}

// Of returns those entries that are of a fitted feature map, by its digest: the map itself, and rows that were encoded by it.
func Of(all []*Entry, mapDigest string) (list []*Entry) {
	for _, e := range all {
		if len(e.Files) == 0 || filepath.Ext(e.Files[0]) != ".json" {
			continue
		}
		var index struct {
			Map string `json:"map"`
		}
		if b, err := bound.ReadFile(e.Files[0], bound.JSON); err == nil && json.Unmarshal(b, &index) == nil && index.Map == mapDigest {
			list = append(list, e)
		}
	}
	return list
}
