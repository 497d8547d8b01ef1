package run

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/filelock"
)

// Held reports whether a command writes into a run's directory. It neither waits for the command nor disturbs it.
func Held(dir string) bool {
	f, err := os.Open(filepath.Join(lockedBy(dir), LockFile))
	if err != nil {
		return false // whoever holds a lock has made its file
	}
	defer f.Close() // with it goes the lock
	return errors.Is(filelock.Exclusive(f), filelock.ErrHeld)
}

// opened returns the names of the files that a run is opened from.
func opened() []string {
	names := []string{ConfigFile, FeatureFile, ModelFile, CalibrationFile}
	for _, e := range entries {
		if e.Kind == OfText {
			names = append(names, e.Name)
		}
	}
	return names
}

// Stamp says which files a run is opened from, without their content: by size, time and identity.
type Stamp []fs.FileInfo

// StampOf returns the Stamp of the run in a directory, which need not be complete.
func StampOf(dir string) Stamp {
	var s Stamp
	for _, name := range opened() {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			info = nil
		}
		s = append(s, info)
	}
	return s
}

// Equal reports whether two stamps are of the same files, unchanged.
func (s Stamp) Equal(o Stamp) bool {
	return slices.EqualFunc(s, o, func(a, b fs.FileInfo) bool {
		if a == nil || b == nil {
			return a == b
		}
		return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
	})
}

// Sums returns SHA-256 sums of a run, in hexadecimal: that of its model's file, and one of all files that it is opened from.
func Sums(dir string) (model, all string, err error) {
	sum := sha256.New()
	for _, name := range opened() {
		own, size, err := sumOf(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return "", "", err
		}
		if name == ModelFile {
			model = own
		}
		fmt.Fprintf(sum, "%s %d %s\n", name, size, own)
	}
	return model, hex.EncodeToString(sum.Sum(nil)), nil
}

// ModelSum returns the SHA-256 sum of a run's model, in hexadecimal.
func ModelSum(dir string) (string, error) {
	sum, _, err := sumOf(filepath.Join(dir, ModelFile))
	return sum, err
}

func sumOf(path string) (sum string, size int64, err error) {
	f, size, err := bound.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}
