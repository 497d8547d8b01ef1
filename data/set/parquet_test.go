package set_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/datatest"
)

// errorColumns are the columns of files that are read wrongly.
var errorColumns = parquet.Group{
	"y": parquet.Optional(parquet.Leaf(parquet.DoubleType)), "n": parquet.Optional(parquet.Leaf(parquet.DoubleType)), "s": parquet.String(),
	"t": parquet.Timestamp(parquet.Millisecond), "l": parquet.List(parquet.String()), "ll": parquet.List(parquet.List(parquet.Int(64))),
}

// errorRow is a good row, with changes.
func errorRow(change map[string]any) map[string]any {
	row := map[string]any{"y": 1., "n": 2.5, "s": "1", "t": time.Unix(0, 0), "l": []string{"a"}, "ll": [][]int64{{1}}}
	maps.Copy(row, change)
	return row
}

// errorFile writes two good rows and others, with a dictionary for each column or without.
func errorFile(t *testing.T, dictionary bool, changes ...map[string]any) string {
	t.Helper()
	columns := errorColumns
	if dictionary {
		columns = parquet.Group{}
		for name, node := range errorColumns {
			if columns[name] = node; node.Leaf() {
				columns[name] = parquet.Encoded(node, &parquet.RLEDictionary)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "x.parquet")
	var rows []map[string]any
	for range 2 {
		rows = append(rows, errorRow(nil))
	}
	for _, c := range changes {
		rows = append(rows, errorRow(c))
	}
	datatest.WriteParquet(t, path, columns, rows, parquet.MaxRowsPerRowGroup(2))
	return path
}

// Errors name the file, the row, the column, what is wrong, and what to do.
func TestParquetErrors(t *testing.T) {
	const good = "label: y, columns: {n: {type: numeric}, s: categorical, t: ignore, l: multi, ll: ignore}"
	for _, tc := range []struct {
		name    string
		change  map[string]any
		options string
		want    string // empty: no error
	}{
		{"good", nil, good, ""},
		{"label", map[string]any{"y": 2.}, good, `x.parquet: row 3: column y: label "2"; want 0 or 1`},
		{"no label", map[string]any{"y": nil}, good, "row 3: column y: label \"\"; want 0 or 1, for each row that is trained on"},
		{"infinite", map[string]any{"n": math.Inf(1)}, good, "row 3: column n: +Inf is not a"},
		{"large", map[string]any{"n": 1e39}, good, "row 3: column n: 1e+39 is not a number in the range of float32"},
		{"text as number", map[string]any{"s": "x"}, strings.Replace(good, "s: categorical", "s: {type: numeric}", 1), `row 3: column s: "x" is not a number`},
		{"NUL", map[string]any{"s": "a\x00"}, good, "row 3: column s: holds a NUL byte"},
		{"not UTF-8", map[string]any{"s": "\xff"}, good, "row 3: column s: invalid UTF-8"},
		{"long", map[string]any{"s": strings.Repeat("x", 2000)}, good + ", max_line: 1024", "row 3: column s: the value has 2000 bytes, the longest may have 1024 (max_line)"},
		{"long list", map[string]any{"l": strings.Split(strings.Repeat("x ", 600), " ")}, good + ", max_line: 1024", "row 3: column l: the list has 1200 bytes, the longest may have 1024"},
		{"separator", map[string]any{"l": []string{"a", "b|c"}}, good, `row 3: column l: value 1 of the list: "b|c" holds the separator "|"`},
		{"lists as one value", nil, strings.Replace(good, "l: multi", "l: categorical", 1), "column l: has lists, not single values; declare it multi or sequence"},
		{"lists as numbers", nil, strings.Replace(good, "l: multi", "l: {type: numeric}", 1), "column l: has lists, not numbers"},
		{"lists of lists", nil, strings.Replace(good, "ll: ignore", "ll: multi", 1), "column ll: has lists of lists, which no feature takes; flatten them, or ignore it"},
		{"times as numbers", nil, strings.Replace(good, "t: ignore", "t: {type: numeric}", 1), "column t: has times or ids, which are no numbers; declare it categorical"},
		{"undeclared", nil, strings.Replace(good, "t: ignore, ", "", 1), "nothing says what to do with t; give each a type"},
		{"no such column", nil, strings.Replace(good, "t: ignore", "t: ignore, u: categorical", 1), "columns.u: no such column; there are l, ll, n, s, t, y"},
		{"no label column", nil, strings.Replace(good, "label: y", "label: z", 1), "label: no column z"},
		{"time", map[string]any{"s": "x"}, strings.Replace(good, "s: categorical", "s: ignore", 1) + ", time: s, split: {by: time, ratio: [0.5, 0.5]}", `row 3: column s: "x" is not a time`},
		{"words", map[string]any{"s": "no"}, "label: s, positive: no, columns: {n: {type: numeric}, y: ignore, t: ignore, l: ignore, ll: ignore}", ""},
		{"third word", map[string]any{"s": "no"}, "label: s, positive: yes, columns: {n: {type: numeric}, y: ignore, t: ignore, l: ignore, ll: ignore}", `x.parquet: row 3: label "no", but "1" (`},
	} {
		for _, dictionary := range []bool{false, true} {
			d, err := datatest.TrySection("{type: parquet, path: " + errorFile(t, dictionary, tc.change, nil) + ", " + tc.options + "}")
			if err == nil {
				_, err = d.Open(t.Context(), data.OpenOptions{CacheDir: t.TempDir()})
			}
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s, dictionary %v: error %v, want %q", tc.name, dictionary, err, tc.want)
			}
		}
	}
}

// Rows that cannot be read are left out, wherever in a block they are.
func TestParquetBadRows(t *testing.T) {
	bad := map[string]any{"y": 7.}
	path := errorFile(t, true, bad, map[string]any{"s": "keep"}, bad, bad, map[string]any{"s": "me"})
	o, log := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, "{type: parquet, path: "+path+
		", bad_rows: skip, label: y, columns: {n: {type: numeric}, s: categorical, t: ignore, l: multi, ll: ignore}}"), o)
	if got := s.Map.Table("s").Tokens; !slices.Equal(got, []string{"1", "keep", "me"}) || s.Train.Rows() != 4 {
		t.Errorf("tokens %q, %d rows", got, s.Train.Rows())
	}
	if !strings.Contains(log.String(), "skipped=3") || !strings.Contains(log.String(), "x.parquet: row 3: column y") {
		t.Errorf("the log is\n%s", log)
	}
}

// Files without rows, as Spark writes them, are parts like others, if there is one with rows.
func TestParquetEmptyFiles(t *testing.T) {
	dir := t.TempDir()
	const options = ", label: y, columns: {n: {type: numeric}, s: categorical, t: ignore, l: multi, ll: ignore}}"
	datatest.WriteParquet(t, filepath.Join(dir, "part-0.parquet"), errorColumns, nil)
	d := datatest.Section(t, "{type: parquet, path: "+filepath.Join(dir, "*.parquet")+options)
	if _, err := d.Open(t.Context(), data.OpenOptions{CacheDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "part-0.parquet: has no rows") {
		t.Errorf("error %v", err)
	}
	datatest.WriteParquet(t, filepath.Join(dir, "part-1.parquet"), errorColumns, []map[string]any{errorRow(nil), errorRow(nil)})
	if s := datatest.Open(t, d, data.OpenOptions{CacheDir: t.TempDir()}); s.Train.Rows() != 2 {
		t.Errorf("%d rows, want 2", s.Train.Rows())
	}
}

// Reading takes the memory of pages, not of columns: a row group of hundreds of megabytes is read in a few.
func TestParquetMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a file of 100 MB")
	}
	const rows, width = 200_000, 500
	path := filepath.Join(t.TempDir(), "x.parquet")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := parquet.NewGenericWriter[any](f, parquet.NewSchema("rows", parquet.Group{"s": parquet.String(), "y": parquet.Int(64)}), parquet.PageBufferSize(1<<20))
	text := []byte(strings.Repeat("x", width))
	for i := range rows {
		copy(text, fmt.Sprint(i%100, " "))
		row := parquet.Row{parquet.ByteArrayValue(text).Level(0, 0, 0), parquet.Int64Value(int64(i%2)).Level(0, 0, 1)}
		if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	d := datatest.Section(t, "{type: parquet, path: "+path+", label: y, columns: {s: {type: categorical, hash: 10}}}")
	s := datatest.Open(t, datatest.Section(t, "{type: parquet, path: "+errorFileOf(t)+", label: y, columns: {s: {type: categorical, hash: 10}}}"),
		data.OpenOptions{CacheDir: t.TempDir()})
	runtime.GC()
	var before, m runtime.MemStats
	runtime.ReadMemStats(&before)
	n, most := 0, uint64(0)
	for b, err := range d.Stream(t.Context(), path, s.Map, data.StreamOptions{Threads: 2}).Batches(0, 20_000) {
		if err != nil {
			t.Fatal(err)
		}
		n += b.N
		runtime.GC()
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc-min(before.HeapAlloc, m.HeapAlloc))
	}
	if n != rows || most > 24<<20 {
		t.Errorf("%d rows of %d bytes in one row group take %d MB", n, width, most>>20)
	}
}

// errorFileOf returns a small file of the columns s and y.
func errorFileOf(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "small.parquet")
	datatest.WriteParquet(t, path, parquet.Group{"s": parquet.String(), "y": parquet.Int(64)}, []map[string]any{{"s": "a", "y": int64(1)}})
	return path
}
