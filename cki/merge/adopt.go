package merge

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/train/run"
)

// Adopt copies the parents that a regime made for another merge, whose directory is from, into the directory of this one, so that they are
// not trained again. It reports whether it did. It does not if this merge has parents already, or if the other merge is not
// done, or if another config made its parents: starting weights and data are compared when the merge is made.
func (j *Job) Adopt(from string) (bool, error) {
	to := filepath.Join(j.Dir, run.ParentsDir)
	if _, err := os.Lstat(to); err == nil || samePath(from, j.Dir) {
		return false, nil
	}
	if _, err := os.Stat(filepath.Join(from, run.TableFile)); err != nil {
		return false, nil
	}
	other := &Job{Dir: from}
	if made, _ := other.marks(run.ParentsDir); made != j.Making && !strings.HasPrefix(made, j.Making+"-") {
		return false, nil
	}
	if err := os.MkdirAll(j.Dir, 0o777); err != nil {
		return false, fmt.Errorf("cki: %w", err)
	}
	half := strings.TrimRight(j.Dir, `/\`) + ".adopting" // beside the run, which must hold nothing but its own files
	if err := os.RemoveAll(half); err != nil {
		return false, fmt.Errorf("cki: %w", err)
	}
	err := copyTree(half, filepath.Join(from, run.ParentsDir))
	if err == nil {
		err = os.Rename(half, to)
	}
	if err != nil {
		return false, errors.Join(fmt.Errorf("cki: parents of %s: %w", from, err), os.RemoveAll(half))
	}
	return true, nil
}

// copyTree copies the files of a directory and of those in it. It fails if there is anything but files and directories.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		if e.IsDir() {
			return os.MkdirAll(at, 0o777)
		}
		if !e.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file", path)
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return atomicfile.Write(at, func(w io.Writer) error { _, err := io.Copy(w, f); return err })
	})
}
