// Package parquet writes tables as Parquet files. It is apart from package output, since commands that write none need not have it.
package parquet

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"github.com/splice-ml/splice/data/output"
)

// A row group of a table has so many rows, or so many bytes of text: it is held in memory until it is written.
const (
	groupRows  = 1 << 16
	groupBytes = 16 << 20
)

// table is a Parquet file, compressed by zstd. Its columns may have nulls.
type table struct {
	w       *parquet.GenericWriter[any]
	columns []output.Column
	row     []parquet.Row
	rows    int // of the row group
	bytes   int
}

// New writes a table as a Parquet file to w.
func New(w io.Writer, columns []output.Column) output.Table {
	t := &table{columns: columns, row: []parquet.Row{make(parquet.Row, len(columns))}}
	g := parquet.Group{}
	var names []string
	for _, c := range columns {
		node := parquet.String()
		switch c.Kind {
		case output.Integer:
			node = parquet.Int(64)
		case output.Number:
			node = parquet.Leaf(parquet.DoubleType)
		case output.Single:
			node = parquet.Leaf(parquet.FloatType)
		case output.Boolean:
			node = parquet.Leaf(parquet.BooleanType)
		}
		g[c.Name], names = parquet.Optional(node), append(names, c.Name)
	}
	t.w = parquet.NewGenericWriter[any](w, parquet.NewSchema("rows", inOrder{g, names}), parquet.Compression(&parquet.Zstd))
	return t
}

// inOrder is a group whose fields are in an order of their own, not in that of their names.
type inOrder struct {
	parquet.Group
	names []string
}

// Fields returns the fields.
func (g inOrder) Fields() []parquet.Field {
	list := g.Group.Fields()
	slices.SortFunc(list, func(a, b parquet.Field) int { return slices.Index(g.names, a.Name()) - slices.Index(g.names, b.Name()) })
	return list
}

// Write adds a row.
func (t *table) Write(cells [][]byte) error {
	for i, cell := range cells {
		v, err := valueOf(t.columns[i], cell)
		if err != nil {
			return err
		}
		defined := 1
		if v.IsNull() {
			defined = 0
		}
		t.row[0][i] = v.Level(0, defined, i)
		t.bytes += len(cell)
	}
	if _, err := t.w.WriteRows(t.row); err != nil {
		return err
	}
	if t.rows++; t.rows < groupRows && t.bytes < groupBytes {
		return nil
	}
	t.rows, t.bytes = 0, 0
	return t.w.Flush()
}

// value returns the value that a text means.
func valueOf(c output.Column, cell []byte) (v parquet.Value, err error) {
	if len(cell) == 0 {
		return parquet.NullValue(), nil
	}
	switch text := string(cell); c.Kind {
	case output.Integer:
		var n int64
		n, err = strconv.ParseInt(text, 10, 64)
		v = parquet.Int64Value(n)
	case output.Number:
		var n float64
		n, err = strconv.ParseFloat(text, 64)
		v = parquet.DoubleValue(n)
	case output.Single:
		var n float64
		n, err = strconv.ParseFloat(text, 32)
		v = parquet.FloatValue(float32(n))
	case output.Boolean:
		v = parquet.BooleanValue(text == "1")
	default:
		v = parquet.ByteArrayValue(cell)
	}
	if err != nil {
		err = fmt.Errorf("column %s: %w", c.Name, err)
	}
	return v, err
}

// Close writes the last row group and the metadata.
func (t *table) Close() error { return t.w.Close() }
