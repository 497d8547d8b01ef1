package text

import (
	"bytes"
	"math"

	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/scan"
)

// parser parses the rows of one file of texts. Bytes that are no UTF-8 are left as they are: the tokenizer reads each as
// one U+FFFD.
type parser struct {
	*format
	names []string
	at    [3]int // columns of text, pair and label; -1 for none

	blankRows bool // a line with nothing on it is a row of the one column
}

// BlankRows reports whether a line with nothing on it is a row, as in a file of one column without labels, whose text is empty.
func (p *parser) BlankRows() bool { return p.blankRows }

// Parse parses the rows of a block.
func (p *parser) Parse(c *scan.Chunk) {
	if p.kind == JSONL {
		p.objects(c)
		return
	}
	line := c.Line
	for pos := 0; pos < len(c.Data); {
		text := c.Data[pos:]
		end, cells, bad := scan.Lines{}.Record(text, true), 0, ""
		quoted := p.Quote && bytes.IndexByte(text[:end], '"') >= 0
		at := line
		line++
		if quoted {
			end, cells, bad = p.Cells(text, true, nil)
			line = at + int64(bytes.Count(text[:end], scan.Newline))
			if end > 0 && text[end-1] != '\n' {
				line++
			}
		}
		rec := text[:end]
		r := row{p: p, c: c, line: at, base: pos}
		pos += end
		switch {
		case scan.IsBlank(rec) && !p.blankRows:
		case len(rec) > c.Plan.MaxLine:
			c.Reject(at, "", scan.TooLongFault, len(rec), c.Plan.MaxLine)
		case bad != "":
			c.Reject(at, p.name(cells-1), "%s", bad)
		case r.rejectNUL(rec):
		case quoted:
			p.Cells(rec, true, r.cell)
			r.finish()
		case p.kind == Lines:
			r.cell(0, len(scan.TrimLine(rec)))
			r.finish()
		default:
			r.split(scan.TrimLine(rec), p.Delim)
			r.finish()
		}
	}
}

// name names column k of the file.
func (p *parser) name(k int) string {
	if k < len(p.names) {
		return p.names[k]
	}
	return ""
}

// row is a row while its cells come in.
type row struct {
	p    *parser
	c    *scan.Chunk
	base int // of the record in c.Data
	line int64
	k    int // cells so far
	tok  [cells]scan.Span
}

// rejectNUL rejects a record of a binary file.
func (r *row) rejectNUL(rec []byte) bool {
	if !r.c.Dirty {
		return false
	}
	_, f := scan.NULFault(rec)
	if f != "" {
		r.c.Reject(r.line, "", "%s", f)
	}
	return f != ""
}

// split takes the cells of a record without quotes; the last of maxColumns is the rest of it.
func (r *row) split(rec []byte, delim byte) {
	most := min(r.p.spec.MaxColumns, len(r.p.names))
	for lo := 0; ; {
		i := bytes.IndexByte(rec[lo:], delim)
		if i < 0 || r.k == most-1 {
			r.cell(lo, len(rec))
			return
		}
		r.cell(lo, lo+i)
		lo += i + 1
	}
}

// cell takes the next cell, data[base+lo:base+hi].
func (r *row) cell(lo, hi int) {
	for i, at := range r.p.at {
		if at == r.k {
			r.tok[i] = scan.Span{Lo: uint32(r.base + lo), Hi: uint32(r.base + hi)}
		}
	}
	r.k++
}

// finish keeps the row, or says what is wrong with it.
func (r *row) finish() {
	if r.k != len(r.p.names) {
		r.c.Reject(r.line, "", "%d columns, want %d (%s); is a delimiter missing or one too many?", r.k, len(r.p.names), namelist.Show(r.p.names))
		return
	}
	r.keep(r.c.Data)
}

// keep keeps the row, whose tokens lie in data.
func (r *row) keep(data []byte) {
	if r.p.spec.Trim {
		for i, t := range r.tok {
			lo, hi := scan.TrimBlanks(data, int(t.Lo), int(t.Hi))
			r.tok[i] = scan.Span{Lo: uint32(lo), Hi: uint32(hi)}
		}
	}
	label := float32(0)
	if r.p.at[labelCell] >= 0 {
		cell := data[r.tok[labelCell].Lo:r.tok[labelCell].Hi]
		v, fault := r.p.value(cell)
		if fault != "" {
			r.c.Reject(r.line, r.p.spec.Label, fault, scan.Show(cell), namelist.ShowOrNone(r.p.known))
			return
		}
		label = v
	}
	tok, _ := r.c.Begin()
	copy(tok, r.tok[:])
	r.c.End(label, 0, 0)
}

// value returns the label that a cell says.
func (f *format) value(cell []byte) (float32, string) {
	switch {
	case len(cell) == 0:
		return 0, "%[1]s: the label is blank; want one on every row"
	case f.spec.Regression:
		v, ok := scan.ParseNumber(cell)
		if !ok || math.IsNaN(v) {
			return 0, "label %[1]s is not a number; want digits like 2.5 (regression)"
		}
		return float32(v), ""
	case f.index == nil:
		return 0, ""
	}
	v, ok := f.index[string(cell)]
	if !ok {
		lo, hi := scan.TrimBlanks(cell, 0, len(cell))
		if _, ok := f.index[string(cell[lo:hi])]; ok && !f.Trim {
			return 0, "unknown label %[1]s; the labels are %[2]s; trim: true takes the blanks around it off"
		}
		return 0, "unknown label %[1]s; the labels are %[2]s"
	}
	return v, ""
}
