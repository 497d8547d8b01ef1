// Package output opens the file that a user named for what a command writes. A file appears whole or not at all, as package atomicfile
// writes it, and keeps its permissions. A symbolic link is followed: the file that it names is replaced. A device, a FIFO or an open
// file of the process (/dev/stdout, /dev/fd/3) is written to as the bytes come. What cannot be written, or is also read, is an error
// before anything is.
package output

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"

	"github.com/splice-ml/splice/data/atomicfile"
)

// Output is an open output. It must be committed or aborted.
type Output struct {
	file   *atomicfile.File // of an output that is replaced; nil for one that is written to
	stream *os.File
	keep   bool // stream stays open
	path   string
	done   bool
}

// Options say what an output must not be.
type Options struct {
	Inputs []string                // files and globs that are read
	Refuse func(path string) error // returns an error for a file that must not be replaced; may be nil
}

// Open opens an output. It changes nothing of a file that is there until Commit. A FIFO waits for its reader, or for ctx to end.
func Open(ctx context.Context, path string, o Options) (*Output, error) {
	out, err := open(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	out.path = path
	return out, nil
}

func open(ctx context.Context, path string, o Options) (*Output, error) {
	place, fd, err := resolve(path)
	if err != nil {
		return nil, err
	}
	if fd >= 0 {
		return descriptor(fd, path, o)
	}
	info, err := os.Stat(place)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if dir := filepath.Dir(place); !isDir(dir) {
			return nil, fmt.Errorf("there is no directory %s: make it, or give another file", dir)
		}
	case err != nil:
		return nil, cause(err)
	case info.IsDir():
		return nil, errors.New("is a directory: give a file")
	default:
		if err := refuseInputs(info, o.Inputs); err != nil {
			return nil, err
		}
	}
	if info != nil && !info.Mode().IsRegular() {
		f, err := stream(ctx, place)
		if err != nil {
			return nil, err
		}
		return &Output{stream: f}, nil
	}
	if o.Refuse != nil {
		if err := o.Refuse(place); err != nil {
			return nil, err
		}
	}
	return replace(place, info)
}

// replace opens a temporary file that takes the place of a file, which info describes if there is one.
func replace(place string, info fs.FileInfo) (*Output, error) {
	if info != nil { // a file that is write-protected is meant to stay, also where its directory would let it be replaced
		f, err := os.OpenFile(place, os.O_WRONLY, 0)
		if err != nil {
			return nil, cause(err)
		}
		if err := f.Close(); err != nil {
			return nil, cause(err)
		}
	}
	f, err := atomicfile.Create(place)
	if err != nil {
		return nil, cause(err)
	}
	if info != nil {
		if err := f.Chmod(info.Mode().Perm()); err != nil && !errors.Is(err, fs.ErrPermission) {
			f.Abort()
			return nil, cause(err)
		}
	}
	return &Output{file: f}, nil
}

// descriptor opens an open file of the process.
func descriptor(fd int, path string, o Options) (*Output, error) {
	out := &Output{keep: fd <= 2}
	switch fd {
	case 1:
		out.stream = os.Stdout
	case 2:
		out.stream = os.Stderr
	default:
		out.stream = os.NewFile(uintptr(fd), path)
	}
	if out.stream == nil {
		return nil, syscall.EBADF
	}
	info, err := out.stream.Stat()
	if err == nil {
		_, err = out.stream.Write(nil) // whether it may be written to
	}
	if err == nil {
		err = refuseInputs(info, o.Inputs)
	}
	if err != nil {
		return nil, cause(err)
	}
	return out, nil
}

// stream opens what is no regular file. Nobody may be reading a FIFO yet, so that opening it may take as long as the user likes.
func stream(ctx context.Context, place string) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	c := make(chan opened, 1)
	go func() {
		f, err := os.OpenFile(place, os.O_WRONLY, 0)
		c <- opened{f, err}
	}()
	select {
	case o := <-c:
		return o.f, cause(o.err)
	case <-ctx.Done():
		go func() { // a reader that comes now finds nobody
			if o := <-c; o.err == nil {
				_ = o.f.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// refuseInputs returns an error if an output is also read.
func refuseInputs(info fs.FileInfo, inputs []string) error {
	if !info.Mode().IsRegular() && info.Mode()&fs.ModeNamedPipe == 0 { // a terminal is read and written
		return nil
	}
	for _, in := range inputs {
		files := []string{in}
		if _, err := os.Lstat(in); err != nil {
			files, _ = filepath.Glob(in) // none: whoever reads it reports it
		}
		for _, f := range files {
			if other, err := os.Stat(f); err == nil && os.SameFile(info, other) {
				return fmt.Errorf("is the same file as the input %s: give another file", f)
			}
		}
	}
	return nil
}

// descriptors are the names of open files of the process.
var descriptors = regexp.MustCompile(`^(?:/dev/fd|/proc/(?:self|thread-self)/fd)/(\d{1,4})$`)

// standard are the names of the first open files of a process.
var standard = map[string]int{"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}

// resolve follows symbolic links to the place that they name, which need not exist. If that is an open file of the process, fd is its
// number, else it is -1.
func resolve(path string) (place string, fd int, err error) {
	for range 40 {
		name := path
		if abs, err := filepath.Abs(path); err == nil {
			name = filepath.ToSlash(abs)
		}
		if n, ok := standard[name]; ok {
			return path, n, nil
		}
		if m := descriptors.FindStringSubmatch(name); m != nil {
			n, err := strconv.Atoi(m[1])
			return path, n, err
		}
		link, err := os.Readlink(path)
		if err != nil { // it is no link, or not there
			return path, -1, nil
		}
		if !filepath.IsAbs(link) {
			dir := filepath.Dir(path)
			if real, err := filepath.EvalSymlinks(dir); err == nil { // so that .. leads out of where the link really is
				dir = real
			}
			link = filepath.Join(dir, link)
		}
		path = link
	}
	return "", -1, errors.New("too many symbolic links")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// cause returns an error without the path that the package puts in front itself.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Write writes to the output.
func (o *Output) Write(p []byte) (int, error) {
	if o.file != nil {
		n, err := o.file.Write(p)
		if err != nil {
			err = fmt.Errorf("write %s: %w", o.path, err)
		}
		return n, err
	}
	n, err := o.stream.Write(p)
	if err != nil {
		err = fmt.Errorf("write %s: %w", o.path, cause(err))
	}
	return n, err
}

// Commit ends the output: a file takes its place, a stream is closed.
func (o *Output) Commit() error {
	if o.done {
		return nil
	}
	o.done = true
	if o.file != nil {
		return o.file.Commit()
	}
	if o.keep {
		return nil
	}
	if err := o.stream.Close(); err != nil {
		return fmt.Errorf("write %s: %w", o.path, cause(err))
	}
	return nil
}

// Abort gives the output up: a file that was there stays as it was. After Commit it does nothing.
func (o *Output) Abort() {
	switch {
	case o.done:
	case o.file != nil:
		o.file.Abort()
	case !o.keep:
		_ = o.stream.Close()
	}
	o.done = true
}

// Closed reports whether a write failed since the reader of a pipe has gone, as `head` does when it has enough.
func Closed(err error) bool { return errors.Is(err, syscall.EPIPE) }
