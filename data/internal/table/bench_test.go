package table_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// criteoFile writes n rows that look like Criteo's.
func criteoFile(tb testing.TB, n int) (path string, size int64) {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range n {
		fmt.Fprint(&b, min(r.IntN(4), 1))
		for range 13 {
			if r.IntN(5) > 0 {
				fmt.Fprintf(&b, "\t%d", int(r.ExpFloat64()*r.ExpFloat64()*40))
			} else {
				b.WriteByte('\t')
			}
		}
		for f := range 26 {
			if r.IntN(8) > 0 {
				fmt.Fprintf(&b, "\t%08x", uint32(r.ExpFloat64()*float64(int(10)<<(f/2)))*2654435761)
			} else {
				b.WriteByte('\t')
			}
		}
		b.WriteByte('\n')
	}
	path = filepath.Join(tb.TempDir(), "train.txt")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		tb.Fatal(err)
	}
	return path, int64(b.Len())
}

// BenchmarkOpen is a first open: a pass that fits vocabularies and one that encodes.
func BenchmarkOpen(b *testing.B) {
	const rows = 100_000
	path, size := criteoFile(b, rows)
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				o := data.OpenOptions{CacheDir: b.TempDir(), Threads: threads}
				if _, err := datatest.Section(b, "{type: criteo, path: "+path+"}").Open(b.Context(), o); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// benchRows is how many rows files of several formats have.
const benchRows = 1_000_000

// formats writes the same rows, which look like Criteo's, as CSV and as Parquet. It returns sections that read them.
func formats(tb testing.TB) map[string]string {
	tb.Helper()
	columns := []string{"label"}
	schema := parquet.Group{"label": parquet.Int(64)}
	for k := range 39 {
		name, node := fmt.Sprintf("I%d", k+1), parquet.Int(64)
		if k >= 13 {
			name, node = fmt.Sprintf("C%d", k-12), parquet.String()
		}
		columns, schema[name] = append(columns, name), parquet.Encoded(parquet.Optional(node), &parquet.RLEDictionary)
	}
	path, _ := criteoFile(tb, benchRows)
	dir := filepath.Dir(path)
	in, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer in.Close()
	csv, err := os.Create(filepath.Join(dir, "rows.csv"))
	if err != nil {
		tb.Fatal(err)
	}
	out := bufio.NewWriterSize(csv, 1<<20)
	out.WriteString(strings.Join(columns, ",") + "\n")
	type file struct {
		f *os.File
		w *parquet.Writer
	}
	files := map[string]file{}
	for name, codec := range map[string]compress.Codec{"snappy": &parquet.Snappy, "zstd": &parquet.Zstd} {
		f, err := os.Create(filepath.Join(dir, name+".parquet"))
		if err != nil {
			tb.Fatal(err)
		}
		files[name] = file{f, parquet.NewWriter(f, parquet.NewSchema("rows", schema), parquet.Compression(codec), parquet.MaxRowsPerRowGroup(250_000))}
	}
	place := map[string]int{} // columns of the schema are in the order of their names
	for i, c := range parquet.NewSchema("rows", schema).Columns() {
		place[c[0]] = i
	}
	lines := bufio.NewScanner(in)
	row := make(parquet.Row, len(columns))
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "\t")
		out.WriteString(strings.Join(cells, ",") + "\n")
		for k, cell := range cells {
			at := place[columns[k]]
			switch v, err := strconv.ParseInt(cell, 10, 64); {
			case k == 0:
				row[at] = parquet.Int64Value(v).Level(0, 0, at)
			case cell == "":
				row[at] = parquet.NullValue().Level(0, 0, at)
			case k <= 13 && err == nil:
				row[at] = parquet.Int64Value(v).Level(0, 1, at)
			default:
				row[at] = parquet.ByteArrayValue([]byte(cell)).Level(0, 1, at)
			}
		}
		for _, f := range files {
			if _, err := f.w.WriteRows([]parquet.Row{row}); err != nil {
				tb.Fatal(err)
			}
		}
	}
	for _, f := range files {
		if err := errors.Join(f.w.Close(), f.f.Close()); err != nil {
			tb.Fatal(err)
		}
	}
	if err := errors.Join(lines.Err(), out.Flush(), csv.Close()); err != nil {
		tb.Fatal(err)
	}
	const columnsOption = `, label: label, columns: {"I*": {type: numeric, transform: log1p}, "C*": categorical}}`
	return map[string]string{
		"csv":    "{type: csv, path: " + csv.Name() + columnsOption,
		"snappy": "{type: parquet, path: " + filepath.Join(dir, "snappy.parquet") + columnsOption,
		"zstd":   "{type: parquet, path: " + filepath.Join(dir, "zstd.parquet") + columnsOption,
	}
}

// BenchmarkFormats reads the same rows as CSV and as Parquet: all that opening does, which fits vocabularies and writes the cache, and a stream
// of rows by a feature map that is there, as predictions read them.
func BenchmarkFormats(b *testing.B) {
	sections := formats(b)
	for _, threads := range []int{1, 2} {
		for _, format := range []string{"csv", "snappy", "zstd"} {
			d := datatest.Section(b, sections[format])
			rate := func(b *testing.B) { b.ReportMetric(benchRows*float64(b.N)/b.Elapsed().Seconds(), "rows/s") }
			var m *data.FeatureMap
			b.Run(fmt.Sprintf("open/%s/threads=%d", format, threads), func(b *testing.B) {
				for b.Loop() {
					s, err := d.Open(b.Context(), data.OpenOptions{CacheDir: b.TempDir(), Threads: threads})
					if err != nil {
						b.Fatal(err)
					}
					m = s.Map
				}
				rate(b)
			})
			if m == nil {
				continue
			}
			b.Run(fmt.Sprintf("stream/%s/threads=%d", format, threads), func(b *testing.B) {
				_, path, _ := strings.Cut(sections[format], "path: ")
				path, _, _ = strings.Cut(path, ",")
				for b.Loop() {
					for _, err := range d.Stream(b.Context(), path, m, data.StreamOptions{Threads: threads}).Batches(0, 4096) {
						if err != nil {
							b.Fatal(err)
						}
					}
				}
				rate(b)
			})
		}
	}
}

// BenchmarkEpoch is an epoch of shuffled batches from the cache.
func BenchmarkEpoch(b *testing.B) {
	const rows = 200_000
	path, _ := criteoFile(b, rows)
	for _, window := range []int{rows, 50_000} {
		s, err := datatest.Section(b, fmt.Sprintf("{type: criteo, path: %s, shuffle_buffer: %d}", path, window)).
			Open(b.Context(), data.OpenOptions{CacheDir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			b.ReportAllocs()
			for epoch := 0; b.Loop(); epoch++ {
				for _, err := range s.Train.Batches(epoch, 4096) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
