package text

import (
	"encoding/json"

	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/scan"
)

// objects parses lines of JSON. The texts of the block, without escapes, take the place of its data.
func (p *parser) objects(c *scan.Chunk) {
	data := c.Data
	texts := make([]byte, 0, len(data))
	line := c.Line
	for pos := 0; pos < len(data); line++ {
		end := scan.Lines{}.Record(data[pos:], true)
		rec := data[pos : pos+end]
		pos += end
		r := row{p: p, c: c, line: line}
		switch {
		case scan.IsBlank(rec):
		case len(rec) > c.Plan.MaxLine:
			c.Reject(line, "", scan.TooLongFault, len(rec), c.Plan.MaxLine)
		case r.rejectNUL(rec):
		default:
			texts = r.object(texts, rec)
		}
	}
	c.Data = texts
}

// object appends the texts of a record, and keeps the row.
func (r *row) object(texts, rec []byte) []byte {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(rec, &object); err != nil {
		r.c.Reject(r.line, "", "the line is no JSON object: %v", err)
		return texts
	}
	for i, at := range r.p.at {
		if at < 0 {
			continue
		}
		name := r.p.names[at]
		raw, ok := object[name]
		if !ok || string(raw) == "null" {
			r.c.Reject(r.line, name, "is missing in this row; it has %s", namelist.Show(namelist.Sorted(object)))
			return texts
		}
		lo := len(texts)
		var s string
		switch {
		case raw[0] == '"':
			if err := json.Unmarshal(raw, &s); err != nil {
				r.c.Reject(r.line, name, "%v", err)
				return texts
			}
			texts = append(texts, s...)
		case i == labelCell && raw[0] != '{' && raw[0] != '[':
			texts = append(texts, raw...)
		default:
			r.c.Reject(r.line, name, "%s is no text; want a string in quotes", scan.Show(raw))
			return texts
		}
		r.tok[i] = scan.Span{Lo: uint32(lo), Hi: uint32(len(texts))}
	}
	r.keep(texts)
	return texts
}
