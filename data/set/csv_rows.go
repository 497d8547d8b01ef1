package set

import (
	"bytes"
	"math"
	"time"

	"github.com/splice-ml/splice/data/internal/scan"
)

// csvParser parses the rows of one file.
type csvParser struct {
	f        csvFormat
	names    []string
	acts     []csvAct
	labelled bool
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
		case scan.IsBlank(rec):
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
	p     *csvParser
	c     *scan.Chunk
	base  int // of the record in c.Data
	line  int64
	k     int // cells so far
	tok   []scan.Span
	num   []float64
	label float32
	group int64
	time  float64

	column    int // of the first fault
	fault     string
	faultCell []byte
}

func (r *csvRow) start() {
	r.tok, r.num = r.c.Begin()
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
			r.wrong(k, scan.NumberFault, text)
		}
	}
	if a.label && !(len(text) == 0 && r.c.Plan.Unlabelled) {
		v, ok := scan.ParseLabel(text)
		r.label = v
		if !ok {
			r.wrong(k, scan.LabelFault, text)
		}
	}
	if a.group {
		r.group = scan.ParseGroup(text)
		if len(text) == 0 {
			r.wrong(k, "%s is blank; want the key of a group", text)
		}
	}
	if a.time {
		v, ok := parseTime(text)
		r.time = v
		if !ok {
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
		r.c.Reject(r.line, "", "%d columns, want %d as in the header", r.k, len(r.p.acts))
	case r.fault != "":
		r.c.Reject(r.line, r.p.names[r.column], r.fault, scan.Show(r.faultCell))
	default:
		r.c.End(r.label, r.group, r.time)
	}
}

var timeLayouts = []string{time.DateTime, time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04:05"}

// parseTime returns a time as a number: as it is, or the seconds of Unix time of a date.
func parseTime(s []byte) (float64, bool) {
	if v, ok := scan.ParseNumber(s); ok {
		return v, !math.IsNaN(v)
	}
	for _, l := range timeLayouts {
		if t, err := time.Parse(l, string(s)); err == nil {
			return float64(t.Unix()) + float64(t.Nanosecond())/1e9, true
		}
	}
	return 0, false
}
