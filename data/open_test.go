package data_test

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

// section decodes a data section as a configuration has it.
func section(t testing.TB, text string) data.Dataset {
	t.Helper()
	d, err := trySection(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func trySection(text string) (data.Dataset, error) {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		return nil, err
	}
	p := &registry.Problems{File: "x.yaml"}
	d := data.Datasets.Decode(&n, p, "data")
	return d, p.Err()
}

// write writes a file into a directory of its own and returns its path.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// logTo returns options with a cache of their own and the log.
func logTo(t testing.TB) (data.OpenOptions, *bytes.Buffer) {
	log := &bytes.Buffer{}
	return data.OpenOptions{CacheDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(log, nil))}, log
}

func open(t testing.TB, d data.Dataset, o data.OpenOptions) *data.Splits {
	t.Helper()
	s, err := d.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// table is all rows of a source.
type table struct {
	ids   map[string][]int32
	dense []float32
	label []float32
	group []int64
}

func read(t testing.TB, s data.Source) *table {
	t.Helper()
	out, err := tryRead(s)
	if err != nil {
		t.Fatal(err)
	}
	if s.Rows() >= 0 && int64(len(out.label)) != s.Rows() {
		t.Fatalf("read %d rows of a source of %d", len(out.label), s.Rows())
	}
	return out
}

func tryRead(s data.Source) (*table, error) {
	out := &table{ids: map[string][]int32{}}
	for b, err := range s.Batches(0, 7) {
		if err != nil {
			return out, err
		}
		for _, f := range s.Schema().Features {
			if f.Kind != data.Numeric {
				out.ids[f.Name] = append(out.ids[f.Name], b.IDs[f.Name][:b.N*max(f.MaxLen, 1)]...)
			}
		}
		out.dense = append(out.dense, b.Dense[:b.N*s.Schema().NumDense]...)
		out.label = append(out.label, b.Label[:b.N]...)
		if b.Group != nil {
			out.group = append(out.group, b.Group[:b.N]...)
		}
	}
	return out, nil
}

func rate(label []float32) float64 {
	sum := 0.0
	for _, y := range label {
		sum += float64(y)
	}
	return sum / float64(len(label))
}

// criteoRow returns a line whose columns are all the text of a number.
func criteoRow(label string, cells ...string) string {
	row := make([]string, 40)
	row[0] = label
	copy(row[1:], cells)
	return strings.Join(row, "\t")
}

func gz(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zst(t testing.TB, text string) string {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(z.EncodeAll([]byte(text), nil))
}

// realData returns the path of a file of real data, or skips the test.
func realData(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("SPLICE_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no real data at %s; set SPLICE_DATA", path)
	}
	return path
}
