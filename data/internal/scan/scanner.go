// Package scan reads files of rows. It decompresses them and cuts them into blocks of whole records. Parsers turn the blocks into chunks
// of parsed rows, on several goroutines. A sink gets the chunks in the order of the files, whatever the number of threads. The package
// does not know what the rows mean: a Format brings the parser, and a Plan says which columns it must deliver.
package scan

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
)

// blockSize is how much of a file is read at once, beside the longest record.
const blockSize = 1 << 20

// Scanner reads files one after the other and cuts them into blocks of whole records.
type Scanner struct {
	Format  Format
	Plan    *Plan
	MaxLine int
	More    int         // bytes of a block beyond maxLine; blockSize if 0
	Free    chan []byte // buffers to use again
	seq     int64
	sums    []FileSum

	unsummed bool       // files whose columns lie apart have no sums
	open     []*FileRun // such files
	rows     int64      // of them
}

// run sends the blocks of files, in order. The blocks do not depend on how fast anyone is.
func (s *Scanner) run(ctx context.Context, files []string, emit func(*Block) error) error {
	columnar, _ := s.Format.(Columnar)
	for _, path := range files {
		var err error
		if columnar != nil {
			err = s.columns(ctx, columnar, path, emit)
		} else {
			err = s.file(ctx, path, emit)
		}
		if err != nil {
			return err
		}
	}
	if columnar != nil && s.rows == 0 && len(files) > 0 {
		return fmt.Errorf("data: %s: has no rows", files[0])
	}
	return nil
}

func (s *Scanner) file(ctx context.Context, path string, emit func(*Block) error) error {
	in, err := OpenInput(ctx, path)
	if err != nil {
		return err
	}
	defer in.Close()
	before, err := stat(in.file)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if err := s.Blocks(ctx, path, in, emit); err != nil {
		return err
	}
	if before.Size, before.Hash, err = in.Sum(); err != nil {
		return ReadError(path, err)
	}
	before.Path, before.Sample = path, sample(in.file, before.Size)
	s.sums = append(s.sums, before)
	return nil
}

// Blocks sends the blocks of one file.
func (s *Scanner) Blocks(ctx context.Context, path string, in io.Reader, emit func(*Block) error) error {
	var (
		src   = &FileRun{Path: path}
		carry []byte // text that has been read but not sent
		line  = int64(1)
		start = true
		long  bool // the text is the rest of a record that is too long
	)
	send := func(buf, data []byte, tooLong, last bool) error {
		b := &Block{Seq: s.seq, Src: src, Line: line, Buf: buf, Data: data, tooLong: tooLong, last: last}
		s.seq++
		line += int64(bytes.Count(data, Newline))
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
			return ReadError(path, err)
		}
		text := buf[:n+k]
		if long { // drop the rest of its line
			i := bytes.IndexByte(text, '\n')
			if i < 0 && !eof {
				carry = carry[:0]
				s.Recycle(buf)
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
				s.Recycle(buf)
				continue
			}
			if err != nil {
				return err
			}
			start = false
		}
		whole := s.Format.Cut(text, eof)
		carry = append(carry[:0], text[whole:]...)
		if whole > 0 || eof {
			if err := send(buf, text[:whole], false, eof); err != nil {
				return err
			}
		} else {
			s.Recycle(buf)
		}
		if eof {
			return nil
		}
		if len(carry) > s.MaxLine { // of one record, so far
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
func (s *Scanner) begin(src *FileRun, text []byte, eof bool, line *int64) ([]byte, error) {
	if IsUTF16(text) {
		return nil, fmt.Errorf("data: %s: is UTF-16; convert it to UTF-8", src.Path)
	}
	text = bytes.TrimPrefix(text, UTF8BOM)
	if err := CheckLineEnds(src.Path, text); err != nil {
		return nil, err
	}
	whole, first := text, *line
	n := s.Format.Record(text, eof)
	for n > 0 && IsBlank(text[:n]) {
		text = text[n:]
		*line++
		n = s.Format.Record(text, eof)
	}
	if n == 0 && eof {
		return nil, fmt.Errorf("data: %s: is empty; want rows", src.Path)
	}
	if n == 0 && len(text) <= s.MaxLine {
		return text, errMore
	}
	if n == 0 || n > s.MaxLine {
		return nil, fmt.Errorf("data: %s:%d: the first line is longer than %d bytes (max_line); is this a text file?", src.Path, *line, s.MaxLine)
	}
	head := TrimLine(text[:n])
	if at, f := s.Format.Fault(head); f != "" {
		return nil, fmt.Errorf("data: %s:%d: byte %d of the line %s", src.Path, *line, at+1, f)
	}
	if s.Plan == nil {
		return text, nil
	}
	pr, header, err := s.Format.Parser(src.Path, head, s.Plan)
	if err != nil {
		return nil, err
	}
	src.Parser = pr
	if header {
		*line += int64(bytes.Count(text[:n], Newline))
		text = text[n:]
	} else if b, ok := pr.(blankRows); ok && b.BlankRows() {
		text, *line = whole, first
	}
	return text, nil
}

// blankRows is a Parser that may read lines with nothing on them as rows, those before the first other row included.
type blankRows interface{ BlankRows() bool }

// CheckLineEnds returns an error if the text that a file begins with has lines, but none that ends in LF.
func CheckLineEnds(path string, text []byte) error {
	if !endsInCR(text) {
		return nil
	}
	return fmt.Errorf("data: %s: its lines end in CR (carriage return) alone; convert them to LF, for instance by tr '\\r' '\\n'", path)
}

// endsInCR reports whether the first lines of a text end in CR as on very old systems: it has no LF but perhaps a last one, and
// a CR, outside of quotes, that more text follows.
func endsInCR(text []byte) bool {
	text = TrimLine(text)
	if bytes.IndexByte(text, '\n') >= 0 {
		return false
	}
	for quoted := false; len(text) > 1; text = text[1:] {
		switch text[0] {
		case '"':
			quoted = !quoted
		case '\r':
			if !quoted {
				return true
			}
		}
	}
	return false
}

// Head returns the first record of a file; nil of one that has none, since its columns lie apart.
func (s *Scanner) Head(ctx context.Context, path string) ([]byte, error) {
	if _, ok := s.Format.(Columnar); ok {
		return nil, nil
	}
	in, err := OpenInput(ctx, path)
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
			return nil, ReadError(path, err)
		}
		text, err = s.begin(&FileRun{Path: path}, buf[:n+k], err == io.EOF, &line)
		if errors.Is(err, errMore) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return bytes.Clone(TrimLine(text[:s.Format.Record(text, true)])), nil
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
func (s *Scanner) buffer() []byte {
	select {
	case b := <-s.Free:
		return b
	default:
		return make([]byte, s.MaxLine+cmp.Or(s.More, blockSize))
	}
}

// Recycle takes back a buffer that nobody reads any more.
func (s *Scanner) Recycle(buf []byte) {
	select {
	case s.Free <- buf:
	default:
	}
}

// Newline ends a record.
var Newline = []byte("\n")

// IsBlank reports whether a line has nothing on it.
func IsBlank(line []byte) bool { return len(TrimLine(line)) == 0 }

// TrimLine returns a record without its line end.
func TrimLine(rec []byte) []byte {
	if n := len(rec); n > 0 && rec[n-1] == '\n' {
		rec = rec[:n-1]
	}
	if n := len(rec); n > 0 && rec[n-1] == '\r' {
		rec = rec[:n-1]
	}
	return rec
}
