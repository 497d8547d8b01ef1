package data

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"time"
)

const (
	bareQuote  = "a quote inside a cell; quote the whole cell and double the quote, or set quote: false"
	afterQuote = "text after a closing quote; double quotes inside a cell"
	openQuote  = "a quote is not closed within max_line bytes or the file"
)

// cells splits the first record of text and calls cell with the limits of each cell: without its quotes, doubled quotes
// undone in place. It returns the length of the record with its line end, 0 if more text is needed, and what is wrong
// with its last cell; a wrong record ends with its first line. A nil cell leaves text as it is, to look before.
func (f csvFormat) cells(text []byte, atEOF bool, cell func(lo, hi int)) (n, cells int, bad string) {
	delim, limit := f.d.delimiter()[0], f.d.MaxLine
	firstLine := func(why string) (int, int, string) {
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			return i + 1, cells, why
		} else if atEOF {
			return len(text), cells, why
		}
		return 0, 0, ""
	}
	for pos := 0; ; {
		cells++
		if !f.d.Quote || pos >= len(text) || text[pos] != '"' {
			end := nextOf(text, pos, len(text), delim, '\n')
			if end == len(text) && !atEOF {
				return 0, 0, ""
			}
			hi := end
			if (end == len(text) || text[end] == '\n') && hi > pos && text[hi-1] == '\r' {
				hi--
			}
			if f.d.Quote && bytes.IndexByte(text[pos:hi], '"') >= 0 {
				return firstLine(bareQuote)
			}
			if cell != nil {
				cell(pos, hi)
			}
			if end == len(text) || text[end] == '\n' {
				return min(end+1, len(text)), cells, ""
			}
			pos = end + 1
			continue
		}
		lo, end, doubled := pos+1, pos+1, false
		for {
			i := bytes.IndexByte(text[end:max(end, min(len(text), limit))], '"')
			if i < 0 {
				if len(text) >= limit || atEOF {
					return firstLine(openQuote)
				}
				return 0, 0, ""
			}
			end += i
			if end+1 < len(text) && text[end+1] == '"' {
				end += 2
				doubled = true
				continue
			}
			break
		}
		after := end + 1
		if !atEOF && after+1 >= len(text) { // the next two bytes decide
			return 0, 0, ""
		}
		if after < len(text) && text[after] == '\r' && (after+1 == len(text) || text[after+1] == '\n') {
			after++
		}
		if after < len(text) && text[after] != delim && text[after] != '\n' {
			return firstLine(afterQuote)
		}
		if cell != nil {
			hi := end
			if doubled {
				hi = lo + undouble(text[lo:end])
			}
			cell(lo, hi)
		}
		if after >= len(text) || text[after] == '\n' {
			return min(after+1, len(text)), cells, ""
		}
		pos = after + 1
	}
}

// undouble replaces "" by " in place and returns the new length.
func undouble(s []byte) int {
	n := 0
	for i := 0; i < len(s); i++ {
		s[n] = s[i]
		n++
		if s[i] == '"' {
			i++
		}
	}
	return n
}

// nextOf returns the place of the first a or b in data[i:hi], hi if there is none.
func nextOf(data []byte, i, hi int, a, b byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	as, bs := uint64(a)*ones, uint64(b)*ones
	for ; i+8 <= len(data) && i < hi; i += 8 {
		w := binary.LittleEndian.Uint64(data[i:])
		x, y := w^as, w^bs
		if t := ((x-ones)&^x | (y-ones)&^y) & tops; t != 0 {
			return min(i+bits.TrailingZeros64(t)/8, hi)
		}
	}
	for ; i < hi && data[i] != a && data[i] != b; i++ {
	}
	return min(i, hi)
}

// record returns the length of the first record.
func (f csvFormat) record(text []byte, atEOF bool) int {
	if !f.d.Quote {
		return lines{}.record(text, atEOF)
	}
	if i := bytes.IndexByte(text, '\n'); i >= 0 && bytes.IndexByte(text[:i], '"') < 0 {
		return i + 1
	}
	if len(text) == 0 {
		return 0
	}
	n, _, _ := f.cells(text, atEOF, nil)
	return n
}

// cut returns the length of the whole records.
func (f csvFormat) cut(text []byte, atEOF bool) int {
	if atEOF {
		return len(text)
	}
	if !f.d.Quote || bytes.IndexByte(text, '"') < 0 {
		return lines{}.cut(text, false)
	}
	pos := 0
	for pos < len(text) {
		n := f.record(text[pos:], false)
		if n == 0 {
			break
		}
		pos += n
	}
	return pos
}

// csvParser parses the rows of one file.
type csvParser struct {
	f        csvFormat
	names    []string
	acts     []csvAct
	labelled bool
}

func (p *csvParser) parse(c *chunk) {
	r := csvRow{p: p, c: c}
	split := r.cell
	delim := p.f.d.delimiter()[0]
	line := c.line
	for pos := 0; pos < len(c.data); {
		text := c.data[pos:]
		end, cells, bad := lines{}.record(text, true), 0, ""
		quoted := p.f.d.Quote && bytes.IndexByte(text[:end], '"') >= 0
		rec := text[:end]
		r.line, r.base = line, pos
		line++
		if quoted {
			end, cells, bad = p.f.cells(text, true, nil)
			rec = text[:end]
			line = r.line + int64(bytes.Count(rec, newline))
		}
		pos += end
		switch {
		case isBlank(rec):
		case len(rec) > c.plan.maxLine:
			c.reject(r.line, "", tooLongFault, len(rec), c.plan.maxLine)
		case bad != "":
			c.reject(r.line, p.name(cells-1), "%s", bad)
		case c.dirty && p.rejectText(c, rec, r.line):
		case quoted:
			r.start()
			p.f.cells(rec, true, split)
			r.finish()
		default:
			r.start()
			c.ends = splitAt(c.ends[:0], rec, 0, len(trimLine(rec)), delim)
			lo := 0
			for _, end := range c.ends {
				r.cell(lo, int(end))
				lo = int(end) + 1
			}
			r.finish()
		}
	}
}

// rejectText rejects a record that is no text.
func (p *csvParser) rejectText(c *chunk, rec []byte, line int64) bool {
	at, f := textFault(rec)
	if f != "" {
		c.reject(line, p.name(p.columnAt(rec, at)), "%s", f)
	}
	return f != ""
}

// columnAt returns the column of a place in a record.
func (p *csvParser) columnAt(rec []byte, at int) int {
	k := -1
	p.f.cells(bytes.Clone(rec), true, func(lo, _ int) {
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
	p     *csvParser
	c     *chunk
	base  int // of the record in c.data
	line  int64
	k     int // cells so far
	tok   []span
	num   []float64
	label float32
	group int64
	time  float64

	column    int // of the first fault
	fault     string
	faultCell []byte
}

func (r *csvRow) start() {
	r.tok, r.num = r.c.begin()
	r.k, r.fault, r.label, r.group, r.time = 0, "", 0, 0, 0
}

// cell takes the next cell, data[base+lo:base+hi].
func (r *csvRow) cell(lo, hi int) {
	k := r.k
	if r.k++; k >= len(r.p.acts) {
		return
	}
	a := &r.p.acts[k]
	lo, hi = lo+r.base, hi+r.base
	text := r.c.data[lo:hi]
	for _, m := range r.p.f.d.Missing {
		if string(text) == m {
			text, hi = nil, lo
		}
	}
	if a.tok >= 0 {
		r.tok[a.tok] = span{uint32(lo), uint32(hi)}
	}
	if a.num >= 0 {
		v, ok := parseNumber(text)
		if r.num[a.num] = v; !ok {
			r.wrong(k, numberFault, text)
		}
	}
	if a.label && !(len(text) == 0 && r.c.plan.unlabelled) {
		v, ok := parseLabel(text)
		if r.label = v; !ok {
			r.wrong(k, labelFault, text)
		}
	}
	if a.group {
		if r.group = parseGroup(text); len(text) == 0 {
			r.wrong(k, "%s is blank; want the key of a group", text)
		}
	}
	if a.time {
		v, ok := parseTime(text)
		if r.time = v; !ok {
			r.wrong(k, "%s is not a time; want a number, 2006-01-02, 2006-01-02 15:04:05 or RFC 3339", text)
		}
	}
}

// wrong remembers the first fault of the row.
func (r *csvRow) wrong(column int, format string, cell []byte) {
	if r.fault == "" {
		r.fault, r.column, r.faultCell = format, column, cell
	}
}

func (r *csvRow) finish() {
	switch {
	case r.k != len(r.p.acts):
		r.c.reject(r.line, "", "%d columns, want %d as in the header", r.k, len(r.p.acts))
	case r.fault != "":
		r.c.reject(r.line, r.p.names[r.column], r.fault, show(r.faultCell))
	default:
		r.c.end(r.label, r.group, r.time)
	}
}

var timeLayouts = []string{time.DateTime, time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04:05"}

// parseTime returns a time as a number: as it is, or the seconds of Unix time of a date.
func parseTime(s []byte) (float64, bool) {
	if v, ok := parseNumber(s); ok {
		return v, !math.IsNaN(v)
	}
	for _, l := range timeLayouts {
		if t, err := time.Parse(l, string(s)); err == nil {
			return float64(t.Unix()) + float64(t.Nanosecond())/1e9, true
		}
	}
	return 0, false
}
