package table

import (
	"fmt"
	"maps"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/scan"
)

// rows is the data.RowEncoder of a table: each row becomes a chunk, as a parser makes them of a file, and the encoder does the rest.
type rows struct {
	table   Data
	encoder *encoder
	chunk   scan.Chunk // of one row
	records []byte
	names   []string        // of the columns that are read, in the order of the features
	known   map[string]bool // these, and other columns that rows had
	cells   []cell          // by feature
}

// cell is how the value of a feature is read.
type cell struct {
	scan.PlanColumn                  // as Format.Cell takes it: a special one as text
	special         *scan.PlanColumn // what reads a special one, else nil
	separator       string           // between the tokens of its column's cells, if a feature has several of them
}

// Encoder returns an encoder of rows in memory.
func (t *Data) Encoder(m *data.FeatureMap) (data.RowEncoder, error) {
	if err := t.CheckMap(m); err != nil {
		return nil, err
	}
	own := *t
	own.Group, own.Time, own.Weight = "", "", ""
	p := own.plan(m.Features)
	r := &rows{table: *t, encoder: newEncoder(m, p, own.Labels), known: map[string]bool{}, cells: make([]cell, len(m.Features))}
	separators := map[string]string{}
	r.chunk = scan.Chunk{Block: &scan.Block{}, Plan: p, Label: []float32{0}, More: make([]float32, max(0, len(p.Labels)-1))}
	for i := range m.Features {
		f := &m.Features[i]
		if name := f.Source(); !r.known[name] {
			r.names = append(r.names, name)
			r.known[name] = true
		}
		if f.Separator != "" {
			separators[f.Source()] = f.Separator
		}
	}
	for i := range r.cells {
		column := &p.Columns[i]
		r.cells[i] = cell{PlanColumn: *column, separator: separators[column.Name]}
		if column.Special() {
			r.cells[i].Number, r.cells[i].special = false, column
		}
	}
	return r, nil
}

// Schema returns the features of the rows, which have no group.
func (r *rows) Schema() *data.Schema { return r.encoder.rec.schema }

// Columns returns the features that have columns.
func (r *rows) Columns() []data.RowColumn {
	var list []data.RowColumn
	for i := range r.encoder.features {
		f := &r.encoder.features[i]
		c := data.RowColumn{Name: f.Source(), Type: data.TokenValue}
		switch {
		case f.ReadsTimes():
		case f.Count > 0:
			c.Type = data.ListValue
		case f.ReadsNumbers():
			c.Type = data.NumberValue
		case f.Kind.Lists():
			c.Type = data.ListValue
		}
		at := slices.IndexFunc(list, func(o data.RowColumn) bool { return o.Name == c.Name })
		switch {
		case at < 0:
			list = append(list, c)
		case c.Type == data.ListValue || list[at].Type == data.NumberValue: // what takes more kinds of values
			list[at].Type = c.Type
		}
	}
	return list
}

// Encode makes rows the rows of b.
func (r *rows) Encode(b *data.Batch, list ...map[string]any) error {
	if len(list) > b.Size {
		return fmt.Errorf("data: %d rows for a batch of %d; give fewer at once", len(list), b.Size)
	}
	size := r.encoder.rec.size
	r.records = scan.Grow(r.records, len(list)*size)
	clear(r.records)
	s := scratchOf(&r.chunk)
	for i, row := range list {
		if err := r.parse(row); err != nil {
			err.Row = i
			return err
		}
		r.encoder.row(&r.chunk, 0, r.records[i*size:(i+1)*size], s, nil)
		if b.Seen != nil {
			b.Seen[i] = r.encoder.seen(b.Seen[i][:0], &r.chunk, s)
		}
	}
	r.encoder.rec.decode(b, 0, r.records)
	b.N = len(list)
	clear(b.Seen[min(b.N, len(b.Seen)):])
	r.encoder.rec.pad(b, b.N)
	return nil
}

// parse makes row the only row of the chunk.
func (r *rows) parse(row map[string]any) *data.ValueError {
	c := &r.chunk
	tok, num := c.Begin()
	text := c.Data[:0]
	for i := range r.cells {
		column := &r.cells[i]
		v, ok := row[column.Name]
		if !ok {
			return data.MissingColumns(row, r.names)
		}
		start, bad := len(text), ""
		if text, bad = scan.AppendValue(text, v, column.separator); bad != "" {
			return &data.ValueError{Column: column.Name, Msg: bad}
		}
		if _, fault := scan.TextFault(text[start:]); fault != "" {
			return &data.ValueError{Column: column.Name, Msg: string(fault)}
		}
		lo, hi, v64, bad := r.table.Format.Cell(&column.PlanColumn, text[start:])
		if column.special != nil && bad == "" {
			if bad = column.special.Read(num, text[start+lo:start+hi]); bad != "" {
				bad = fmt.Sprintf(bad, scan.Show(text[start+lo:start+hi]))
			}
		}
		switch {
		case bad != "":
			return &data.ValueError{Column: column.Name, Msg: bad}
		case column.special != nil:
		case column.Number:
			num[column.At] = v64
		default:
			tok[column.At] = scan.Span{Lo: uint32(start + lo), Hi: uint32(start + hi)}
		}
	}
	c.Data = text
	if len(row) > len(r.names) {
		return r.unknown(row)
	}
	return nil
}

// mostKnown bounds what is remembered of the names of columns.
const mostKnown = 1 << 12

// unknown returns an error if a row has a column that nothing is said about.
func (r *rows) unknown(row map[string]any) *data.ValueError {
	all := true
	for name := range row {
		if r.known[name] {
			continue
		}
		if !r.table.beside(name) {
			all = false
		} else if len(r.known) < mostKnown {
			r.known[name] = true
		}
	}
	if all {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(row)) {
		if !r.known[name] && !r.table.beside(name) {
			return data.UnknownColumn(name, r.names)
		}
	}
	return nil
}

// beside reports whether rows may have a column that is no feature.
func (t *Data) beside(name string) bool {
	if name == t.Label || name == t.Group || name == t.Time || name == t.Weight || slices.ContainsFunc(t.Labels, func(l data.Label) bool { return l.Name == name }) {
		return true
	}
	c, ok := ColumnOf(t.Columns, name)
	return ok && c == data.Column(data.IgnoreColumn{})
}

// PlainCell is Format.Cell of formats whose cells are tokens or numbers as they stand.
func PlainCell(c *scan.PlanColumn, text []byte) (lo, hi int, v float64, bad string) {
	if !c.Number {
		return 0, len(text), 0, ""
	}
	v, ok := scan.ParseNumber(text)
	if !ok {
		bad = fmt.Sprintf(scan.NumberFault, scan.Show(text))
	}
	return 0, 0, v, bad
}
