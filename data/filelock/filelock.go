// Package filelock takes the operating system's locks of open files. A lock is gone with the open file: when it is closed, or its process
// ends, in whatever way.
package filelock

import (
	"errors"
	"os"
)

// ErrHeld says that another open file has a lock that does not go with the one that was asked for.
var ErrHeld = errors.New("held")

// ErrUnsupported says that the file system has no locks.
var ErrUnsupported = errors.New("the file system has no locks")

// Exclusive takes the lock that nobody else may have, without waiting.
func Exclusive(f *os.File) error { return lock(f, false) }

// Shared takes a lock that several may have, while nobody has an exclusive one, without waiting.
func Shared(f *os.File) error { return lock(f, true) }
