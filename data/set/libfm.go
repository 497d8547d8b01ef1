package set

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/internal/table"
)

// LibFM is rows `label index:value index:value ...` separated by spaces, where the label is 1, 0 or -1 (which is 0) and
// every row has the same number of fields in the same order. A field is categorical unless columns declares it
// numeric: its token is the index and its value must be 1; of a numeric field the value counts. Lines with nothing
// on them are skipped.
type LibFM struct {
	data.Common `yaml:",inline"`
	Names       []string `yaml:"names"` // names of the fields; f1, f2, ... as many as in the first row if left out
}

func init() { data.Register("libfm", LibFM{Common: data.DefaultCommon()}) }

// Validate returns what is wrong with the options.
func (d LibFM) Validate() error {
	errs := []error{d.Common.Validate()}
	if d.Split.By == data.SplitTime {
		errs = append(errs, registry.Field("split.by", "the libfm layout has no time column; split by order or random"))
	}
	for i, n := range d.Names {
		if n == "" || slices.Contains(d.Names[:i], n) {
			errs = append(errs, registry.Field(fmt.Sprintf("names.%d", i), "%q is blank or there twice; give every field a name of its own", n))
		}
	}
	errs = append(errs, table.RefuseDerived(d.Columns, "libfm"))
	for _, name := range namelist.Sorted(d.Columns) {
		if data.HasLists(d.Columns[name]) {
			errs = append(errs, registry.Field("columns."+name,
				"the libfm layout has no fields of several tokens; use categorical, numeric or ignore"))
		}
	}
	if len(d.Names) > 0 {
		errs = append(errs, table.CheckColumns(d.Columns, d.Names))
	}
	return errors.Join(errs...)
}

// Open reads the files of the section.
func (d LibFM) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
	d.Common = d.WithDefaults()
	if err := table.Validate(d, d.Common); err != nil {
		return nil, err
	}
	return d.table().Open(ctx, o)
}

// Stream reads one file in order. Rows may leave the label out.
func (d LibFM) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	d.Common = d.WithDefaults()
	return d.table().Stream(ctx, path, m, o)
}

// Encoder encodes rows in memory. The value of a field is its index, or its number if it is numeric. The column of the label is
// "label".
func (d LibFM) Encoder(m *data.FeatureMap) (data.RowEncoder, error) {
	d.Common = d.WithDefaults()
	return d.table().Encoder(m)
}

func (d LibFM) table() *table.Data {
	return &table.Data{Common: d.Common, Format: libfmFormat{d: d}, Label: "label", Name: "libfm", Key: d.Names}
}

type libfmFormat struct {
	scan.Lines
	d LibFM
}

// names returns the names of the fields of a file and whether its rows have labels.
func (f libfmFormat) names(path string, head []byte) (names []string, labelled bool, err error) {
	fields := bytes.Fields(head)
	labelled = len(fields) > 0 && bytes.IndexByte(fields[0], ':') < 0
	n := len(fields)
	if labelled {
		n--
	}
	if n == 0 {
		return nil, false, fmt.Errorf("data: %s:1: no field; want rows like `1 17:1 204:1`", path)
	}
	if len(f.d.Names) > 0 {
		return f.d.Names, labelled, nil
	}
	for i := range n {
		names = append(names, "f"+strconv.Itoa(i+1))
	}
	return names, labelled, nil
}

// Features declares the fields of the first row: categorical ones, unless the options say otherwise.
func (f libfmFormat) Features(path string, head []byte) ([]table.Declared, error) {
	names, _, err := f.names(path, head)
	if err != nil {
		return nil, err
	}
	if err := table.CheckColumns(f.d.Columns, names); err != nil {
		return nil, fmt.Errorf("data: %s: %w", path, err)
	}
	var list []table.Declared
	for _, n := range names {
		c, ok := table.ColumnOf(f.d.Columns, n)
		if !ok {
			c = data.CategoricalColumn{}
		}
		list = append(list, table.Declared{Name: n, Column: c})
	}
	return list, nil
}

// Parser returns the parser of a file.
func (f libfmFormat) Parser(path string, head []byte, p *scan.Plan) (scan.Parser, bool, error) {
	names, labelled, err := f.names(path, head)
	if err != nil {
		return nil, false, err
	}
	pr := &libfmParser{names: names, labelled: labelled || !p.Unlabelled, acts: make([]act, len(names))}
	for i := range pr.acts {
		pr.acts[i] = act{-1, -1}
	}
	for i := range p.Columns {
		k := slices.Index(names, p.Columns[i].Name)
		if k < 0 {
			return nil, false, fmt.Errorf("data: %s: the feature map has %s, the rows have the fields %s; was it made for other data?", path,
				p.Columns[i].Name, namelist.Show(names))
		}
		if p.Columns[i].Number {
			pr.acts[k].num = p.Columns[i].At
		} else {
			pr.acts[k].tok = p.Columns[i].At
		}
	}
	return pr, false, nil
}

type libfmParser struct {
	names    []string
	acts     []act
	labelled bool
}

// Parse parses the rows of a block.
func (p *libfmParser) Parse(c *scan.Chunk) {
	line := c.Line
	for pos := 0; pos < len(c.Data); line++ {
		end := len(c.Data)
		if i := bytes.IndexByte(c.Data[pos:], '\n'); i >= 0 {
			end = pos + i
		}
		rec := scan.TrimLine(c.Data[pos:end])
		switch {
		case len(rec) == 0:
		case len(rec) > c.Plan.MaxLine:
			c.Reject(line, "", scan.TooLongFault, len(rec), c.Plan.MaxLine)
		default:
			if column, why := p.row(c, pos, pos+len(rec)); why != "" {
				c.Reject(line, column, "%s", why)
			}
		}
		pos = end + 1
	}
}

// row reads the record at data[lo:hi]; it returns what is wrong and where.
func (p *libfmParser) row(c *scan.Chunk, lo, hi int) (column, why string) {
	if c.Dirty {
		if at, f := scan.TextFault(c.Data[lo:hi]); f != "" {
			return p.name(bytes.Count(c.Data[lo:lo+at], []byte(" ")) - 1), string(f)
		}
	}
	tok, num := c.Begin()
	k := 0
	var label float32
	if !p.labelled {
		k = 1
	}
	for i := lo; ; {
		for i < hi && (c.Data[i] == ' ' || c.Data[i] == '\t') {
			i++
		}
		if i == hi {
			break
		}
		start := i
		for i < hi && c.Data[i] != ' ' && c.Data[i] != '\t' {
			i++
		}
		if k == 0 {
			v, ok := parseSign(c.Data[start:i])
			if !ok {
				return "label", "label " + scan.Show(c.Data[start:i]) + "; want 1, 0 or -1"
			}
			label = v
		} else if k <= len(p.acts) {
			if why := p.field(c.Data, start, i, p.acts[k-1], tok, num); why != "" {
				return p.names[k-1], why
			}
		}
		k++
	}
	if k-1 != len(p.acts) {
		return "", fmt.Sprintf("%d fields, want %d; rows of varying length are not supported", k-1, len(p.acts))
	}
	c.End(label, 0, 0)
	return "", ""
}

// field reads the cell index:value at data[lo:hi].
func (p *libfmParser) field(data []byte, lo, hi int, a act, tok []scan.Span, num []float64) string {
	cell := data[lo:hi]
	colon := bytes.IndexByte(cell, ':')
	if colon < 1 || colon == len(cell)-1 {
		return scan.Show(cell) + " is no index:value, like 17:1"
	}
	if why := indexFault(cell[:colon]); why != "" {
		return why
	}
	v, ok := scan.ParseNumber(cell[colon+1:])
	switch {
	case !ok:
		return fmt.Sprintf(scan.NumberFault, scan.Show(cell[colon+1:]))
	case a.num >= 0:
		num[a.num] = v
	case v != 1 && a.tok >= 0:
		return fmt.Sprintf("value %s of a categorical field; want 1, or declare the field numeric under columns", scan.Show(cell[colon+1:]))
	}
	if a.tok >= 0 {
		tok[a.tok] = scan.Span{Lo: uint32(lo), Hi: uint32(lo + colon)}
	}
	return ""
}

// indexFault says why a text is no index.
func indexFault(text []byte) string {
	for _, d := range text {
		if d < '0' || d > '9' {
			return "index " + scan.Show(text) + " is not a whole number"
		}
	}
	return ""
}

// Cell reads the index of a categorical field or the value of a numeric one, of which none is blank.
func (f libfmFormat) Cell(c *scan.PlanColumn, text []byte) (lo, hi int, v float64, bad string) {
	if len(text) == 0 {
		return 0, 0, 0, "is blank; the libfm layout has no blanks, want an index such as 17, or of a numeric field its value"
	}
	if c.Number {
		return table.PlainCell(c, text)
	}
	return 0, len(text), 0, indexFault(text)
}

// name names field k of a line, -1 for the label.
func (p *libfmParser) name(k int) string {
	if !p.labelled {
		k++
	}
	switch {
	case k < 0:
		return "label"
	case k < len(p.names):
		return p.names[k]
	}
	return ""
}

// parseSign returns the label of 1, 0 or -1.
func parseSign(s []byte) (float32, bool) {
	if v, ok := scan.ParseNumber(s); ok && v == -1 {
		return 0, true
	}
	return scan.ParseLabel(s)
}
