package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
)

// reader reads the body of a request for scores or recommendations, once from its beginning to its end, into rows.
type reader struct {
	dec    jsontext.Decoder
	source bytes.Buffer
	text   string // the body, of which names, strings and numbers are parts
	limits *Limits
	read   int // values until now
	req    rowsRequest
	err    error        // of what is valid JSON and no request
	list   []splice.Row // for the request's rows
	spare  []splice.Row // without values, of requests before
}

// rowsRequest is the body of a request for scores or recommendations.
type rowsRequest struct {
	Model string
	K     *int
	Rows  []splice.Row // the first ones, up to the limit; nil if the request has none
	Count int          // of the rows
	Fault error        // of the first row that has one
}

// readers are those that no request uses.
var readers = sync.Pool{New: func() any { return new(reader) }}

// mostSpare bounds the rows that a reader keeps, and mostCells their values.
const (
	mostSpare = 256
	mostCells = 256
)

// read reads a body. What it returns is valid until the reader is put back.
func (s *Server) read(body []byte) (*reader, error) {
	r := readers.Get().(*reader)
	r.source, r.text, r.limits = *bytes.NewBuffer(body), string(body), &s.Limits
	r.dec.Reset(&r.source, jsontext.AllowDuplicateNames(true)) // rows look for them themselves
	err := r.body()
	if err == nil {
		return r, nil
	}
	r.put()
	var f *failure
	if !errors.As(err, &f) {
		if !utf8.Valid(body) {
			return nil, refuse("the body is no UTF-8")
		}
		err = refuse("the body: %s", jsonFault(err))
	}
	return nil, err
}

// put lets other requests use the reader. Nobody may use the rows any more.
func (r *reader) put() {
	for _, row := range r.list {
		if row != nil && len(row) <= mostCells && len(r.spare) < mostSpare {
			clear(row)
			r.spare = append(r.spare, row)
		}
	}
	clear(r.list)
	if cap(r.list) > mostSpare {
		r.list = nil
	}
	r.source, r.text, r.limits, r.read = bytes.Buffer{}, "", nil, 0
	r.req, r.list, r.err = rowsRequest{}, r.list[:0], nil
	readers.Put(r)
}

// body reads the whole body. Faults of its JSON come before those of what it says.
func (r *reader) body() error {
	var err error
	switch kind := r.dec.PeekKind(); kind {
	case jsontext.KindBeginObject:
		err = r.members()
	case jsontext.KindNull: // a request without members
		err = r.skip()
	default:
		err = r.skip()
		r.refuse("the body: it is a JSON %s; want an object", kindName(kind))
	}
	if err != nil {
		return err
	}
	end := r.dec.InputOffset()
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return refuse("the body: there is more after its JSON, at byte %d", end)
	}
	return r.err
}

// refuse notes what is wrong with the request. The first such note counts.
func (r *reader) refuse(format string, args ...any) {
	if r.err == nil {
		r.err = refuse(format, args...)
	}
}

// members reads the object that a body is.
func (r *reader) members() error {
	if err := r.open(); err != nil {
		return err
	}
	had := map[string]bool{}
	for r.dec.PeekKind() != jsontext.KindEndObject {
		name, err := r.string()
		if err != nil {
			return err
		}
		if had[name] {
			r.refuse("the body: %s is there twice", quote(name))
		}
		if r.err == nil { // so that it stays small
			had[name] = true
		}
		if err := r.member(name); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// member reads the value of a member of the body.
func (r *reader) member(name string) error {
	switch kind := r.dec.PeekKind(); {
	case name != "model" && name != "rows" && name != "k":
		r.refuse("the body: unknown field %s", quote(name))
	case kind == jsontext.KindNull: // as if it were not there
	case name == "model" && kind == jsontext.KindString:
		if err := r.count(); err != nil {
			return err
		}
		var err error
		r.req.Model, err = r.string()
		return err
	case name == "rows" && kind == jsontext.KindBeginArray:
		return r.rows()
	case name == "k" && kind == jsontext.KindNumber:
		text, err := r.number()
		if err != nil {
			return err
		}
		k, err := strconv.Atoi(text)
		if err != nil {
			r.refuse("the body: %q is a JSON number %s, which it cannot be", name, bound.Name(text))
		}
		r.req.K = &k
		return nil
	default:
		r.refuse("the body: %q is a JSON %s, which it cannot be", name, kindName(kind))
	}
	return r.skip()
}

// rows reads the list of rows.
func (r *reader) rows() error {
	if err := r.open(); err != nil {
		return err
	}
	list := r.list[:0]
	if list == nil {
		list = []splice.Row{}
	}
	for r.req.Count = 0; r.dec.PeekKind() != jsontext.KindEndArray; r.req.Count++ {
		if r.req.Count >= r.limits.Rows || r.req.Fault != nil || r.err != nil { // the answer is an error
			if err := r.skip(); err != nil {
				return err
			}
			continue
		}
		row, bad, err := r.row()
		if err != nil {
			return err
		}
		if bad != nil {
			bad.Row = r.req.Count
			r.req.Fault = bad
		}
		list = append(list, row)
	}
	r.req.Rows, r.list = list, list
	_, err := r.dec.ReadToken()
	return err
}

// row reads a row. bad says what is wrong with one that is valid JSON.
func (r *reader) row() (row splice.Row, bad *data.ValueError, err error) {
	if r.dec.PeekKind() != jsontext.KindBeginObject {
		return nil, &data.ValueError{Msg: "is no JSON object; want one of values by column"}, r.skip()
	}
	if err := r.open(); err != nil {
		return nil, nil, err
	}
	if n := len(r.spare) - 1; n >= 0 {
		row, r.spare = r.spare[n], r.spare[:n]
	} else {
		row = splice.Row{}
	}
	n := 0
	for ; r.dec.PeekKind() != jsontext.KindEndObject; n++ {
		name, err := r.string()
		if err != nil {
			return row, nil, err
		}
		v, fault, err := r.value(true)
		if err != nil {
			return row, nil, err
		}
		if row[name] = v; fault != "" && bad == nil {
			bad = &data.ValueError{Column: name, Msg: fault + wantValue}
		}
	}
	if n != len(row) {
		bad = &data.ValueError{Msg: "has a column twice"}
	}
	_, err = r.dec.ReadToken()
	return row, bad, err
}

// value reads a value of a row, or of a list in one. fault says what is wrong with a value that JSON has and rows have not.
func (r *reader) value(lists bool) (v any, fault string, err error) {
	switch kind := r.dec.PeekKind(); {
	case kind == jsontext.KindString:
		if err := r.count(); err != nil {
			return nil, "", err
		}
		v, err = r.string()
		return v, "", err
	case kind == jsontext.KindNumber:
		text, err := r.number()
		return json.Number(text), "", err
	case kind == jsontext.KindNull:
		return nil, "", r.skip()
	case kind == jsontext.KindBeginArray && lists:
		return r.values()
	case kind == jsontext.KindBeginArray:
		return nil, "a list of lists is no value", r.skip()
	case kind == jsontext.KindBeginObject:
		return nil, "an object is no value", r.skip()
	default: // or no JSON
		return nil, "true and false are no values", r.skip()
	}
}

// values reads a list of values.
func (r *reader) values() (v any, fault string, err error) {
	if err := r.open(); err != nil {
		return nil, "", err
	}
	list := []any{}
	for i := 0; r.dec.PeekKind() != jsontext.KindEndArray; i++ {
		x, bad, err := r.value(false)
		if err != nil {
			return nil, "", err
		}
		if bad != "" && fault == "" {
			fault = fmt.Sprintf("value %d of the list: %s", i, bad)
		}
		list = append(list, x)
	}
	_, err = r.dec.ReadToken()
	return list, fault, err
}

// open reads the beginning of an object or a list.
func (r *reader) open() error {
	if err := r.count(); err != nil {
		return err
	}
	_, err := r.dec.ReadToken()
	return err
}

// skip reads a value of any kind.
func (r *reader) skip() error {
	for depth := 0; ; {
		kind := r.dec.PeekKind()
		name := false
		if in, n := r.dec.StackIndex(r.dec.StackDepth()); in == jsontext.KindBeginObject {
			name = n%2 == 0
		}
		if kind != jsontext.KindEndObject && kind != jsontext.KindEndArray && !name {
			if err := r.count(); err != nil {
				return err
			}
		}
		if _, err := r.dec.ReadToken(); err != nil {
			return err
		}
		switch kind {
		case jsontext.KindBeginObject, jsontext.KindBeginArray:
			depth++
		case jsontext.KindEndObject, jsontext.KindEndArray:
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// string reads a string, or the name of a member.
func (r *reader) string() (string, error) {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return "", err
	}
	if bytes.IndexByte(raw, '\\') >= 0 {
		text, err := jsontext.AppendUnquote(nil, raw)
		return string(text), err
	}
	end := int(r.dec.InputOffset())
	return r.text[end-len(raw)+1 : end-1], nil
}

// number reads the digits of a number.
func (r *reader) number() (string, error) {
	if err := r.count(); err != nil {
		return "", err
	}
	raw, err := r.dec.ReadValue()
	end := int(r.dec.InputOffset())
	if err != nil {
		return "", err
	}
	return r.text[end-len(raw) : end], nil
}

// count counts a value before it is read.
func (r *reader) count() error {
	if r.read++; r.read > r.limits.Values {
		return refuse("the body has more than %d values: send fewer rows at once", r.limits.Values)
	}
	return nil
}

// kindName is the name of a kind of JSON in messages.
func kindName(k jsontext.Kind) string {
	switch k {
	case jsontext.KindBeginObject:
		return "object"
	case jsontext.KindBeginArray:
		return "array"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "bool"
	}
	return k.String()
}
