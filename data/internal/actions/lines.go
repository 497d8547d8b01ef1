package actions

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/scan"
)

// lines reads the lines of a file, compressed or not. Blank lines are none, and have a number.
type lines struct {
	path   string
	max    int   // bytes of the longest line
	skip   bool  // a longer line is read to its end; otherwise nothing is read behind it
	latin1 bool  // the bytes are characters, as in ISO 8859-1
	at     int64 // number of the line that was read last, from 1
	sum    scan.FileSum

	r    *bufio.Reader
	long []byte // a line that is longer than the buffer of r
	wide []byte // a line whose bytes were characters
}

// each calls do with each line, without its end. With bad, the line is longer than max and is not there; an error of do ends the reading.
func (f *lines) each(ctx context.Context, do func(text []byte, bad *data.RowError) error) error {
	in, err := scan.OpenInput(ctx, f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	f.r = bufio.NewReaderSize(in, 1<<16)
	for f.at = 1; ; f.at++ {
		if f.at&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		text, n, err := f.next(ctx)
		if err != nil && !errors.Is(err, io.EOF) {
			return scan.ReadError(f.path, err)
		}
		if n == 0 {
			break
		}
		if f.at == 1 {
			text = bytes.TrimPrefix(text, scan.UTF8BOM)
			if err := scan.CheckLineEnds(f.path, text); err != nil {
				return err
			}
		}
		var bad *data.RowError
		if len(text) > f.max {
			bad = f.bad("", "the row is longer than %d bytes (max_line); is a line end missing?", f.max)
		}
		if bad == nil && len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		if f.latin1 && bad == nil {
			text = f.decode(text)
		}
		if bad == nil {
			if i, fault := scan.TextFault(text); i >= 0 {
				bad = f.bad("", "%s", fault)
			}
		}
		if err := do(text, bad); err != nil {
			return err
		}
	}
	f.sum = scan.FileSum{Path: scan.Absolute([]string{f.path})[0]}
	if f.sum.Size, f.sum.Hash, err = in.Sum(); err != nil {
		return scan.ReadError(f.path, err)
	}
	return nil
}

// decode returns text in UTF-8 whose bytes are characters.
func (f *lines) decode(text []byte) []byte {
	f.wide = f.wide[:0]
	for _, c := range text {
		f.wide = utf8.AppendRune(f.wide, rune(c))
	}
	return f.wide
}

// next returns the next line without its end, and how many bytes were read, 0 at the end of the file. Of a line that is longer than max no
// more than is needed to tell is kept.
func (f *lines) next(ctx context.Context) (text []byte, n int, err error) {
	f.long = f.long[:0]
	for {
		part, err := f.r.ReadSlice('\n')
		n += len(part)
		more := errors.Is(err, bufio.ErrBufferFull)
		if more || n > len(part) {
			if len(f.long) <= f.max {
				f.long = append(f.long, part...)
			}
			part = f.long
		}
		if more && ctx.Err() != nil {
			return nil, n, ctx.Err()
		}
		if !more || !f.skip && len(f.long) > f.max {
			if more {
				err = nil
			}
			return bytes.TrimSuffix(bytes.TrimSuffix(part, []byte("\n")), []byte("\r")), n, err
		}
	}
}

// bad returns what is wrong with the line that was read last.
func (f *lines) bad(column, format string, args ...any) *data.RowError {
	return &data.RowError{File: f.path, Line: f.at, Column: column, Msg: fmt.Sprintf(format, args...)}
}
