package ckpt

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// WriteFile writes a file atomically: write gets the writer of a temporary file in path's directory, which is then synced
// to disk and renamed to path. On any error, from write too, path is as it was and the temporary file is removed; a
// process that is killed leaves at most a file `.NAME.*.tmp`. Everything that a run writes goes through it.
func WriteFile(path string, write func(w io.Writer) error) error {
	return replace(osFiles{}, path, func(f file) error {
		b := bufio.NewWriterSize(f, 1<<16)
		if err := write(b); err != nil {
			return err
		}
		return b.Flush()
	})
}

// file is what a write needs of an *os.File.
type file interface {
	io.Writer
	io.WriterAt
	Sync() error
	Close() error
	Name() string
}

// files is the part of a file system that a write uses: a test puts faults in.
type files interface {
	create(name string) (file, error) // fs.ErrExist if there is one
	rename(from, to string) error
	remove(name string) error
	syncDir(dir string) error
}

type osFiles struct{}

func (osFiles) create(name string) (file, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err // not f: a nil *os.File in the interface is not nil
	}
	return f, nil
}

func (osFiles) rename(from, to string) error { return os.Rename(from, to) }
func (osFiles) remove(name string) error     { return os.Remove(name) }

// syncDir makes a rename in dir last over a power cut. Windows has no such call for directories.
func (osFiles) syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// replace is [WriteFile] on a file system, with the whole file for write to use.
func replace(on files, path string, write func(f file) error) error {
	if err := place(on, path, write); err != nil {
		return fmt.Errorf("ckpt: write %s: %w (the file of that name, if there is one, was not changed)", path, err)
	}
	if err := on.syncDir(filepath.Dir(path)); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		// The new file is in place and complete; only its name may be lost by a power cut.
		return fmt.Errorf("ckpt: write %s: written, but its directory cannot be synced: %w", path, err)
	}
	return nil
}

// place writes the temporary file and renames it.
func place(on files, path string, write func(f file) error) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return errors.New("is a directory")
	}
	f, err := temporary(on, path)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // an error, or a panic of write
			_ = f.Close()
			_ = on.remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := on.rename(f.Name(), path); err != nil {
		return err
	}
	done = true
	return nil
}

// temporary makes a new file beside path. Its name has the process id, so that runs at the same time do not meet.
func temporary(on files, path string) (file, error) {
	dir, base := filepath.Split(path)
	for n := 0; ; n++ {
		f, err := on.create(filepath.Join(dir, fmt.Sprintf(".%s.%d-%d.tmp", base, os.Getpid(), n)))
		if err == nil || !errors.Is(err, fs.ErrExist) || n == 1000 {
			return f, err
		}
	}
}
