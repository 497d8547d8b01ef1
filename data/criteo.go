package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"

	"github.com/splice-ml/splice/configs/registry"
)

// Criteo is rows in the layout of Criteo's display advertising log: tab separated without a header or quotes, a label
// 0 or 1, 13 counts I1..I13 and 26 categories C1..C26, a missing value blank. Lines with nothing on them are skipped.
type Criteo struct {
	Common   `yaml:",inline"`
	Fallback string `yaml:"fallback"` // if no file of path exists: none, which is an error, or synthetic: generated rows of the same layout
}

func init() { Register("criteo", Criteo{Common: DefaultCommon(), Fallback: fallbackNone}) }

const (
	criteoNums = 13
	criteoCats = 26
	criteoCols = criteoNums + criteoCats
)

// criteoNames are the names of the columns after the label.
var criteoNames = func() (names [criteoCols]string) {
	for i := range names {
		if i < criteoNums {
			names[i] = "I" + strconv.Itoa(i+1)
		} else {
			names[i] = "C" + strconv.Itoa(i+1-criteoNums)
		}
	}
	return names
}()

// Validate returns what is wrong with the options.
func (d Criteo) Validate() error {
	errs := []error{d.Common.Validate()}
	if d.Fallback != "" && d.Fallback != fallbackNone && d.Fallback != fallbackSynthetic {
		errs = append(errs, registry.Field("fallback", "want none or synthetic, have %q", d.Fallback))
	}
	if d.Split.By == byTime {
		errs = append(errs, registry.Field("split.by", "the criteo layout has no time column; its rows are in order of time, use order"))
	}
	errs = append(errs, checkColumns(d.Columns, criteoNames[:]))
	for _, name := range sortedKeys(d.Columns) {
		if _, ok := d.Columns[name].(MultiColumn); ok {
			errs = append(errs, registry.Field("columns."+name, "the criteo layout has no columns of several tokens; use categorical, numeric or ignore"))
		}
		if _, ok := d.Columns[name].(NumericColumn); ok && matchesCategory(name) {
			errs = append(errs, registry.Field("columns."+name, "the categories C1..C26 are tokens; use categorical or ignore"))
		}
	}
	return errors.Join(errs...)
}

func matchesCategory(pattern string) bool {
	return slices.ContainsFunc(criteoNames[criteoNums:], func(n string) bool {
		ok, _ := path.Match(pattern, n)
		return ok
	})
}

// Open reads the files of the section.
func (d Criteo) Open(ctx context.Context, o OpenOptions) (*Splits, error) {
	d.Common = d.defaulted()
	if err := validate(d, d.Common); err != nil {
		return nil, err
	}
	if err := d.fallback(ctx, o); err != nil {
		return nil, err
	}
	s, err := d.builder(o).open(ctx)
	if err != nil {
		return nil, err
	}
	return s, d.synthetic(s)
}

// Stream reads one file in order.
func (d Criteo) Stream(ctx context.Context, path string, m *FeatureMap, o StreamOptions) Source {
	d.Common = d.defaulted()
	return d.builder(OpenOptions{}).stream(ctx, path, m, o)
}

func (d Criteo) builder(o OpenOptions) *builder {
	return &builder{Common: d.Common, format: criteoFormat{columns: d.Columns}, name: "criteo", o: o}
}

type criteoFormat struct {
	lines
	columns map[string]Column
}

func (f criteoFormat) features(string, []byte) ([]declared, error) {
	var list []declared
	for i, name := range criteoNames {
		c, ok := columnOf(f.columns, name)
		switch {
		case ok:
		case i < criteoNums:
			c = NumericColumn{}
		default:
			c = CategoricalColumn{}
		}
		list = append(list, declared{name, c})
	}
	return list, nil
}

func (f criteoFormat) parser(path string, head []byte, p *plan) (parser, bool, error) {
	pr := &criteoParser{labelled: true}
	tabs := bytes.Count(head, []byte("\t"))
	switch {
	case p.unlabelled && tabs == criteoCols-1:
		pr.labelled = false
	case tabs == 0 && bytes.IndexByte(head, ',') >= 0:
		return nil, false, fmt.Errorf("data: %s:1: no tab in the first line but commas; for files with a header use type csv", path)
	case bytes.HasPrefix(bytes.ToLower(head), []byte("label\t")):
		return nil, false, fmt.Errorf("data: %s:1: the first line is a header; use type csv with delimiter \"\\t\"", path)
	}
	for i := range pr.acts {
		pr.acts[i] = act{tok: -1, num: -1}
	}
	for i := range p.features {
		k := slices.Index(criteoNames[:], p.features[i].Name)
		if k < 0 {
			return nil, false, fmt.Errorf("data: %s: the feature map has %s, the criteo layout has not; was it made for other data?", path, p.features[i].Name)
		}
		if p.features[i].numbers() {
			pr.acts[k].num = p.at[i]
		} else {
			pr.acts[k].tok = p.at[i]
		}
	}
	return pr, false, nil
}

// act is what to do with a cell: where among the tokens or numbers of a row it goes, -1 for nowhere.
type act struct{ tok, num int }

type criteoParser struct {
	acts     [criteoCols]act
	labelled bool
}

func (p *criteoParser) parse(c *chunk) {
	line := c.line
	for pos := 0; pos < len(c.data); line++ {
		end := len(c.data)
		if i := bytes.IndexByte(c.data[pos:], '\n'); i >= 0 {
			end = pos + i
		}
		rec := c.data[pos:end]
		if n := len(rec); n > 0 && rec[n-1] == '\r' {
			rec = rec[:n-1]
		}
		switch {
		case len(rec) == 0:
		case len(rec) > c.plan.maxLine:
			c.reject(line, "", tooLongFault, len(rec), c.plan.maxLine)
		case c.dirty && p.rejectText(c, rec, line):
		default:
			p.row(c, pos, pos+len(rec), line)
		}
		pos = end + 1
	}
}

const tooLongFault = "the row has %d bytes, the longest may have %d (max_line)"

// rejectText rejects a record that is no text.
func (p *criteoParser) rejectText(c *chunk, rec []byte, line int64) bool {
	at, f := textFault(rec)
	if f != "" {
		c.reject(line, p.column(bytes.Count(rec[:at], []byte("\t"))), "%s", f)
	}
	return f != ""
}

// column names column i of a line.
func (p *criteoParser) column(i int) string {
	if p.labelled {
		i--
	}
	switch {
	case i < 0:
		return "label"
	case i < criteoCols:
		return criteoNames[i]
	}
	return strconv.Itoa(i + 1)
}

// row reads the record at data[lo:hi].
func (p *criteoParser) row(c *chunk, lo, hi int, line int64) {
	data := c.data
	c.ends = splitAt(c.ends[:0], data, lo, hi, '\t')
	ends := c.ends
	want := criteoCols
	if p.labelled {
		want++
	}
	if len(ends) != want {
		c.reject(line, "", "%d columns, want %d separated by tabs", len(ends), want)
		return
	}
	tok, num := c.begin()
	var label float32
	start := uint32(lo)
	if p.labelled {
		var ok bool
		if label, ok = parseLabel(data[start:ends[0]]); !ok {
			c.reject(line, "label", labelFault, show(data[start:ends[0]]))
			return
		}
		start = ends[0] + 1
		ends = ends[1:]
	}
	for k, end := range ends[:criteoCols] {
		if a := &p.acts[k]; a.tok >= 0 {
			tok[a.tok] = span{start, end}
		} else if a.num >= 0 {
			v, ok := parseNumber(data[start:end])
			if !ok {
				c.reject(line, criteoNames[k], numberFault, show(data[start:end]))
				return
			}
			num[a.num] = v
		}
		start = end + 1
	}
	c.end(label, 0, 0)
}
