package search

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/train/run"
)

// IsStudy reports whether a directory has the file of a study.
func IsStudy(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, StoreFile))
	return err == nil && info.Mode().IsRegular()
}

// Names of what a command writes into the directory of a study, beside the best config.
const (
	PageFile   = "study.html"
	FigureName = "trials_by_value" // of the figure's files, without their extensions
)

// written are the files of a study, the one that tells it from other directories last.
var written = []string{
	BestFile, PageFile, FigureName + ".json", FigureName + ".csv", FigureName + ".svg", FigureName + ".png", StoreFile + "-journal", StoreFile,
}

// Clear removes a study: the runs of its trials, and its own files. Other files stay. It fails if a process makes one of the trials.
func Clear(dir string) error {
	if !IsStudy(dir) {
		return nil
	}
	trials, err := filepath.Glob(filepath.Join(dir, TrialsDir, "*"))
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	for _, t := range trials { // all, before anything is removed
		lock, err := run.Acquire(t, "")
		if err != nil {
			return run.BadInput(err)
		}
		defer lock.Release() //nolint:errcheck // a lock that stays behind has no holder
	}
	for _, t := range trials {
		runs, err := filepath.Glob(filepath.Join(t, "*"))
		if err != nil {
			return fmt.Errorf("search: %w", err)
		}
		for _, r := range runs {
			if !run.IsRun(r) {
				continue
			}
			if err := run.Clear(r); err != nil {
				return err
			}
			_ = os.Remove(filepath.Join(r, run.LockFile)) // of a process that was killed
			_ = os.Remove(r)                              // what is not empty stays
		}
		_ = os.Remove(filepath.Join(t, run.LockFile))
		_ = os.Remove(t)
	}
	_ = os.Remove(filepath.Join(dir, TrialsDir))
	for _, name := range written {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("search: %w", err)
		}
	}
	return nil
}
