package atomicfile

import (
	"errors"
	"os"
	"runtime"
)

// System is the part of a file system that a write uses. A test puts faults in.
type System interface {
	Create(name string) (Handle, error) // an error that is fs.ErrExist if there is one of that name
	Rename(from, to string) error
	Remove(name string) error
	SyncDir(dir string) error // makes a rename in dir last over a power cut
}

// Handle is an open file of a System.
type Handle interface {
	Contents
	Sync() error
	Close() error
	Name() string
}

// OS is the operating system's file system.
type OS struct{}

// Create makes a file and opens it for reading and writing.
func (OS) Create(name string) (Handle, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err // not f: a nil *os.File in the interface is not nil
	}
	return f, nil
}

// Rename gives a file another name.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove removes a file.
func (OS) Remove(name string) error { return os.Remove(name) }

// SyncDir syncs a directory to disk. Windows has no such call for directories.
func (OS) SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
