package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/splice-ml/splice/data/bound"
)

// decode reads a body's JSON into v. Numbers keep their digits.
func (s *Server) decode(body []byte, v any) error {
	if !utf8.Valid(body) {
		return refuse("the body is no UTF-8")
	}
	if err := bound.Values(body, s.Values); err != nil {
		return refuse("the body has more than %d values: send fewer rows at once", s.Values)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
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
	var text *jsontext.SyntacticError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return "it is empty; want a JSON object"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "its JSON ends too early"
	case errors.As(err, &text):
		return fmt.Sprintf("%v, at byte %d", text.Err, text.ByteOffset)
	case errors.As(err, &syntax):
		return fmt.Sprintf("%v, at byte %d", err, syntax.Offset)
	case errors.As(err, &kind) && kind.Field == "":
		return "it is a JSON " + kind.Value + "; want an object"
	case errors.As(err, &kind):
		return fmt.Sprintf("%q is a JSON %s, which it cannot be", kind.Field, kind.Value)
	}
	return string(bytes.TrimPrefix([]byte(err.Error()), []byte("json: ")))
}

// count checks the number of rows of a request.
func (s *Server) count(n int) error {
	if n > s.Rows {
		return refuse("%d rows: a request may have %d; send several", n, s.Rows)
	}
	return nil
}

// wantValue ends what is said of values that rows have not.
const wantValue = "; want a string, a number, a list of these, or null for a blank"

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
	return kind + wantValue
}
