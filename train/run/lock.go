package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/filelock"
)

// Holder is the process that writes into a directory, as the lock's file describes it.
type Holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// String returns what a user needs to find the process.
func (h Holder) String() string {
	if h.PID == 0 {
		return "another command"
	}
	return fmt.Sprintf("%q, process %d on %s, since %s", h.Command, h.PID, h.Host, h.Since.Local().Format(time.DateTime))
}

// HeldError says that another command writes into a directory.
type HeldError struct {
	Dir    string
	Holder Holder
}

// Error names that command and says what to do.
func (e *HeldError) Error() string { return e.Advice().Error() }

// Advice returns the error with what can be done.
func (e *HeldError) Advice() *AdviceError {
	return &AdviceError{fmt.Errorf("%s is being written by %v", e.Dir, e.Holder), []Remedy{Do("wait for it or stop it"), Elsewhere}}
}

// ErrUnsupported says that the file system of a directory has no locks.
var ErrUnsupported = filelock.ErrUnsupported

// Lock is the right of one command to write into a directory.
type Lock struct {
	file *os.File
	path string
	made []string // directories that were made for it, the deepest last
}

// Acquire takes the lock of a run's directory, and makes the directory if it is missing. command is what others are told about the
// holder. The lock is one of the operating system on the file LockFile, so a process that ends, in whatever way, no longer holds it.
// If another command holds the lock, the error is a *HeldError. If the file system has no locks, the error is ErrUnsupported and
// nothing was done.
//
// For the directory of a training within a merge, Acquire takes the lock of the merge.
func Acquire(dir, command string) (*Lock, error) {
	dir = lockedBy(dir)
	l := &Lock{path: filepath.Join(dir, LockFile)}
	for {
		made, err := makeAll(dir)
		l.made = append(l.made, made...)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("train: run directory %s: %w", dir, err), l.tidy())
		}
		f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o666)
		if errors.Is(err, fs.ErrNotExist) {
			continue // an earlier holder has just removed the directory that was made for it
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("train: run directory: lock: %w", err), l.tidy())
		}
		switch err := filelock.Exclusive(f); {
		case errors.Is(err, filelock.ErrHeld):
			h := l.holder(f)
			return nil, errors.Join(&HeldError{dir, h}, f.Close())
		case errors.Is(err, ErrUnsupported):
			l.file = f
			return nil, errors.Join(fmt.Errorf("%s: %w", dir, ErrUnsupported), l.Release())
		case err != nil:
			return nil, errors.Join(fmt.Errorf("train: run directory: lock: %w", err), f.Close())
		}
		if !current(f, l.path) { // its holder removed it after it was opened here: whoever comes next would lock another one
			if err := f.Close(); err != nil {
				return nil, fmt.Errorf("train: run directory: lock: %w", err)
			}
			continue
		}
		l.file = f
		if err := l.sign(command); err != nil {
			return nil, errors.Join(fmt.Errorf("train: run directory: lock: %w", err), l.Release())
		}
		return l, nil
	}
}

// Release gives the lock back. It removes the lock's file, and the directories that were made for it if they are empty. Releasing a
// nil lock does nothing.
func (l *Lock) Release() error {
	if l == nil || l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	if !current(f, l.path) { // the directory was removed or replaced: the lock of that name is another command's
		return errors.Join(f.Close(), l.tidy())
	}
	return errors.Join(filelock.Remove(f, l.path), l.tidy())
}

// tidy removes the directories that were made if they are empty.
func (l *Lock) tidy() error {
	for i := len(l.made) - 1; i >= 0; i-- {
		_ = os.Remove(l.made[i]) // one that is not empty stays
	}
	l.made = nil
	return nil
}

// sign writes who holds the lock into its file.
func (l *Lock) sign(command string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	b, err := json.Marshal(Holder{PID: os.Getpid(), Host: host, Command: command, Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil { // of a holder that died
		return err
	}
	_, err = l.file.WriteAt(append(b, '\n'), 0)
	return err
}

// holder reads who has the lock. Between taking it and saying so is a moment.
func (l *Lock) holder(f *os.File) (h Holder) {
	for range 50 {
		b := make([]byte, 4096)
		n, _ := f.ReadAt(b, 0)
		if json.Unmarshal(b[:n], &h) == nil {
			return h
		}
		time.Sleep(10 * time.Millisecond)
	}
	return Holder{}
}

// current reports whether path still is the open file.
func current(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(open, named)
}

// makeAll makes a directory and those that it lies in, and returns the ones that were missing.
func makeAll(dir string) (made []string, err error) {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		made = append([]string{d}, made...)
	}
	return made, os.MkdirAll(dir, 0o777)
}

// lockedBy returns the directory whose lock covers dir: that of the outermost merge which dir is a training of, or else dir.
func lockedBy(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	for d := abs; d != filepath.Dir(d); d = filepath.Dir(d) {
		if b := filepath.Base(d); (b == ParentsDir || b == RowsDir) && bound.Exists(filepath.Join(d, DigestFile)) {
			dir = filepath.Dir(d)
		}
	}
	return dir
}

// Command returns a command line as a user would type it.
func Command(args []string) string { return strings.Join(args, " ") }
