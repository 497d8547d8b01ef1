package ckpt

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

func fileOf(head string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	return append(append(b, head...), make([]byte, data)...)
}

func TestBadHeaders(t *testing.T) {
	const a = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, tc := range []struct{ name, head, want string }{
		{"empty", ``, "header is not a JSON object"},
		{"spaces", `        `, "header is not a JSON object"},
		{"array", `[]`, "header is not a JSON object"},
		{"bad JSON", `{` + a, "header: "}, // the rest is in the words of encoding/json, which change with Go
		{"bad JSON 2", `{` + a + `,}`, "header: "},
		{"more", `{` + a + `} x`, "more follows after the JSON object"},
		{"utf-8", "{\"\xff\":1}", "header is not valid UTF-8"},
		{"not an object", `{"a":1}`, "tensor a: have 1, want an object"},
		{"duplicate", `{` + a + `,` + a + `}`, `duplicate key "a"`},
		{"duplicate key", `{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, `tensor a: duplicate key "dtype"`},
		{"unknown key", `{"a":{"dtype":"F32","shape":[2],"offset":[0,8]}}`, `tensor a: unknown key "offset"`},
		{"no shape", `{"a":{"dtype":"F32","data_offsets":[0,8]}}`, "tensor a: needs dtype, shape and two data_offsets"},
		{"null in shape", `{"a":{"dtype":"F32","shape":[null],"data_offsets":[0,0]}}`, "tensor a: needs dtype"},
		{"one offset", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}`, "tensor a: needs dtype"},
		{"type", `{"a":{"dtype":"F8","shape":[8],"data_offsets":[0,8]}}`, `tensor a: type "F8" is not supported`},
		{"type of type", `{"a":{"dtype":8,"shape":[8],"data_offsets":[0,8]}}`, "tensor a: dtype: json: cannot unmarshal"},
		{"fraction", `{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,8]}}`, "tensor a: shape: json: cannot unmarshal"},
		{"negative shape", `{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, "tensor a: dimension -2 is impossible"},
		{
			"overflow", `{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,8]}}`,
			"tensor a: shape [4294967296 4294967296 4] is impossible",
		},
		{"negative offset", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}`, "tensor a: data_offsets [-8 0] are impossible"},
		{"backward", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, "tensor a: data_offsets [8 0] are impossible"},
		{"size", `{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, "tensor a: F32 [3] takes 12 bytes, data_offsets [0 8] are 8"},
		{"gap", `{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}`, "4 bytes of no tensor between the header and a"},
		{"overlap", `{` + a + `,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "tensor b overlaps a"},
		{"beyond", `{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}`, "truncated: header says "},
		{"after", `{"a":{"dtype":"U8","shape":[7],"data_offsets":[0,7]}}`, "1 bytes follow after the last tensor"},
		{"no tensors", `{}`, "8 bytes follow after the last tensor"},
		{"metadata", `{"__metadata__":{"k":1},` + a + `}`, "__metadata__: k is not a string"},
		{"metadata null", `{"__metadata__":{"k":null},` + a + `}`, "__metadata__: k is not a string"},
		{"metadata list", `{"__metadata__":[],` + a + `}`, "want an object"},
		{"checksum", `{"__metadata__":{"splice.checksum":"xxh64:12"},` + a + `}`, `checksum "xxh64:12" is not as it was written`},
		{"checksum kind", `{"__metadata__":{"splice.checksum":"sha1:0123456789abcdef"},` + a + `}`, "is not as it was written"},
		{"checksum moved", `{"__metadata__":{"splice.checksum": "xxh64:0123456789abcdef"},` + a + `}`, "is not as it was written"},
		{"checksum false", `{"__metadata__":{"splice.checksum":"xxh64:0123456789abcdef"},` + a + `}`, "the file says 0123456789abcdef"},
	} {
		b := fileOf(tc.head, 8)
		if _, err := open(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	for _, head := range []string{`{` + a + `}`, `{` + a + `}     `, `{"__metadata__":{},` + a + `}`} {
		b := fileOf(head, 8)
		if _, err := open(bytes.NewReader(b), int64(len(b))); err != nil {
			t.Errorf("%s: %v", head, err)
		}
	}
}

// FuzzHeader opens any bytes and reads what they hold: an error or values, never a panic or a huge allocation.
func FuzzHeader(f *testing.F) {
	f.Add(fileOf(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8))
	f.Add(fileOf(`{"__metadata__":{"splice.checksum":"xxh64:0123456789abcdef"},"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}`, 8))
	f.Add([]byte("PK\x03\x04"))
	if b, err := os.ReadFile("testdata/python.safetensors"); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		total := int64(0)
		for i := range r.Tensors {
			x := &r.Tensors[i]
			total += x.bytes()
			raw, err := r.Raw(x.Name)
			if err != nil || int64(len(raw)) != x.bytes() {
				t.Fatalf("tensor %q: %d of %d bytes, %v", x.Name, len(raw), x.bytes(), err)
			}
			if v, err := r.Read(x.Name); err == nil && len(v) != x.Elements() {
				t.Fatalf("tensor %q: %d values of %v", x.Name, len(v), x.Shape)
			}
		}
		if r.start+total != int64(len(b)) {
			t.Fatalf("%d bytes of tensors after %d in a file of %d", total, r.start, len(b))
		}
	})
}
