// Package atomicfile writes files that are there whole or not at all: the bytes go to a temporary file in the same directory,
// which is synced to disk and then renamed. Everything that the module writes for later goes through it.
//
// A process that is killed leaves at most a file `.NAME.PROCESS-N.tmp`, which [Sweep] removes. Errors begin with "write PATH:", and
// the caller's package name goes in front.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Write writes a file: write gets a buffered writer of the temporary file. On any error, from write too, what was at path stays
// as it was.
func Write(path string, write func(w io.Writer) error) error {
	return Replace(path, func(f *File) error {
		b := bufio.NewWriterSize(f, 1<<16)
		if err := write(b); err != nil {
			return err
		}
		return b.Flush()
	})
}

// WriteBytes writes a file that holds b.
func WriteBytes(path string, b []byte) error {
	return Replace(path, func(f *File) error {
		_, err := f.Write(b)
		return err
	})
}

// Replace is [Write] for a write that needs more of the temporary file than a writer.
func Replace(path string, write func(f *File) error) error { return ReplaceOn(OS{}, path, write) }

// ReplaceOn is [Replace] on another file system than the operating system's, such as one of a test.
func ReplaceOn(on System, path string, write func(f *File) error) error {
	f, err := create(on, path)
	if err != nil {
		return err
	}
	defer f.Abort() // after an error, or a panic of write
	if err := write(f); err != nil {
		return f.unchanged(err)
	}
	return f.Commit()
}

// Rename gives a file that is written and synced another name in its directory, so that the name lasts over a power cut. What
// had that name is replaced.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return unchanged(to, err)
	}
	return syncDir(OS{}, to)
}

// File is a temporary file that takes the place of a path when it is committed. It must be committed or aborted.
type File struct {
	Contents
	handle Handle
	on     System
	path   string
	done   bool
}

// Contents is what the owner of a temporary file may do with its bytes.
type Contents interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	Truncate(size int64) error
	Chmod(mode fs.FileMode) error
}

// Create makes a temporary file beside path, for a file that is written over a longer time. Its permission bits are those that
// the process gives to new files. Path itself is left alone until Commit.
func Create(path string) (*File, error) { return create(OS{}, path) }

func create(on System, path string) (*File, error) {
	f := &File{on: on, path: path}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, f.unchanged(errors.New("is a directory"))
	}
	h, err := temporary(on, path)
	if err != nil {
		return nil, f.unchanged(err)
	}
	f.Contents, f.handle = h, h
	return f, nil
}

// Commit syncs the file to disk, closes it and gives it its name. After an error the temporary file is removed, and the path is
// as it was, unless the error says that the file is written.
func (f *File) Commit() error {
	if f.done {
		return f.unchanged(fs.ErrClosed)
	}
	defer f.Abort()
	if err := f.handle.Sync(); err != nil {
		return f.unchanged(err)
	}
	if err := f.handle.Close(); err != nil {
		return f.unchanged(err)
	}
	if err := f.on.Rename(f.handle.Name(), f.path); err != nil {
		return f.unchanged(err)
	}
	f.done = true // there is no temporary file any more
	return syncDir(f.on, f.path)
}

// Abort closes and removes the file. After Commit, or another Abort, it does nothing.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	_ = f.handle.Close()
	_ = f.on.Remove(f.handle.Name())
}

func (f *File) unchanged(err error) error { return unchanged(f.path, err) }

func unchanged(path string, err error) error {
	return fmt.Errorf("write %s: %w (the file of that name, if there is one, was not changed)", path, err)
}

// syncDir makes the new name of a file last over a power cut.
func syncDir(on System, path string) error {
	err := on.SyncDir(filepath.Dir(path))
	if err == nil || errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	// The new file is in place and complete: only its name may be lost.
	return fmt.Errorf("write %s: written, but its directory cannot be synced: %w", path, err)
}

// temporary makes a new file beside path. Its name has the process id, so that runs at the same time do not meet.
func temporary(on System, path string) (Handle, error) {
	dir, base := filepath.Split(path)
	for n := 0; ; n++ {
		h, err := on.Create(filepath.Join(dir, temporaryName(base, n)))
		if err == nil || !errors.Is(err, fs.ErrExist) || n == 1000 {
			return h, err
		}
	}
}

// Temporary makes a temporary file beside path that is never committed. Its owner closes and removes it; [Sweep] does if the process is
// killed.
func Temporary(path string) (*os.File, error) {
	h, err := temporary(OS{}, path)
	if err != nil {
		return nil, err
	}
	f, ok := h.(*os.File)
	if !ok {
		return nil, fmt.Errorf("write %s: %w", path, errors.ErrUnsupported)
	}
	return f, nil
}
