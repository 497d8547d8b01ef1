package run

import (
	"errors"
	"os"
	"path/filepath"
)

// Held reports whether a command writes into a run's directory. It neither waits for the command nor disturbs it.
func Held(dir string) bool {
	f, err := os.Open(filepath.Join(lockedBy(dir), LockFile))
	if err != nil {
		return false // whoever holds a lock has made its file
	}
	defer f.Close() // with it goes the lock
	return errors.Is(lockFile(f), errHeld)
}
