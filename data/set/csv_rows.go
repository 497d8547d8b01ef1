package set

import (
	"bytes"
	"fmt"

	"github.com/splice-ml/splice/data/internal/scan"
)

// csvParser parses the rows of one file.
type csvParser struct {
	f       csvFormat
	names   []string
	header  bool // names stand in the file
	acts    []csvAct
	labels  []csvLabel
	aligned [][2]alignedCell // columns that must have equally many tokens
}

// alignedCell is a cell of tokens.
type alignedCell struct {
	column    int // its number
	tok       int // its place among the row's tokens
	separator string
}

// What is wrong with columns that are aligned.
const (
	blankAligned   = "has a blank token, of a column that is aligned with another one; give it a token of its own, such as none"
	unalignedFault = "has %d tokens, but %s, which it is aligned with, has %d"
)

// tokens returns how many tokens the cell has; -1 if one is blank, which a row would not have.
func (a alignedCell) tokens(text []byte) int {
	n := 0
	for len(text) > 0 {
		token, rest, more := bytes.Cut(text, []byte(a.separator))
		if len(token) == 0 || more && len(rest) == 0 {
			return -1
		}
		n, text = n+1, rest
	}
	return n
}

// BlankRows reports whether a line with nothing on it is a row, as in a file of one column, whose value is blank.
func (p *csvParser) BlankRows() bool { return len(p.names) == 1 }

// isNothing reports whether a record is no row.
func (p *csvParser) isNothing(rec []byte) bool {
	if p.BlankRows() {
		return false
	}
	if p.f.Trim {
		lo, hi := scan.TrimBlanks(rec, 0, len(scan.TrimLine(rec)))
		return lo == hi
	}
	return scan.IsBlank(rec)
}

// Parse parses the rows of a block.
func (p *csvParser) Parse(c *scan.Chunk) {
	r := csvRow{p: p, c: c}
	split := r.cell
	delim := p.f.Delim
	line := c.Line
	for pos := 0; pos < len(c.Data); {
		text := c.Data[pos:]
		end, cells, bad := scan.Lines{}.Record(text, true), 0, ""
		quoted := p.f.Quote && bytes.IndexByte(text[:end], '"') >= 0
		rec := text[:end]
		r.line, r.base = line, pos
		line++
		if quoted {
			end, cells, bad = p.f.Cells(text, true, nil)
			rec = text[:end]
			line = r.line + int64(bytes.Count(rec, scan.Newline))
		}
		pos += end
		switch {
		case p.isNothing(rec):
		case len(rec) > c.Plan.MaxLine:
			c.Reject(r.line, "", scan.TooLongFault, len(rec), c.Plan.MaxLine)
		case bad != "":
			c.Reject(r.line, p.name(cells-1), "%s", bad)
		case c.Dirty && p.rejectText(c, rec, r.line):
		case quoted:
			r.start()
			p.f.Cells(rec, true, split)
			r.finish()
		default:
			r.start()
			c.Ends = scan.SplitAt(c.Ends[:0], rec, 0, len(scan.TrimLine(rec)), delim)
			lo := 0
			for _, end := range c.Ends {
				r.cell(lo, int(end))
				lo = int(end) + 1
			}
			r.finish()
		}
	}
}

// rejectText rejects a record that is no text.
func (p *csvParser) rejectText(c *scan.Chunk, rec []byte, line int64) bool {
	at, f := scan.TextFault(rec)
	if f != "" {
		c.Reject(line, p.name(p.columnAt(rec, at)), "%s", f)
	}
	return f != ""
}

// columnAt returns the column of a place in a record.
func (p *csvParser) columnAt(rec []byte, at int) int {
	k := -1
	p.f.Cells(bytes.Clone(rec), true, func(lo, _ int) {
		if lo <= at {
			k++
		}
	})
	return max(k, 0)
}

// name names column k of the file.
func (p *csvParser) name(k int) string {
	if k < len(p.names) {
		return p.names[k]
	}
	return ""
}

// csvRow is a row while its cells come in.
type csvRow struct {
	p        *csvParser
	c        *scan.Chunk
	base     int // of the record in c.Data
	line     int64
	k        int // cells so far
	tok      []scan.Span
	num      []float64
	labels   []float32
	weight   float32
	group    int64
	time     float64
	kind     string // of the time
	timeCell []byte
	word     []byte // the label, if it is a word but not the positive one
	lastSize int    // bytes of the last cell

	column    int // of the first fault
	fault     string
	faultCell []byte
}

func (r *csvRow) start() {
	r.tok, r.num = r.c.Begin()
	r.k, r.fault, r.group, r.time, r.word, r.weight = 0, "", 0, 0, nil, 0
	r.labels = scan.Grow(r.labels, len(r.p.labels))
	clear(r.labels)
}

// cell takes the next cell, data[base+lo:base+hi].
func (r *csvRow) cell(lo, hi int) {
	k := r.k
	if r.k++; k >= len(r.p.acts) {
		r.lastSize = hi - lo
		return
	}
	a := &r.p.acts[k]
	lo, hi = lo+r.base, hi+r.base
	if r.p.f.Trim {
		lo, hi = scan.TrimBlanks(r.c.Data, lo, hi)
	}
	text := r.c.Data[lo:hi]
	if r.p.f.isMissing(text) {
		text, hi = nil, lo
	}
	if a.tok >= 0 {
		r.tok[a.tok] = scan.Span{Lo: uint32(lo), Hi: uint32(hi)}
	}
	if a.num >= 0 {
		v, ok := scan.ParseNumber(text)
		r.num[a.num] = v
		if !ok {
			r.wrong(k, scan.NumberFault+r.p.numberAdvice(text), text)
		}
	}
	for i := range a.more {
		if bad := a.more[i].Read(r.num, text); bad != "" {
			r.wrong(k, bad+r.p.trimAdvice(text), text)
		}
	}
	if a.label >= 0 && !(len(text) == 0 && r.c.Plan.Unlabelled) {
		r.setLabel(k, a.label, text)
	}
	if a.weight {
		v, ok := parseWeight(text)
		if r.weight = v; !ok {
			r.wrong(k, weightFault+r.p.trimAdvice(text), text)
		}
	}
	if a.group {
		r.group = scan.ParseGroup(text)
		if len(text) == 0 {
			r.wrong(k, "%s is blank; want the key of a group", text)
		}
	}
	if a.time {
		v, kind, ok := scan.ParseTime(text)
		r.time, r.kind, r.timeCell = v, kind, text
		if !ok {
			r.wrong(k, "%s is not a time; want a number, 2006-01-02, 2006-01-02 15:04:05 or RFC 3339"+r.p.trimAdvice(text), text)
		}
	}
}

// numberAdvice returns what may be done with a cell that is no number: its blanks are taken off, or it means a missing value.
func (p *csvParser) numberAdvice(text []byte) string {
	if advice := p.trimAdvice(text); advice != "" {
		return advice
	}
	if len(text) > longestMissing || bytes.ContainsAny(text, "0123456789") {
		return ""
	}
	return "; if it stands for a missing value, list it under missing, and if it is a category, declare its column categorical"
}

// longestMissing is how long a text is at most that may stand for a missing value.
const longestMissing = 16

// trimAdvice returns the key that takes blanks off the ends of a cell, if it has some.
func (p *csvParser) trimAdvice(text []byte) string {
	if lo, hi := scan.TrimBlanks(text, 0, len(text)); !p.f.Trim && hi-lo < len(text) {
		return "; trim: true takes the blanks around it off"
	}
	return ""
}

// wrong remembers the first fault of the row.
func (r *csvRow) wrong(column int, format string, cell []byte) {
	if r.fault == "" {
		r.fault, r.column, r.faultCell = format, column, cell
	}
}

// unaligned returns the number of a column whose tokens are not aligned with those of another one, and what is wrong with them.
func (r *csvRow) unaligned() (column int, fault string) {
	for _, pair := range r.p.aligned {
		var n [2]int
		for i, a := range pair {
			span := r.tok[a.tok]
			if n[i] = a.tokens(r.c.Data[span.Lo:span.Hi]); n[i] < 0 {
				return a.column, blankAligned
			}
		}
		if n[0] != n[1] {
			return pair[0].column, fmt.Sprintf(unalignedFault, n[0], r.p.names[pair[1].column], n[1])
		}
	}
	return 0, ""
}

func (r *csvRow) finish() {
	column, unaligned := 0, ""
	if r.k == len(r.p.acts) && r.fault == "" && len(r.p.aligned) > 0 {
		column, unaligned = r.unaligned()
	}
	switch {
	case unaligned != "":
		r.c.Reject(r.line, r.p.names[column], "%s", unaligned)
	case r.k != len(r.p.acts):
		r.c.Reject(r.line, "", "%d columns, want %d as in %s%s", r.k, len(r.p.acts), r.p.source(), r.moreAdvice())
	case r.fault != "":
		r.c.Reject(r.line, r.p.names[r.column], r.fault, scan.Show(r.faultCell))
	default:
		r.c.Beside(r.labels[1:], r.weight)
		r.c.End(r.labels[0], r.group, r.time)
		if r.c.Plan.Time != "" {
			r.c.Kinds = r.c.Sight(r.c.Kinds, r.kind, r.timeCell, r.line)
		}
		if n := len(r.c.Words); r.word != nil && !r.c.Plan.Unlabelled && (n != 1 || r.c.Words[0].What != string(r.word)) {
			r.c.Words = r.c.Sight(r.c.Words, string(r.word), r.word, r.line)
		}
	}
}

// moreAdvice returns what may be done with a row that has one cell more than there are names.
func (r *csvRow) moreAdvice() string {
	switch {
	case r.k != len(r.p.acts)+1:
		return ""
	case r.lastSize == 0 && r.p.header:
		return `; the row ends in the delimiter, after which there is a blank column: end the header in it too, and put "": ignore under columns`
	case r.lastSize == 0:
		return "; the row ends in the delimiter, after which there is a blank column: give it a name in names, and ignore that one under columns"
	case r.p.header:
		return "; if all rows have it, such as an index that was written along, give it a name in the header"
	}
	return "; if all rows have it, give it a name in names"
}

// source says where the names of the columns come from.
func (p *csvParser) source() string {
	if p.header {
		return "the header"
	}
	return "names"
}
