package set

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/internal/table"
)

// criteoFormat is the format of the files of a Criteo.
type criteoFormat struct {
	scan.Lines
	columns map[string]data.Column
	trim    bool
}

// Features declares counts and categories, unless the options say otherwise.
func (f criteoFormat) Features(string, []byte) ([]table.Declared, error) {
	var list []table.Declared
	for i, name := range criteoNames {
		c, ok := table.ColumnOf(f.columns, name)
		switch {
		case ok:
		case i < criteoNums:
			c = data.NumericColumn{}
		default:
			c = data.CategoricalColumn{}
		}
		list = append(list, table.Declared{Name: name, Column: c})
	}
	return list, nil
}

// Cell reads a count or a category.
func (f criteoFormat) Cell(c *scan.PlanColumn, text []byte) (lo, hi int, v float64, bad string) {
	if !f.trim {
		return table.PlainCell(c, text)
	}
	lo, hi = scan.TrimBlanks(text, 0, len(text))
	_, _, v, bad = table.PlainCell(c, text[lo:hi])
	return lo, hi, v, bad
}

// Parser returns the parser of a file.
func (f criteoFormat) Parser(path string, head []byte, p *scan.Plan) (scan.Parser, bool, error) {
	pr := &criteoParser{labelled: true, trim: f.trim}
	tabs := bytes.Count(head, []byte("\t"))
	switch {
	case p.Unlabelled && tabs == criteoCols-1:
		pr.labelled = false
	case p.Left != nil && tabs == criteoCols-1:
		return nil, false, fmt.Errorf("data: %s:1: %d columns, one fewer than the layout has: %s", path, criteoCols, labelNeeded("the first"))
	case tabs == 0 && bytes.IndexByte(head, ',') >= 0:
		return nil, false, fmt.Errorf("data: %s:1: no tab in the first line but commas; for files with a header use type csv", path)
	case bytes.HasPrefix(bytes.ToLower(head), []byte("label\t")):
		return nil, false, fmt.Errorf("data: %s:1: the first line is a header; use type csv with delimiter \"\\t\"", path)
	}
	for i := range pr.acts {
		pr.acts[i] = act{tok: -1, num: -1}
	}
	for i := range p.Columns {
		k := slices.Index(criteoNames[:], p.Columns[i].Name)
		if k < 0 {
			return nil, false, fmt.Errorf("data: %s: the feature map has %s, the criteo layout has not; was it made for other data?", path,
				p.Columns[i].Name)
		}
		if p.Columns[i].Number {
			pr.acts[k].num = p.Columns[i].At
		} else {
			pr.acts[k].tok = p.Columns[i].At
		}
	}
	return pr, false, nil
}

// act is what to do with a cell: where among the tokens or numbers of a row it goes, -1 for nowhere.
type act struct{ tok, num int }

type criteoParser struct {
	acts     [criteoCols]act
	labelled bool
	trim     bool
}

// Parse parses the rows of a block.
func (p *criteoParser) Parse(c *scan.Chunk) {
	line := c.Line
	for pos := 0; pos < len(c.Data); line++ {
		end := len(c.Data)
		if i := bytes.IndexByte(c.Data[pos:], '\n'); i >= 0 {
			end = pos + i
		}
		rec := c.Data[pos:end]
		if n := len(rec); n > 0 && rec[n-1] == '\r' {
			rec = rec[:n-1]
		}
		switch {
		case len(rec) == 0:
		case len(rec) > c.Plan.MaxLine:
			c.Reject(line, "", scan.TooLongFault, len(rec), c.Plan.MaxLine)
		case c.Dirty && p.rejectText(c, rec, line):
		default:
			p.row(c, pos, pos+len(rec), line)
		}
		pos = end + 1
	}
}

// rejectText rejects a record that is no text.
func (p *criteoParser) rejectText(c *scan.Chunk, rec []byte, line int64) bool {
	at, f := scan.TextFault(rec)
	if f != "" {
		c.Reject(line, p.column(bytes.Count(rec[:at], []byte("\t"))), "%s", f)
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
func (p *criteoParser) row(c *scan.Chunk, lo, hi int, line int64) {
	data := c.Data
	c.Ends = scan.SplitAt(c.Ends[:0], data, lo, hi, '\t')
	ends := c.Ends
	want := criteoCols
	if p.labelled {
		want++
	}
	if len(ends) != want {
		c.Reject(line, "", "%d columns, want %d separated by tabs", len(ends), want)
		return
	}
	tok, num := c.Begin()
	var label float32
	start := uint32(lo)
	if p.labelled {
		var ok bool
		a, b := p.cell(data, start, ends[0])
		if label, ok = scan.ParseLabel(data[a:b]); !ok {
			c.Reject(line, "label", scan.LabelFault, scan.Show(data[start:ends[0]]))
			return
		}
		start = ends[0] + 1
		ends = ends[1:]
	}
	for k, end := range ends[:criteoCols] {
		lo, hi := p.cell(data, start, end)
		if a := &p.acts[k]; a.tok >= 0 {
			tok[a.tok] = scan.Span{Lo: lo, Hi: hi}
		} else if a.num >= 0 {
			v, ok := scan.ParseNumber(data[lo:hi])
			if !ok {
				c.Reject(line, criteoNames[k], scan.NumberFault, scan.Show(data[lo:hi]))
				return
			}
			num[a.num] = v
		}
		start = end + 1
	}
	c.End(label, 0, 0)
}

// cell returns the limits of the value of the cell data[lo:hi].
func (p *criteoParser) cell(data []byte, lo, hi uint32) (uint32, uint32) {
	if !p.trim {
		return lo, hi
	}
	a, b := scan.TrimBlanks(data, int(lo), int(hi))
	return uint32(a), uint32(b)
}
