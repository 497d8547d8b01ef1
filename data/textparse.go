package data

import (
	"bytes"
	"encoding/json"
	"math"
)

// textParser parses the rows of one file of texts. Bytes that are no UTF-8 are left as they are: the tokenizer reads each as
// one U+FFFD.
type textParser struct {
	*textFormat
	names []string
	at    [3]int // columns of text, pair and label; -1: none
}

func (p *textParser) parse(c *chunk) {
	if p.kind == formatJSONL {
		p.objects(c)
		return
	}
	line := c.line
	for pos := 0; pos < len(c.data); {
		text := c.data[pos:]
		end, cells, bad := lines{}.record(text, true), 0, ""
		quoted := p.d.Quote && bytes.IndexByte(text[:end], '"') >= 0
		at := line
		line++
		if quoted {
			end, cells, bad = p.cells(text, true, nil)
			line = at + int64(bytes.Count(text[:end], newline))
			if end > 0 && text[end-1] != '\n' {
				line++
			}
		}
		rec := text[:end]
		r := textRow{p: p, c: c, line: at, base: pos}
		pos += end
		switch {
		case isBlank(rec):
		case len(rec) > c.plan.maxLine:
			c.reject(at, "", tooLongFault, len(rec), c.plan.maxLine)
		case bad != "":
			c.reject(at, p.name(cells-1), "%s", bad)
		case r.rejectNUL(rec):
		case quoted:
			p.cells(rec, true, r.cell)
			r.finish()
		case p.kind == formatLines:
			r.cell(0, len(trimLine(rec)))
			r.finish()
		default:
			r.split(trimLine(rec), p.d.delimiter()[0])
			r.finish()
		}
	}
}

// name names column k of the file.
func (p *textParser) name(k int) string {
	if k < len(p.names) {
		return p.names[k]
	}
	return ""
}

// textRow is a row while its cells come in.
type textRow struct {
	p    *textParser
	c    *chunk
	base int // of the record in c.data
	line int64
	k    int // cells so far
	tok  [textTokens]span
}

// rejectNUL rejects a record of a binary file.
func (r *textRow) rejectNUL(rec []byte) bool {
	if !r.c.dirty {
		return false
	}
	_, f := nulFault(rec)
	if f != "" {
		r.c.reject(r.line, "", "%s", f)
	}
	return f != ""
}

// split takes the cells of a record without quotes; the last of maxColumns is the rest of it.
func (r *textRow) split(rec []byte, delim byte) {
	most := r.p.spec.maxColumns
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
func (r *textRow) cell(lo, hi int) {
	for i, at := range r.p.at {
		if at == r.k {
			r.tok[i] = span{uint32(r.base + lo), uint32(r.base + hi)}
		}
	}
	r.k++
}

// finish keeps the row, or says what is wrong with it.
func (r *textRow) finish() {
	if r.k != len(r.p.names) {
		r.c.reject(r.line, "", "%d columns, want %d (%s); is a delimiter missing or one too many?", r.k, len(r.p.names), someNames(r.p.names))
		return
	}
	r.keep(r.c.data)
}

// keep keeps the row, whose tokens lie in data.
func (r *textRow) keep(data []byte) {
	label := float32(0)
	if r.p.at[textLabel] >= 0 {
		cell := data[r.tok[textLabel].lo:r.tok[textLabel].hi]
		v, fault := r.p.value(cell)
		if fault != "" {
			r.c.reject(r.line, r.p.spec.label, fault, show(cell), labelNames(r.p.known))
			return
		}
		label = v
	}
	tok, _ := r.c.begin()
	copy(tok, r.tok[:])
	r.c.end(label, 0, 0)
}

// value returns the label that a cell says.
func (f *textFormat) value(cell []byte) (float32, string) {
	switch {
	case len(cell) == 0:
		return 0, "%[1]s: the label is blank; want one on every row"
	case f.spec.regression:
		v, ok := parseNumber(cell)
		if !ok || math.IsNaN(v) {
			return 0, "label %[1]s is not a number; want digits like 2.5 (regression)"
		}
		return float32(v), ""
	case f.index == nil:
		return 0, ""
	}
	v, ok := f.index[string(cell)]
	if !ok {
		return 0, "unknown label %[1]s; the labels are %[2]s"
	}
	return v, ""
}

// objects parses lines of JSON. The texts of the block, without escapes, take the place of its data.
func (p *textParser) objects(c *chunk) {
	data := c.data
	texts := make([]byte, 0, len(data))
	line := c.line
	for pos := 0; pos < len(data); line++ {
		end := lines{}.record(data[pos:], true)
		rec := data[pos : pos+end]
		pos += end
		r := textRow{p: p, c: c, line: line}
		switch {
		case isBlank(rec):
		case len(rec) > c.plan.maxLine:
			c.reject(line, "", tooLongFault, len(rec), c.plan.maxLine)
		case r.rejectNUL(rec):
		default:
			texts = r.object(texts, rec)
		}
	}
	c.data = texts
}

// object appends the texts of a record, and keeps the row.
func (r *textRow) object(texts, rec []byte) []byte {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(rec, &object); err != nil {
		r.c.reject(r.line, "", "the line is no JSON object: %v", err)
		return texts
	}
	for i, at := range r.p.at {
		if at < 0 {
			continue
		}
		name := r.p.names[at]
		raw, ok := object[name]
		if !ok || string(raw) == "null" {
			r.c.reject(r.line, name, "is missing in this row; it has %s", someNames(sortedKeys(object)))
			return texts
		}
		lo := len(texts)
		var s string
		switch {
		case raw[0] == '"':
			if err := json.Unmarshal(raw, &s); err != nil {
				r.c.reject(r.line, name, "%v", err)
				return texts
			}
			texts = append(texts, s...)
		case i == textLabel && raw[0] != '{' && raw[0] != '[':
			texts = append(texts, raw...)
		default:
			r.c.reject(r.line, name, "%s is no text; want a string in quotes", show(raw))
			return texts
		}
		r.tok[i] = span{uint32(lo), uint32(len(texts))}
	}
	r.keep(texts)
	return texts
}
