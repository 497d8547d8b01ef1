// Package parquet reads rows of Parquet files (github.com/apache/parquet-format) in blocks, in bounded memory: of each column that is
// named it holds a page and a dictionary. It is written for files that nobody vouches for. Every size that a file announces is compared
// with the bytes that there are before anything is allocated. The structures of the metadata are those of parquet-go.
//
// A cell becomes the text that a CSV file would have in its place, so that a table means the same in either form.
package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/data/memory"
)

const (
	magic     = "PAR1" // at the start and the end of a file
	encrypted = "PARE" // the same of a file whose footer is encrypted

	// largestFooter is well above what files have: 64 MiB describe half a million chunks of columns.
	largestFooter = 64 << 20
	// entryBytes is about what an entry of the footer's lists takes when it is decoded.
	entryBytes = 1 << 10
)

// File is an open Parquet file.
type File struct {
	Path    string
	Columns []Column
	Groups  []Group
	file    *os.File
	size    int64
	meta    format.FileMetaData

	held  atomic.Int64 // bytes of the pages and dictionaries of all cursors
	limit int64        // of held
}

// Group is a row group.
type Group struct {
	First int64 // number of its first row in the file, from 0
	Rows  int64
}

// Open opens a file and reads what it says of its columns and row groups.
func Open(path string) (*File, error) {
	f, size, err := bound.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	p := &File{Path: path, file: f, size: size, limit: shareOfMemory()}
	if err := crash.Guard(p.open); err != nil {
		return nil, errors.Join(p.wrong(err), f.Close())
	}
	return p, nil
}

// wrong names the file of an error.
func (p *File) wrong(err error) error {
	if e, ok := errors.AsType[*crash.Error](err); ok {
		return fmt.Errorf("data: %s: is no Parquet file that can be read (%w); write it again", p.Path, e)
	}
	return fmt.Errorf("data: %s: %w", p.Path, err)
}

func (p *File) open() error {
	footer, err := p.footer()
	if err != nil {
		return err
	}
	w := walker{b: footer}
	if err := w.structure(0, nil); err != nil {
		return fmt.Errorf("%w; copy or write the file again", err)
	}
	if err := memory.Check(entryBytes*float64(w.entries), "row groups and columns in the file"); err != nil {
		return fmt.Errorf("its metadata, of %d entries, %w", w.entries, err)
	}
	if err := thrift.Unmarshal(&thrift.CompactProtocol{}, footer[:w.at], &p.meta); err != nil {
		return fmt.Errorf("its metadata cannot be read (%w); copy or write the file again", err)
	}
	if p.meta.EncryptionAlgorithm.Value != nil {
		return errors.New("is an encrypted Parquet file; decrypt it")
	}
	if p.Columns, err = columnsOf(p.meta.Schema); err != nil {
		return err
	}
	return p.groups()
}

// footer returns the encoded metadata.
func (p *File) footer() ([]byte, error) {
	const ends = len(magic) + 4 + len(magic)
	var head, tail [8]byte
	n, err := p.file.ReadAt(head[:4], 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch string(head[:n]) {
	case magic:
	case encrypted:
		return nil, errors.New("is an encrypted Parquet file; decrypt it")
	default:
		return nil, errors.New("is no Parquet file, since it does not begin with PAR1; data.type: csv reads delimited text")
	}
	if p.size < int64(ends) {
		return nil, errTruncated
	}
	if _, err := p.file.ReadAt(tail[:], p.size-8); err != nil {
		return nil, err
	}
	if string(tail[4:]) != magic {
		return nil, errTruncated
	}
	size := int64(binary.LittleEndian.Uint32(tail[:]))
	if size > p.size-int64(ends) {
		return nil, fmt.Errorf("its metadata has %d bytes, more than the file; copy or write it again", size)
	}
	if size > largestFooter {
		return nil, fmt.Errorf("its metadata has %d bytes; at most %d are read: write it with fewer row groups or columns", size, largestFooter)
	}
	b := make([]byte, size)
	_, err = p.file.ReadAt(b, p.size-8-size)
	return b, err
}

var errTruncated = errors.New("the Parquet file is truncated, since it does not end in PAR1; copy or write it again")

// groups checks the row groups.
func (p *File) groups() error {
	leaves := 0
	for i := range p.Columns {
		leaves = max(leaves, p.Columns[i].leaf+1)
	}
	first := int64(0)
	for g := range p.meta.RowGroups {
		m := &p.meta.RowGroups[g]
		if m.NumRows < 0 || m.NumRows > mostRows-first {
			return fmt.Errorf("row group %d says that it has %d rows; write the file again", g, m.NumRows)
		}
		if len(m.Columns) != leaves {
			return fmt.Errorf("row group %d has %d columns, but there are %d; write the file again", g, len(m.Columns), leaves)
		}
		p.Groups = append(p.Groups, Group{First: first, Rows: m.NumRows})
		first += m.NumRows
	}
	if first != p.meta.NumRows {
		return fmt.Errorf("its row groups have %d rows, but it says %d; write the file again", first, p.meta.NumRows)
	}
	return nil
}

// mostRows is more rows than a file has.
const mostRows = 1 << 48

// Rows returns the number of rows.
func (p *File) Rows() int64 { return p.meta.NumRows }

// Names returns the columns' names.
func (p *File) Names() []string {
	names := make([]string, len(p.Columns))
	for i := range p.Columns {
		names[i] = p.Columns[i].Name
	}
	return names
}

// RowBytes returns about how many bytes a row of a group has in some columns.
func (p *File) RowBytes(group int, columns []*Cursor) int64 {
	sum := int64(0)
	for _, c := range columns {
		sum += max(0, min(p.meta.RowGroups[group].Columns[c.column.leaf].MetaData.TotalUncompressedSize, mostRows))
	}
	return sum / max(1, p.Groups[group].Rows)
}

// File returns the open file.
func (p *File) File() *os.File { return p.file }

// Close closes the file.
func (p *File) Close() error { return p.file.Close() }

// shareOfMemory returns how much memory the pages of a file may take: half of what there is.
func shareOfMemory() int64 {
	const unknown = 8 << 30
	l, err := memory.Available()
	if err != nil || l.Bytes <= 0 {
		return unknown
	}
	return int64(l.Bytes / 2)
}

// hold takes bytes of memory for pages.
func (p *File) hold(bytes int64) error {
	if held := p.held.Add(bytes); held > p.limit {
		return fmt.Errorf("the pages of its columns take %s, more than half of the memory; write the file with smaller pages, or name fewer columns",
			memory.Format(float64(held)))
	}
	return nil
}
