package npy

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxArrays bounds the arrays of an archive that are read at once, each with a buffer of its own.
const maxArrays = 4096

// maxCell bounds the text of a row of one array.
const maxCell = 1 << 26

// Archive is an open .npz file.
type Archive struct{ files []*zip.File }

// OpenArchive reads the directory of an archive.
func OpenArchive(r io.ReaderAt, size int64) (*Archive, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("is no archive of arrays (.npz): %w", err)
	}
	a := &Archive{}
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, ".npy") {
			a.files = append(a.files, f)
		}
	}
	if len(a.files) == 0 || len(a.files) > maxArrays {
		return nil, fmt.Errorf("has %d arrays (.npy), want 1 to %d", len(a.files), maxArrays)
	}
	return a, nil
}

// Names returns the names of the arrays, in their order.
func (a *Archive) Names() (list []string) {
	for _, f := range a.files {
		list = append(list, strings.TrimSuffix(f.Name, ".npy"))
	}
	return list
}

// Open opens an array by its name.
func (a *Archive) Open(name string) (*Array, io.Closer, error) {
	for _, f := range a.files {
		if f.Name != name+".npy" {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, nil, fmt.Errorf("array %s: %w", name, err)
		}
		x, err := New(r)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("array %s %w", name, err), r.Close())
		}
		return x, r, nil
	}
	return nil, nil, fmt.Errorf("has no array %s", name)
}

// Separator stands between the values of a row of a matrix, where rows are text.
const Separator = "|"

// Rows are the arrays of an archive as rows of text, in the form of CSV: a header of the arrays' names, and a row for each entry of their first
// axis. A cell of a matrix has the values of its row, between separators. Of a matrix of integers, 0 is padding, and left out. Quotes are doubled.
type Rows struct {
	arrays  []*Array
	names   []string
	closers []io.Closer
	rows    int
	row     int // the next one
	text    bytes.Buffer
	cell    []byte
	err     error
}

// Rows returns the rows of the archive. They must be closed.
func (a *Archive) Rows() (*Rows, error) {
	r := &Rows{names: a.Names()}
	for i, name := range r.names {
		x, c, err := a.Open(name)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.arrays, r.closers = append(r.arrays, x), append(r.closers, c)
		switch {
		case len(x.Shape) < 1 || len(x.Shape) > 2:
			return nil, errors.Join(fmt.Errorf("array %s has the shape %v; want one value a row, or a list of them", name, x.Shape), r.Close())
		case i == 0:
			r.rows = x.Shape[0]
		case x.Shape[0] != r.rows:
			return nil, errors.Join(fmt.Errorf("array %s has %d rows, %s has %d", name, x.Shape[0], r.names[0], r.rows), r.Close())
		}
	}
	for i, name := range r.names {
		if i > 0 {
			r.text.WriteByte(',')
		}
		r.quote([]byte(name))
	}
	r.text.WriteByte('\n')
	return r, nil
}

// Read returns the text of rows.
func (r *Rows) Read(p []byte) (int, error) {
	for r.text.Len() < len(p) && r.err == nil {
		if r.row == r.rows {
			r.err = io.EOF
			break
		}
		if r.err = r.next(); r.err == nil {
			r.row++
		}
	}
	if n, _ := r.text.Read(p); n > 0 {
		return n, nil
	}
	return 0, r.err
}

// next appends a row.
func (r *Rows) next() error {
	for i, x := range r.arrays {
		if i > 0 {
			r.text.WriteByte(',')
		}
		r.cell = r.cell[:0]
		width := 1
		if len(x.Shape) == 2 {
			width = x.Shape[1]
		}
		for range width {
			start := len(r.cell)
			if start > 0 {
				r.cell = append(r.cell, Separator...)
			}
			at, err := len(r.cell), error(nil)
			if r.cell, err = x.Append(r.cell); err != nil {
				return fmt.Errorf("array %s, row %d: %w", r.names[i], r.row, unexpected(err))
			}
			if len(r.cell) > maxCell {
				return fmt.Errorf("array %s, row %d: has more than %d bytes as text", r.names[i], r.row, maxCell)
			}
			if len(x.Shape) == 2 && x.Whole() && string(r.cell[at:]) == "0" {
				r.cell = r.cell[:start]
			}
		}
		r.quote(r.cell)
	}
	r.text.WriteByte('\n')
	return nil
}

// quote writes a cell, in quotes if it has to be.
func (r *Rows) quote(cell []byte) {
	if !bytes.ContainsAny(cell, ",\"\r\n") {
		r.text.Write(cell)
		return
	}
	r.text.WriteByte('"')
	r.text.Write(bytes.ReplaceAll(cell, []byte(`"`), []byte(`""`)))
	r.text.WriteByte('"')
}

// Close closes the arrays.
func (r *Rows) Close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
