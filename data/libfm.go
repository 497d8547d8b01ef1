package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/splice-ml/splice/configs/registry"
)

// LibFM is rows `label index:value index:value ...` separated by spaces, where the label is 1, 0 or -1 (which is 0) and
// every row has the same number of fields in the same order. A field is categorical unless columns declares it
// numeric: its token is the index and its value must be 1; of a numeric field the value counts. Lines with nothing
// on them are skipped.
type LibFM struct {
	Common `yaml:",inline"`
	Names  []string `yaml:"names"` // names of the fields; f1, f2, ... as many as in the first row if left out
}

func init() { Register("libfm", LibFM{Common: DefaultCommon()}) }

// Validate returns what is wrong with the options.
func (d LibFM) Validate() error {
	errs := []error{d.Common.Validate()}
	if d.Split.By == byTime {
		errs = append(errs, registry.Field("split.by", "the libfm layout has no time column; split by order or random"))
	}
	for i, n := range d.Names {
		if n == "" || slices.Contains(d.Names[:i], n) {
			errs = append(errs, registry.Field(fmt.Sprintf("names.%d", i), "%q is blank or there twice; give every field a name of its own", n))
		}
	}
	for _, name := range sortedKeys(d.Columns) {
		if _, ok := d.Columns[name].(MultiColumn); ok {
			errs = append(errs, registry.Field("columns."+name, "the libfm layout has no fields of several tokens; use categorical, numeric or ignore"))
		}
	}
	if len(d.Names) > 0 {
		errs = append(errs, checkColumns(d.Columns, d.Names))
	}
	return errors.Join(errs...)
}

// Open reads the files of the section.
func (d LibFM) Open(ctx context.Context, o OpenOptions) (*Splits, error) {
	d.Common = d.defaulted()
	if err := validate(d, d.Common); err != nil {
		return nil, err
	}
	return d.builder(o).open(ctx)
}

// Stream reads one file in order; the label may be left out.
func (d LibFM) Stream(ctx context.Context, path string, m *FeatureMap, o StreamOptions) Source {
	d.Common = d.defaulted()
	return d.builder(OpenOptions{}).stream(ctx, path, m, o)
}

func (d LibFM) builder(o OpenOptions) *builder {
	return &builder{Common: d.Common, format: libfmFormat{d: d}, name: "libfm", key: d.Names, o: o}
}

type libfmFormat struct {
	lines
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

func (f libfmFormat) features(path string, head []byte) ([]declared, error) {
	names, _, err := f.names(path, head)
	if err != nil {
		return nil, err
	}
	if err := checkColumns(f.d.Columns, names); err != nil {
		return nil, fmt.Errorf("data: %s: %w", path, err)
	}
	var list []declared
	for _, n := range names {
		c, ok := columnOf(f.d.Columns, n)
		if !ok {
			c = CategoricalColumn{}
		}
		list = append(list, declared{n, c})
	}
	return list, nil
}

func (f libfmFormat) parser(path string, head []byte, p *plan) (parser, bool, error) {
	names, labelled, err := f.names(path, head)
	if err != nil {
		return nil, false, err
	}
	pr := &libfmParser{names: names, labelled: labelled || !p.unlabelled, acts: make([]act, len(names))}
	for i := range pr.acts {
		pr.acts[i] = act{-1, -1}
	}
	for i := range p.features {
		k := slices.Index(names, p.features[i].Name)
		if k < 0 {
			return nil, false, fmt.Errorf("data: %s: the feature map has %s, the rows have the fields %s; was it made for other data?", path, p.features[i].Name, someNames(names))
		}
		if p.features[i].numbers() {
			pr.acts[k].num = p.at[i]
		} else {
			pr.acts[k].tok = p.at[i]
		}
	}
	return pr, false, nil
}

type libfmParser struct {
	names    []string
	acts     []act
	labelled bool
}

func (p *libfmParser) parse(c *chunk) {
	line := c.line
	for pos := 0; pos < len(c.data); line++ {
		end := len(c.data)
		if i := bytes.IndexByte(c.data[pos:], '\n'); i >= 0 {
			end = pos + i
		}
		rec := trimLine(c.data[pos:end])
		switch {
		case len(rec) == 0:
		case len(rec) > c.plan.maxLine:
			c.reject(line, "", tooLongFault, len(rec), c.plan.maxLine)
		default:
			if column, why := p.row(c, pos, pos+len(rec)); why != "" {
				c.reject(line, column, "%s", why)
			}
		}
		pos = end + 1
	}
}

// row reads the record at data[lo:hi]; it returns what is wrong and where.
func (p *libfmParser) row(c *chunk, lo, hi int) (column, why string) {
	if c.dirty {
		if at, f := textFault(c.data[lo:hi]); f != "" {
			return p.name(bytes.Count(c.data[lo:lo+at], []byte(" ")) - 1), string(f)
		}
	}
	tok, num := c.begin()
	k := 0
	var label float32
	if !p.labelled {
		k = 1
	}
	for i := lo; ; {
		for i < hi && (c.data[i] == ' ' || c.data[i] == '\t') {
			i++
		}
		if i == hi {
			break
		}
		start := i
		for i < hi && c.data[i] != ' ' && c.data[i] != '\t' {
			i++
		}
		if k == 0 {
			v, ok := parseSign(c.data[start:i])
			if !ok {
				return "label", "label " + show(c.data[start:i]) + "; want 1, 0 or -1"
			}
			label = v
		} else if k <= len(p.acts) {
			if why := p.field(c.data, start, i, p.acts[k-1], tok, num); why != "" {
				return p.names[k-1], why
			}
		}
		k++
	}
	if k-1 != len(p.acts) {
		return "", fmt.Sprintf("%d fields, want %d; rows of varying length are not supported", k-1, len(p.acts))
	}
	c.end(label, 0, 0)
	return "", ""
}

// field reads the cell index:value at data[lo:hi].
func (p *libfmParser) field(data []byte, lo, hi int, a act, tok []span, num []float64) string {
	cell := data[lo:hi]
	colon := bytes.IndexByte(cell, ':')
	if colon < 1 || colon == len(cell)-1 {
		return show(cell) + " is no index:value, like 17:1"
	}
	for _, d := range cell[:colon] {
		if d < '0' || d > '9' {
			return "index " + show(cell[:colon]) + " is not a whole number"
		}
	}
	v, ok := parseNumber(cell[colon+1:])
	switch {
	case !ok:
		return fmt.Sprintf(numberFault, show(cell[colon+1:]))
	case a.num >= 0:
		num[a.num] = v
	case v != 1 && a.tok >= 0:
		return fmt.Sprintf("value %s of a categorical field; want 1, or declare the field numeric under columns", show(cell[colon+1:]))
	}
	if a.tok >= 0 {
		tok[a.tok] = span{uint32(lo), uint32(lo + colon)}
	}
	return ""
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
	if v, ok := parseNumber(s); ok && v == -1 {
		return 0, true
	}
	return parseLabel(s)
}
