package ckpt

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Info describes a tensor of a file.
type Info struct {
	Name  string
	DType DType
	Shape []int
	begin int64 // of the data, from the end of the header
}

// elements returns the product of the shape, or false if that, in bytes, is more than an int64.
func elements(shape []int, size int) (int64, bool) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 || d != 0 && n > math.MaxInt64/int64(size)/int64(d) {
			return 0, false
		}
		n *= int64(d)
	}
	return n, true
}

// Elements returns the number of the tensor's elements.
func (t *Info) Elements() int {
	n, _ := elements(t.Shape, t.DType.Size())
	return int(n)
}

func (t *Info) bytes() int64 { return int64(t.Elements()) * int64(t.DType.Size()) }

const (
	metaKey   = "__metadata__"
	maxHeader = 100_000_000 // bytes, the format's limit
	// maxData bounds a file that is described: far above any disk, far below overflow of the offsets.
	maxData = 1 << 55
)

// The checksum is the xxhash64 of the whole file with zeros in place of its own digits. It is written as a fixed number of
// digits at a known place of the header, so that a writer can stream and fill it in at the end.
const (
	// checksumKey is the key of the checksum in the metadata.
	checksumKey    = "splice.checksum"
	checksumPrefix = "xxh64:"
	checksumDigits = 16
)

var zeroDigits = bytes.Repeat([]byte("0"), checksumDigits)

// makeHeader returns the header of a file with the given tensors, whose offsets it sets, and where in it the digits of the
// checksum are. The same input gives the same bytes.
func makeHeader(tensors []Info, meta map[string]string) (head []byte, digits int, err error) {
	var b bytes.Buffer
	str := func(s string) {
		if !utf8.ValidString(s) {
			err = errors.Join(err, fmt.Errorf("%q is not valid UTF-8", s))
		}
		q, _ := json.Marshal(s) // a string cannot fail
		b.Write(q)
	}
	keys := make([]string, 0, len(meta))
	for k := range meta {
		if k != checksumKey { // of the file that it was read from
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	b.WriteString(`{"` + metaKey + `":{"` + checksumKey + `":"` + checksumPrefix)
	digits = b.Len()
	b.Write(zeroDigits)
	b.WriteByte('"')
	for _, k := range keys {
		if strings.HasPrefix(meta[k], checksumPrefix) {
			err = errors.Join(err, fmt.Errorf("metadata %s: a value that begins with %s is a checksum", k, checksumPrefix))
		}
		b.WriteByte(',')
		str(k)
		b.WriteByte(':')
		str(meta[k])
	}
	b.WriteByte('}')

	seen := make(map[string]bool, len(tensors))
	at := int64(0)
	for i := range tensors {
		t := &tensors[i]
		n, ok := elements(t.Shape, max(1, t.DType.Size()))
		switch {
		case t.Name == metaKey || seen[t.Name]:
			err = errors.Join(err, fmt.Errorf("tensor %s: duplicate or reserved name", t.Name))
		case t.DType.Size() == 0:
			err = errors.Join(err, fmt.Errorf("tensor %s: type %q is not supported", t.Name, t.DType))
		case !ok || at+n*int64(t.DType.Size()) > maxData:
			err = errors.Join(err, fmt.Errorf("tensor %s: shape %v is impossible", t.Name, t.Shape))
		}
		if err != nil {
			continue
		}
		seen[t.Name] = true
		t.begin = at
		at += n * int64(t.DType.Size())
		b.WriteByte(',')
		str(t.Name)
		b.WriteString(`:{"dtype":"` + string(t.DType) + `","shape":[`)
		for k, d := range t.Shape {
			if k > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Itoa(d))
		}
		fmt.Fprintf(&b, `],"data_offsets":[%d,%d]}`, t.begin, at)
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 { // the data begins at a multiple of 8 bytes
		b.WriteByte(' ')
	}
	if b.Len() > maxHeader {
		err = errors.Join(err, fmt.Errorf("header of %d bytes, the format allows %d", b.Len(), maxHeader))
	}
	return b.Bytes(), digits, err
}

// parseHeader reads a header whose file has size bytes after it. The tensors are in the order of their data, which they
// cover without gap or overlap. A [truncatedError] says that all is well but the data too short.
func parseHeader(head []byte, size int64) (tensors []Info, meta map[string]string, err error) {
	if !utf8.Valid(head) {
		return nil, nil, errors.New("header is not valid UTF-8")
	}
	if len(head) == 0 || head[0] != '{' {
		return nil, nil, errors.New("header is not a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(head))
	ends := map[string]int64{}
	err = object(dec, func(name string) error {
		if name == metaKey {
			meta = map[string]string{}
			return object(dec, func(key string) error {
				var v *string
				if err := dec.Decode(&v); err != nil || v == nil {
					return fmt.Errorf("%s: %s is not a string", metaKey, key)
				}
				meta[key] = *v
				return nil
			})
		}
		t, end, err := parseInfo(dec, name)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", name, err)
		}
		tensors, ends[name] = append(tensors, t), end
		return nil
	})
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = errors.New("more follows after the JSON object")
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	slices.SortStableFunc(tensors, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(ends[a.Name], ends[b.Name]))
	})
	at, before := int64(0), "the header"
	for _, t := range tensors {
		switch {
		case t.begin < at:
			return nil, nil, fmt.Errorf("header: tensor %s overlaps %s", t.Name, before)
		case t.begin > at:
			return nil, nil, fmt.Errorf("header: %d bytes of no tensor between %s and %s", t.begin-at, before, t.Name)
		}
		at, before = ends[t.Name], t.Name
	}
	switch {
	case at > size:
		return nil, nil, truncatedError{at}
	case at < size:
		return nil, nil, fmt.Errorf("header: %d bytes follow after the last tensor", size-at)
	}
	return tensors, meta, nil
}

// truncatedError is a file that ends before the data, of which there should be these bytes.
type truncatedError struct{ data int64 }

func (e truncatedError) Error() string {
	return fmt.Sprintf("truncated: %d bytes of data missing", e.data)
}

// parseInfo reads {"dtype":..,"shape":[..],"data_offsets":[begin,end]}.
func parseInfo(dec *json.Decoder, name string) (t Info, end int64, err error) {
	var offsets, shape []*int64 // pointers, as null would read as 0
	err = object(dec, func(key string) error {
		var v any
		switch key {
		case "dtype":
			v = &t.DType
		case "shape":
			v = &shape
		case "data_offsets":
			v = &offsets
		default:
			return fmt.Errorf("unknown key %q", key)
		}
		if err := dec.Decode(v); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	if err != nil {
		return t, 0, err
	}
	if shape == nil || len(offsets) != 2 || slices.Contains(shape, nil) || slices.Contains(offsets, nil) {
		return t, 0, errors.New("needs dtype, shape and two data_offsets")
	}
	if t.DType.Size() == 0 {
		return t, 0, fmt.Errorf("type %q is not supported", t.DType)
	}
	t.Name, t.Shape, t.begin, end = name, make([]int, len(shape)), *offsets[0], *offsets[1]
	for i, d := range shape {
		if *d < 0 || *d > math.MaxInt {
			return t, 0, fmt.Errorf("dimension %d is impossible", *d)
		}
		t.Shape[i] = int(*d)
	}
	n, ok := elements(t.Shape, t.DType.Size())
	if !ok || n > math.MaxInt/int64(t.DType.Size()) {
		return t, 0, fmt.Errorf("shape %v is impossible", t.Shape)
	}
	if t.begin < 0 || end < t.begin || end > maxData {
		return t, 0, fmt.Errorf("data_offsets [%d %d] are impossible", t.begin, end)
	}
	if want := n * int64(t.DType.Size()); end-t.begin != want {
		return t, 0, fmt.Errorf("%s %v takes %d bytes, data_offsets [%d %d] are %d", t.DType, t.Shape, want, t.begin, end, end-t.begin)
	}
	return t, end, nil
}

// object reads a JSON object; f reads the value of each key. A key that comes twice is an error.
func object(dec *json.Decoder, f func(key string) error) error {
	t, err := dec.Token()
	if err != nil {
		return noEOF(err)
	}
	if t != json.Delim('{') {
		return fmt.Errorf("have %v, want an object", t)
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return noEOF(err)
		}
		key := t.(string) // all keys of JSON are strings, or Token is an error
		if seen[key] {
			return fmt.Errorf("duplicate key %q", key)
		}
		seen[key] = true
		if err := f(key); err != nil {
			return noEOF(err)
		}
	}
	_, err = dec.Token()
	return noEOF(err)
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
