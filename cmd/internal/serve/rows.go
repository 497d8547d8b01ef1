package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
)

// decode reads a body's JSON into v, whose keys are all that it may have if strict is true. Numbers keep their digits.
func (s *Server) decode(body []byte, v any, strict bool) error {
	if !utf8.Valid(body) {
		return refuse("the body is no UTF-8")
	}
	if err := bound.Values(body, s.Values); err != nil {
		return refuse("the body has more than %d values: send fewer rows at once", s.Values)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if strict {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(v); err != nil {
		return refuse("the body: %s", jsonFault(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return refuse("the body: there is more after its JSON, at byte %d", dec.InputOffset())
	}
	return nil
}

// jsonFault says what is wrong with JSON.
func jsonFault(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return "it is empty; want a JSON object"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "its JSON ends too early"
	case errors.As(err, &syntax):
		return fmt.Sprintf("%v, at byte %d", err, syntax.Offset)
	case errors.As(err, &kind) && kind.Field == "":
		return "it is a JSON " + kind.Value + "; want an object"
	case errors.As(err, &kind):
		return fmt.Sprintf("%q is a JSON %s, which it cannot be", kind.Field, kind.Value)
	}
	return string(bytes.TrimPrefix([]byte(err.Error()), []byte("json: ")))
}

// rows reads the rows of a request.
func (s *Server) rows(list []json.RawMessage) ([]splice.Row, error) {
	if err := s.count(len(list)); err != nil {
		return nil, err
	}
	rows := make([]splice.Row, 0, len(list))
	for i, text := range list {
		row, bad := readRow(text)
		if bad != nil {
			bad.Row = i
			return nil, bad
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// count checks the number of rows of a request.
func (s *Server) count(n int) error {
	if n > s.Rows {
		return refuse("%d rows: a request may have %d; send several", n, s.Rows)
	}
	return nil
}

// readRow reads a row, which is valid JSON.
func readRow(text []byte) (splice.Row, *data.ValueError) {
	var row splice.Row
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&row); err != nil || row == nil {
		return nil, &data.ValueError{Msg: "is no JSON object; want one of values by column"}
	}
	if members(text) != len(row) {
		return nil, &data.ValueError{Msg: "has a column twice"}
	}
	for name, v := range row {
		if bad := fault(v, true); bad != "" {
			return nil, &data.ValueError{Column: name, Msg: bad}
		}
	}
	return row, nil
}

// fault says what is wrong with a value that JSON has and rows have not.
func fault(v any, lists bool) string {
	kind := ""
	switch v := v.(type) {
	case bool:
		kind = "true and false are no values"
	case map[string]any:
		kind = "an object is no value"
	case []any:
		if !lists {
			kind = "a list of lists is no value"
		}
		for i, x := range v {
			if bad := fault(x, false); bad != "" {
				return fmt.Sprintf("value %d of the list: %s", i, bad)
			}
		}
	}
	if kind == "" {
		return ""
	}
	return kind + "; want a string, a number, a list of these, or null for a blank"
}

// members counts the members of a JSON object, also those of one name.
func members(text []byte) int {
	n, depth, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ':' && depth == 1:
			n++
		}
	}
	return n
}
