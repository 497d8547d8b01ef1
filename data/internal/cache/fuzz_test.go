package cache

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/scan"
)

// An index of a cache, whose checksum is right, is refused, or it is of the files that it was asked for, and its rows are where it says.
func FuzzIndex(f *testing.F) {
	dir := f.TempDir()
	d := At(dir, slog.New(slog.DiscardHandler))
	rows := filepath.Join(dir, "rows.tsv")
	part := d.PartPath("k", data.Part(0))
	content := []byte(Magic + strings.Repeat("x", 24))
	for path, b := range map[string][]byte{rows: nil, part: content} {
		if err := os.WriteFile(path, b, 0o666); err != nil {
			f.Fatal(err)
		}
	}
	nothing := xxhash.Sum64(nil) // the file is empty
	sum := scan.FileSum{Path: rows, Sample: nothing, Hash: nothing}
	hash, err := scan.HashFile(part)
	if err != nil {
		f.Fatal(err)
	}
	path := d.Path("k", ".json")
	for _, p := range []File{
		{Rows: 3, Record: 8, Hash: hash},
		{Rows: 3, Record: 8, Bytes: int64(len(content)), Hash: hash},
		{Rows: -3, Record: -8, Hash: hash},
		{Rows: -1, Bytes: int64(len(content)), Hash: hash},
		{Rows: 1 << 62, Record: 16, Bytes: int64(len(content)), Hash: hash},
		{Rows: 1<<61 + 3, Record: 8, Hash: hash},
		{Record: 8},
		{Rows: 1 << 40, Bytes: int64(len(content)), Hash: hash},
	} {
		if err := d.WriteIndex("k", &Entry{Sources: []scan.FileSum{sum}, Parts: [3]File{p}, Rows: p.Rows}); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		_, body, _ := bytes.Cut(b[2:], []byte("\n"))
		f.Add(body)
	}
	for _, s := range []string{
		"", "}", "null", "[1]", "\"sources\": null\n}", "\"sources\": [], \"parts\": [{}, {}, {}, {}]}", "\"rows\": -1}", "\"rows\": 1e300}", "\"x\": " + strings.Repeat("[", 20000),
		"\"first\": [\"\\u001b[2J\"]}", "\"parts\": [{\"rows\": 9223372036854775807, \"record\": 9223372036854775807}]}", "\"map\": 7}", "} {}", "\x00\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		all := append([]byte("{\n"), body...)
		if err := os.WriteFile(path, fmt.Appendf(nil, "{\n  \"checksum\": \"%x\",\n%s", sha256.Sum256(all), body), 0o666); err != nil {
			t.Fatal(err)
		}
		e := d.Open("k", []string{rows})
		if e == nil {
			return
		}
		if len(e.Sources) != 1 || e.Sources[0].Path != rows {
			t.Fatalf("%q: made from %v", body, e.Sources)
		}
		for i, p := range e.Parts {
			if i > 0 && p.Rows != 0 || p.Rows < 0 || p.Rows > 24 || p.Record < 0 || p.Bytes == 0 && p.Rows > 0 && int64(p.Record)*p.Rows != 24 {
				t.Fatalf("%q: part %d is %+v", body, i, p)
			}
		}
		if e.Rows < 0 || e.Skipped < 0 || e.Cut < 0 {
			t.Fatalf("%q: %+v", body, e)
		}
	})
}
