//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package filelock

import (
	"errors"
	"os"
)

// lock takes no lock: the system has none.
func lock(*os.File, bool) error { return ErrUnsupported }

// Remove removes a file and closes it.
func Remove(f *os.File, path string) error { return errors.Join(os.Remove(path), f.Close()) }
