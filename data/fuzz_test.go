package data

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// A feature map is refused, or it has the features that it says, and is the same after it was saved.
func FuzzFeatureMap(f *testing.F) {
	for _, s := range []string{
		"", "{}", "[]", "null", `{"version":1,"rows":1,"features":[]}`, `{"version":1,"rows":-1,"features":[{"name":"a","kind":0,"table":"a"}]}`,
		`{"version":1,"rows":4,"features":[{"name":"a","kind":0,"table":"a"},{"name":"n","kind":1,"transform":"raw"}],"vocabularies":{"a":{"tokens":["x","y"],"counts":[2,1]}}}`,
		`{"version":1,"rows":1,"features":[{"name":"a","kind":77,"table":"b"}]}`, strings.Repeat("[", 20000), "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00",
	} {
		f.Add(true, []byte(s))
		f.Add(false, []byte(s))
	}
	w, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text bool, b []byte) {
		if text {
			b = w.EncodeAll(b, nil)
		}
		m, err := decodeMap(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if m.Text != nil { // its tokenizer is a file of its own
			return
		}
		path := filepath.Join(t.TempDir(), MapFile)
		if err := m.Save(path); err != nil {
			t.Fatalf("%q: a map that was read cannot be saved: %v", b, err)
		}
		again, err := LoadFeatureMap(path)
		if err != nil || again.Digest() != m.Digest() {
			t.Fatalf("%q: another map after it was saved: %v", b, err)
		}
	})
}
