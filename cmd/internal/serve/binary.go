package serve

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The extension of binary tensors: data of tensors lies behind the JSON, in the order of the tensors, little-endian. A header has the length of
// the JSON. An element of BYTES has its length before it, in four bytes.

// headerLength is the header that says how many bytes of a body are its JSON.
const headerLength = "Inference-Header-Content-Length"

// sizes are the bytes of an element of a tensor by its type; 0: each has its own.
var sizes = map[string]int{
	bytesType: 0, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, floatType: 4, numberType: 8,
}

func (t *tensor) unknownType() error {
	return refuse("input %s has type %s; want one of %s", quote(t.Name), quote(t.Datatype), strings.Join(slices.Sorted(maps.Keys(sizes)), ", "))
}

// splitBody returns the JSON of a body and what lies behind it.
func splitBody(body []byte, header string) (text, behind []byte, err error) {
	if header == "" {
		return body, nil, nil
	}
	n, err := strconv.Atoi(header)
	if err != nil || n < 0 || n > len(body) {
		return nil, nil, refuse("%s is %s, where the body has %d bytes", headerLength, quote(header), len(body))
	}
	return body[:n], body[n:], nil
}

// unpack returns n values of a tensor.
func (t *tensor) unpack(raw []byte, n int) ([]any, error) {
	size, ok := sizes[t.Datatype]
	if !ok {
		return nil, t.unknownType()
	}
	if t.Datatype == bytesType {
		return t.unpackTexts(raw, n)
	}
	if len(raw) != n*size {
		return nil, refuse("input %s has %d bytes, its shape %v of %s wants %d", quote(t.Name), len(raw), t.Shape, t.Datatype, n*size)
	}
	values := make([]any, n)
	for i := range values {
		values[i] = element(t.Datatype, raw[i*size:])
	}
	return values, nil
}

// element returns the first element of raw.
func element(datatype string, raw []byte) any {
	le := binary.LittleEndian
	switch datatype {
	case "INT8":
		return int8(raw[0])
	case "INT16":
		return int16(le.Uint16(raw))
	case "INT32":
		return int32(le.Uint32(raw))
	case "INT64":
		return int64(le.Uint64(raw))
	case "UINT8":
		return raw[0]
	case "UINT16":
		return le.Uint16(raw)
	case "UINT32":
		return le.Uint32(raw)
	case "UINT64":
		return le.Uint64(raw)
	case numberType:
		return math.Float64frombits(le.Uint64(raw))
	}
	return math.Float32frombits(le.Uint32(raw))
}

func (t *tensor) unpackTexts(raw []byte, n int) ([]any, error) {
	var values []any
	for len(values) < n {
		if len(raw) < 4 {
			return nil, refuse("input %s ends after %d of %d values", quote(t.Name), len(values), n)
		}
		size := binary.LittleEndian.Uint32(raw)
		if raw = raw[4:]; uint64(size) > uint64(len(raw)) {
			return nil, refuse("input %s: value %d has %d bytes, where %d are left", quote(t.Name), len(values), size, len(raw))
		}
		if !utf8.Valid(raw[:size]) {
			return nil, refuse("input %s: value %d is no UTF-8", quote(t.Name), len(values))
		}
		values = append(values, string(raw[:size]))
		raw = raw[size:]
	}
	if len(raw) > 0 {
		return nil, refuse("input %s has %d bytes behind its %d values", quote(t.Name), len(raw), n)
	}
	return values, nil
}

func packFloats(list []float32) []byte {
	raw := make([]byte, 0, 4*len(list))
	for _, v := range list {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}

func packTexts(list []string) []byte {
	raw := []byte{}
	for _, v := range list {
		raw = append(binary.LittleEndian.AppendUint32(raw, uint32(len(v))), v...)
	}
	return raw
}

// replyBinary writes an answer with tensors behind its JSON.
func replyBinary(w http.ResponseWriter, v any, tail []byte) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set(headerLength, strconv.Itoa(len(text)))
	w.Header().Set("Content-Length", strconv.Itoa(len(text)+len(tail)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(append(text, tail...)) // a client that has gone
	return nil
}
