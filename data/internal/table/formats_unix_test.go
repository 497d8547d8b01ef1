//go:build unix

package table_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/datatest"
)

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
		w *parquet.GenericWriter[any]
	}
	files := map[string]file{}
	for name, codec := range map[string]compress.Codec{"snappy": &parquet.Snappy, "zstd": &parquet.Zstd} {
		f, err := os.Create(filepath.Join(dir, name+".parquet"))
		if err != nil {
			tb.Fatal(err)
		}
		files[name] = file{f, parquet.NewGenericWriter[any](f, parquet.NewSchema("rows", schema), parquet.Compression(codec), parquet.MaxRowsPerRowGroup(250_000))}
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

// cpuSeconds returns how long processors worked for this process so far, which other processes on the machine change less than the time that
// passes.
func cpuSeconds(tb testing.TB) float64 {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// BenchmarkFormats reads the same rows as CSV and as Parquet: all that opening does, which fits vocabularies and writes the cache, and a stream
// of rows by a feature map that is there, as predictions read them.
func BenchmarkFormats(b *testing.B) {
	sections := formats(b)
	for _, threads := range []int{1, 2} {
		for _, format := range []string{"csv", "snappy", "zstd"} {
			d := datatest.Section(b, sections[format])
			rate := func(b *testing.B, cpu float64) {
				b.ReportMetric(benchRows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
				b.ReportMetric(1e9*(cpuSeconds(b)-cpu)/float64(b.N)/benchRows, "cpu-ns/row")
			}
			var m *data.FeatureMap
			b.Run(fmt.Sprintf("open/%s/threads=%d", format, threads), func(b *testing.B) {
				cpu := cpuSeconds(b)
				for b.Loop() {
					s, err := d.Open(b.Context(), data.OpenOptions{CacheDir: b.TempDir(), Threads: threads})
					if err != nil {
						b.Fatal(err)
					}
					m = s.Map
				}
				rate(b, cpu)
			})
			if m == nil {
				continue
			}
			b.Run(fmt.Sprintf("stream/%s/threads=%d", format, threads), func(b *testing.B) {
				_, path, _ := strings.Cut(sections[format], "path: ")
				path, _, _ = strings.Cut(path, ",")
				cpu := cpuSeconds(b)
				for b.Loop() {
					for _, err := range d.Stream(b.Context(), path, m, data.StreamOptions{Threads: threads}).Batches(0, 4096) {
						if err != nil {
							b.Fatal(err)
						}
					}
				}
				rate(b, cpu)
			})
		}
	}
}
