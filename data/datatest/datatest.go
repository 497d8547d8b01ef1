// Package datatest tests data sets: Check is the suite that each of them runs. Other functions write small files for tests, and open
// and read them.
package datatest

import (
	"bytes"
	"compress/gzip"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
)

// Section decodes a data section as a configuration has it.
func Section(t testing.TB, text string) data.Dataset {
	t.Helper()
	d, err := TrySection(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TrySection decodes a data section, or returns what is wrong with it.
func TrySection(text string) (data.Dataset, error) {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		return nil, err
	}
	p := &registry.Problems{File: "x.yaml"}
	d := data.Datasets.Decode(&n, p, "data")
	return d, p.Err()
}

// WriteFile writes a file into a directory of its own and returns its path.
func WriteFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Options returns options that have a cache of their own, and the log that they write to.
func Options(t testing.TB) (data.OpenOptions, *bytes.Buffer) {
	log := &bytes.Buffer{}
	return data.OpenOptions{CacheDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(log, nil))}, log
}

// Open opens a data set.
func Open(t testing.TB, d data.Dataset, o data.OpenOptions) *data.Splits {
	t.Helper()
	s, err := d.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Table holds all rows of a source.
type Table struct {
	IDs   map[string][]int32
	Dense []float32
	Label []float32
	Group []int64
}

// Read reads the epoch 0 of a source.
func Read(t testing.TB, s data.Source) *Table {
	t.Helper()
	out, err := TryRead(s)
	if err != nil {
		t.Fatal(err)
	}
	if s.Rows() >= 0 && int64(len(out.Label)) != s.Rows() {
		t.Fatalf("read %d rows of a source of %d", len(out.Label), s.Rows())
	}
	return out
}

// TryRead reads the epoch 0 of a source up to an error.
func TryRead(s data.Source) (*Table, error) {
	out := &Table{IDs: map[string][]int32{}}
	for b, err := range s.Batches(0, 7) {
		if err != nil {
			return out, err
		}
		for _, f := range s.Schema().Features {
			if f.Kind != data.Numeric {
				out.IDs[f.Name] = append(out.IDs[f.Name], b.IDs[f.Name][:b.N*max(f.MaxLen, 1)]...)
			}
		}
		out.Dense = append(out.Dense, b.Dense[:b.N*s.Schema().NumDense]...)
		out.Label = append(out.Label, b.Label[:b.N]...)
		if b.Group != nil {
			out.Group = append(out.Group, b.Group[:b.N]...)
		}
	}
	return out, nil
}

// CriteoRow returns a line whose columns are all the text of a number.
func CriteoRow(label string, cells ...string) string {
	row := make([]string, 40)
	row[0] = label
	copy(row[1:], cells)
	return strings.Join(row, "\t")
}

// Gzip compresses a text.
func Gzip(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Zstd compresses a text.
func Zstd(t testing.TB, text string) string {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(z.EncodeAll([]byte(text), nil))
}

// RealData returns the path of a file of real data, or skips the test.
func RealData(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("SPLICE_DATA")
	if dir == "" {
		dir = filepath.Join(root(t), "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no real data at %s; set SPLICE_DATA", path)
	}
	return path
}

// root returns the directory of the module.
func root(t testing.TB) string {
	t.Helper()
	for dir := "."; len(dir) < 100; dir = filepath.Join(dir, "..") {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("no go.mod in any directory above")
	return ""
}
