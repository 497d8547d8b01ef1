//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package run

import (
	"errors"
	"os"
)

// lockFile takes no lock: the system has none.
func lockFile(*os.File) error { return ErrUnsupported }

func removeLocked(f *os.File, path string) error { return errors.Join(os.Remove(path), f.Close()) }
