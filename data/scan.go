package data

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
)

// format is a way to write rows as text: criteo, csv or libfm.
type format interface {
	// features declares the features of a file whose first record is head.
	features(path string, head []byte) ([]declared, error)
	// parser returns the parser of a file whose first record is head; header tells whether that is no row.
	parser(path string, head []byte, p *plan) (pr parser, header bool, err error)
	// record returns the length of the first record of text with its line end; 0 if it is not whole. At the end of
	// the file it always is.
	record(text []byte, atEOF bool) int
	// cut returns the length of the whole records at the start of text.
	cut(text []byte, atEOF bool) int
}

// lines are records that end with the line.
type lines struct{}

func (lines) record(text []byte, atEOF bool) int {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	} else if atEOF {
		return len(text)
	}
	return 0
}

func (lines) cut(text []byte, atEOF bool) int {
	if atEOF {
		return len(text)
	}
	return bytes.LastIndexByte(text, '\n') + 1
}

// declared is a feature as the options have it, before it is fitted.
type declared struct {
	name   string
	column Column
}

const blockSize = 1 << 20

// fileSum is a file as it was when it was scanned.
type fileSum struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
	Time int64  `json:"mtime"` // nanoseconds of Unix time
	Hash uint64 `json:"hash"`  // xxhash of its bytes
}

// scanner reads files one after the other and cuts them into blocks of whole records.
type scanner struct {
	format  format
	plan    *plan
	maxLine int
	more    int         // bytes of a block beyond maxLine; blockSize if 0
	free    chan []byte // buffers to use again
	seq     int64
	sums    []fileSum
}

// run sends the blocks of files, in order. The blocks do not depend on how fast anyone is.
func (s *scanner) run(ctx context.Context, files []string, emit func(*block) error) error {
	for _, path := range files {
		if err := s.file(ctx, path, emit); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) file(ctx context.Context, path string, emit func(*block) error) error {
	in, err := openInput(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.file.Stat()
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if err := s.blocks(ctx, path, in, emit); err != nil {
		return err
	}
	sum, err := in.sum()
	if err != nil {
		return readError(path, err)
	}
	s.sums = append(s.sums, fileSum{Path: path, Size: info.Size(), Time: info.ModTime().UnixNano(), Hash: sum})
	return nil
}

func (s *scanner) blocks(ctx context.Context, path string, in io.Reader, emit func(*block) error) error {
	var (
		src   = &fileRun{path: path}
		carry []byte // text that has been read but not sent
		line  = int64(1)
		start = true
		long  bool // the text is the rest of a record that is too long
	)
	send := func(buf, data []byte, tooLong, last bool) error {
		b := &block{seq: s.seq, src: src, line: line, buf: buf, data: data, tooLong: tooLong, last: last}
		s.seq++
		line += int64(bytes.Count(data, newline))
		return emit(b)
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		buf := s.buffer()
		n := copy(buf, carry)
		k, err := fill(in, buf[n:])
		eof := err == io.EOF
		if err != nil && !eof {
			return readError(path, err)
		}
		text := buf[:n+k]
		if long { // drop the rest of its line
			i := bytes.IndexByte(text, '\n')
			if i < 0 && !eof {
				carry = carry[:0]
				s.recycle(buf)
				continue
			}
			if i < 0 {
				i = len(text) - 1
			}
			text, long = text[i+1:], false
			line++
		}
		if start {
			text, err = s.begin(src, text, eof, &line)
			if errors.Is(err, errMore) {
				carry = append(carry[:0], text...)
				s.recycle(buf)
				continue
			}
			if err != nil {
				return err
			}
			start = false
		}
		whole := s.format.cut(text, eof)
		carry = append(carry[:0], text[whole:]...)
		if whole > 0 || eof {
			if err := send(buf, text[:whole], false, eof); err != nil {
				return err
			}
		} else {
			s.recycle(buf)
		}
		if eof {
			return nil
		}
		if len(carry) > s.maxLine { // of one record, so far
			if err := send(nil, nil, true, false); err != nil {
				return err
			}
			if i := bytes.IndexByte(carry, '\n'); i >= 0 {
				carry = append(carry[:0], carry[i+1:]...)
				line++
			} else {
				carry, long = carry[:0], true
			}
		}
	}
}

// errMore says that a text begins with so many blank lines that the first row is not whole yet.
var errMore = errors.New("more text is needed")

// begin looks at the start of a file: it makes the parser and returns text from the first row on, or errMore and the text
// that is not blank so far.
func (s *scanner) begin(src *fileRun, text []byte, eof bool, line *int64) ([]byte, error) {
	if isUTF16(text) {
		return nil, fmt.Errorf("data: %s: is UTF-16; convert it to UTF-8", src.path)
	}
	text = bytes.TrimPrefix(text, utf8BOM)
	n := s.format.record(text, eof)
	for n > 0 && isBlank(text[:n]) {
		text = text[n:]
		*line++
		n = s.format.record(text, eof)
	}
	if n == 0 && eof {
		return nil, fmt.Errorf("data: %s: is empty; want rows", src.path)
	}
	if n == 0 && len(text) <= s.maxLine {
		return text, errMore
	}
	if n == 0 || n > s.maxLine {
		return nil, fmt.Errorf("data: %s:%d: the first line is longer than %d bytes (max_line); is this a text file?", src.path, *line, s.maxLine)
	}
	head := trimLine(text[:n])
	fault := textFault
	if _, ok := s.format.(*textFormat); ok {
		fault = nulFault
	}
	if at, f := fault(head); f != "" {
		return nil, fmt.Errorf("data: %s:%d: byte %d of the line %s", src.path, *line, at+1, f)
	}
	if s.plan == nil {
		return text, nil
	}
	pr, header, err := s.format.parser(src.path, head, s.plan)
	if err != nil {
		return nil, err
	}
	src.parser = pr
	if header {
		*line += int64(bytes.Count(text[:n], newline))
		text = text[n:]
	}
	return text, nil
}

// head returns the first record of a file.
func (s *scanner) head(path string) ([]byte, error) {
	in, err := openInput(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	buf := s.buffer()
	var text []byte
	for line := int64(1); ; {
		n := copy(buf, text)
		k, err := fill(in, buf[n:])
		if err != nil && err != io.EOF {
			return nil, readError(path, err)
		}
		text, err = s.begin(&fileRun{path: path}, buf[:n+k], err == io.EOF, &line)
		if errors.Is(err, errMore) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return bytes.Clone(trimLine(text[:s.format.record(text, true)])), nil
	}
}

// fill reads until buf is full or the text ends, which is io.EOF. Any other error is the reader's, a truncated
// compressed file's included.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

// buffer returns a buffer for a block, which holds the longest record and more.
func (s *scanner) buffer() []byte {
	select {
	case b := <-s.free:
		return b
	default:
		return make([]byte, s.maxLine+cmp.Or(s.more, blockSize))
	}
}

func (s *scanner) recycle(buf []byte) {
	select {
	case s.free <- buf:
	default:
	}
}

var newline = []byte("\n")

// isBlank reports whether a line has nothing on it.
func isBlank(line []byte) bool { return len(trimLine(line)) == 0 }

// trimLine returns a record without its line end.
func trimLine(rec []byte) []byte {
	if n := len(rec); n > 0 && rec[n-1] == '\n' {
		rec = rec[:n-1]
	}
	if n := len(rec); n > 0 && rec[n-1] == '\r' {
		rec = rec[:n-1]
	}
	return rec
}
