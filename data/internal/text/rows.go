package text

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/token"
)

// rows is the data.RowEncoder of texts: each row becomes a record, as those of files do.
type rows struct {
	texts   *Data
	encoder *encoder
	schema  *data.Schema
	enc     token.Encoding
	want    []string // columns of text: one, or two of a pair
	records []byte   // each with its length before it
	ends    []int
	ids     []int32
	scratch []byte
}

// Encoder returns an encoder of rows in memory.
func (t *Data) Encoder(m *data.FeatureMap) (data.RowEncoder, error) {
	if err := t.CheckMap(m); err != nil {
		return nil, err
	}
	if t.spec.MaskRate > 0 {
		return nil, errors.New("data: rows of a masked language model are not encoded one by one: a text can be several rows; " +
			"read them from a file")
	}
	e, err := newEncoder(t.spec, m.Text)
	if err != nil {
		return nil, err
	}
	r := &rows{texts: t, encoder: e, schema: t.Schema(m), want: []string{t.spec.Text}}
	if t.spec.Pair != "" {
		r.want = append(r.want, t.spec.Pair)
	}
	return r, nil
}

// Schema returns the schema, which has text.
func (r *rows) Schema() *data.Schema { return r.schema }

// Columns returns the columns of text.
func (r *rows) Columns() []data.RowColumn {
	var list []data.RowColumn
	for _, name := range r.want {
		list = append(list, data.RowColumn{Name: name, Type: data.TextValue})
	}
	return list
}

// Encode makes rows the rows of b.
func (r *rows) Encode(b *data.Batch, list ...map[string]any) error {
	if len(list) > b.Size {
		return fmt.Errorf("data: %d rows for a batch of %d; give fewer at once", len(list), b.Size)
	}
	r.records, r.ends = r.records[:0], r.ends[:0]
	longest := 0
	for i, row := range list {
		if err := r.row(row); err != nil {
			var value *data.ValueError
			if errors.As(err, &value) {
				value.Row = i
				return value
			}
			return fmt.Errorf("data: row %d: %w", i, err)
		}
		longest = max(longest, (len(r.record(i))-recordHead)/r.encoder.width)
	}
	s := r.schema.Text
	b.Resize(s, longest)
	for i := range list {
		r.ids = appendIDs(r.ids[:0], r.record(i), r.encoder.width)
		if err := setText(b, s, i, r.record(i), r.ids); err != nil {
			return fmt.Errorf("data: row %d: %w", i, err)
		}
		b.Row[i] = int64(i)
	}
	b.N = len(list)
	clear(b.Label[b.N:])
	clear(b.Row[b.N:])
	b.ClearText(s, b.N)
	return nil
}

// record returns the record of row i.
func (r *rows) record(i int) []byte {
	lo := 4 // of the length before it
	if i > 0 {
		lo += r.ends[i-1]
	}
	return r.records[lo:r.ends[i]]
}

// row appends the record of a row.
func (r *rows) row(row map[string]any) error {
	var text [2]string
	for i, name := range r.want {
		v, ok := row[name]
		if !ok {
			return data.MissingColumns(row, r.want)
		}
		var bad string
		if text[i], bad = r.text(v); bad != "" {
			return &data.ValueError{Column: name, Msg: bad}
		}
		if r.texts.spec.Trim {
			text[i] = strings.Trim(text[i], " \t")
		}
	}
	if len(row) > len(r.want) {
		for _, name := range slices.Sorted(maps.Keys(row)) {
			if !slices.Contains(r.want, name) && name != r.texts.spec.Label && !slices.Contains(r.texts.spec.Names, name) {
				return data.UnknownColumn(name, r.want)
			}
		}
	}
	r.enc.Reset()
	var err error
	if r.records, err = r.encoder.row(r.records, 0, &r.enc, text[0], text[1]); err != nil {
		return err
	}
	r.ends = append(r.ends, len(r.records))
	return nil
}

// text returns a value as a text.
func (r *rows) text(v any) (text, bad string) {
	text, ok := v.(string)
	if !ok {
		if r.scratch, bad = scan.AppendValue(r.scratch[:0], v, ""); bad != "" {
			return "", bad
		}
		text = string(r.scratch)
	}
	if _, fault := scan.NULFault([]byte(text)); fault != "" {
		return "", string(fault)
	}
	return text, ""
}
