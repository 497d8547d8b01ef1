// Package bound keeps what comes from outside in bounds: a file is read whole only up to a size, and a list in a message is shown up to
// a length. No other package reads a whole file, so that none can fill the memory.
package bound

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"
)

// Sizes of files that are read whole, in bytes: well above what the files of these kinds have.
const (
	Line   = 4 << 10  // one word or number, such as a digest
	Config = 1 << 20  // a YAML file, a page of text
	JSON   = 64 << 20 // a JSON file of a run or of a published model
	// Vocabulary is that of a tokenizer's file.
	Vocabulary = 256 << 20
)

// shown is how many entries of a list a message has, and shownBytes how much of one name.
const (
	shown      = 20
	shownBytes = 80
)

// ReadFile returns the bytes of a regular file of at most limit bytes. Anything else that the path names is an error: a directory, a
// device, which may have no end, and a pipe, whose reader may wait forever.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, size, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > limit {
		return nil, tooLarge(path, fmt.Sprintf("has %s bytes", grouped(size)), limit)
	}
	return Read(f, path, limit)
}

// Open opens a regular file for reading and returns its size.
func Open(path string) (f *os.File, size int64, err error) {
	if info, err := os.Stat(path); err == nil { // first: opening a pipe waits for its writer
		if err := regular(path, info); err != nil {
			return nil, 0, err
		}
	}
	if f, err = os.Open(path); err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil {
		err = regular(path, info)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// Exists reports whether a path names something. Where the system cannot tell, as of a file system that is broken or that this user
// must not look into, it reports true: whoever then opens the path gets the error that says so.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func regular(path string, info os.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return fmt.Errorf("%s: is a directory, want a file", path)
	case mode&os.ModeNamedPipe != 0:
		return fmt.Errorf("%s: is a pipe, want a regular file", path)
	}
	return fmt.Errorf("%s: is a device or socket, want a regular file", path)
}

// Read reads a text to its end. One of more than limit bytes is an error that names the path.
func Read(r io.Reader, path string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, tooLarge(path, "is too long", limit)
	}
	return b, nil
}

func tooLarge(path, what string, limit int64) error {
	return fmt.Errorf("%s: %s; at most %s bytes of such a file are read: is it the right file?", path, what, grouped(limit))
}

// grouped writes a number with its digits in groups of three.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Values returns an error if a JSON text may have more than limit values, members of objects and entries of lists together. Decoding takes
// many times the bytes of short ones.
func Values(text []byte, limit int) error {
	n, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == '[' || c == '{'):
			if n++; n > limit {
				return fmt.Errorf("more than %s values: is it the right file?", grouped(int64(limit)))
			}
		}
	}
	return nil
}

// Join is [errors.Join] of the first errors. How many more there are is said at the end.
func Join(errs ...error) error {
	var list []error
	for _, err := range errs {
		if err != nil {
			list = append(list, err)
		}
	}
	if n := len(list) - shown; n > 0 {
		list = append(list[:shown:shown], fmt.Errorf("and %d more", n))
	}
	return errors.Join(list...)
}

// Names lists names in a message: the first ones, each up to a length, and how many more there are.
func Names(names []string) string {
	var b bytes.Buffer
	for i, name := range names {
		switch {
		case i == shown:
			fmt.Fprintf(&b, " and %d more", len(names)-shown)
			return b.String()
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(Name(name))
	}
	return b.String()
}

// Name cuts a name that is too long for a message.
func Name(s string) string {
	if len(s) <= shownBytes {
		return s
	}
	cut := shownBytes
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.Clone(s[:cut]) + "..."
}
