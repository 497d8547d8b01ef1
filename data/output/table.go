package output

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
)

// Kind is what the cells of a column are.
type Kind int

// Kinds of cells.
const (
	Text Kind = iota
	Integer
	Number // float64
	Single // float32
	Boolean
)

// Column is a column of a table.
type Column struct {
	Name string
	Kind Kind
}

// Table writes rows with named columns. What is written is whole after Close.
type Table interface {
	// Write writes a row. A cell is the text of a value; a blank is empty.
	Write(cells [][]byte) error
	Close() error
}

// CheckColumns returns an error if two columns have one name.
func CheckColumns(columns []Column) error {
	for i, c := range columns {
		if slices.ContainsFunc(columns[:i], func(o Column) bool { return o.Name == c.Name }) {
			return fmt.Errorf("two columns would be called %s; leave one out", c.Name)
		}
	}
	return nil
}

// csvTable is a table as in RFC 4180, with a header.
type csvTable struct{ w *bufio.Writer }

// NewCSV writes a table as delimited text (RFC 4180) to w, with a header.
func NewCSV(w io.Writer, columns []Column) Table {
	t := &csvTable{bufio.NewWriterSize(w, 1<<16)}
	names := make([][]byte, len(columns))
	for i, c := range columns {
		names[i] = []byte(c.Name)
	}
	_ = t.Write(names) // the next one, or Close, has the error
	return t
}

// Write writes a line.
func (t *csvTable) Write(cells [][]byte) error {
	for i, cell := range cells {
		if i > 0 {
			_ = t.w.WriteByte(',')
		}
		if len(cell) > 0 && !bytes.ContainsAny(cell, "\",\r\n") || len(cell) == 0 && len(cells) > 1 {
			_, _ = t.w.Write(cell)
			continue
		}
		_ = t.w.WriteByte('"') // also of a line that would have nothing on it
		_, _ = t.w.Write(bytes.ReplaceAll(cell, []byte(`"`), []byte(`""`)))
		_ = t.w.WriteByte('"')
	}
	return t.w.WriteByte('\n') // an error of a writer stays
}

// Close writes what is buffered.
func (t *csvTable) Close() error { return t.w.Flush() }
