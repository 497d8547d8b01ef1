package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/splice-ml/splice/data/internal/scan"
)

// fixtures are the files of testdata and the cells of their columns.
type fixtures struct {
	Columns map[string][]any
	Files   map[string]struct {
		Rows    int
		Columns []string
	}
}

func readFixtures(t testing.TB) *fixtures {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixtures{}
	if err := json.Unmarshal(text, f); err != nil {
		t.Fatal(err)
	}
	return f
}

func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// cellsOf returns the cells of a column as expected.json has them, read in blocks of some rows, by their numbers in dictionaries or not.
func cellsOf(f *File, name string, size int, codes bool) ([]any, error) {
	var cells []any
	for i := range f.Columns {
		c := &f.Columns[i]
		if c.Name != name {
			continue
		}
		cur := f.Cursor(c, Want{Text: true, Codes: codes && !c.List, Longest: 1 << 20})
		defer cur.Close()
		var out Cells
		var text []byte
		var err error
		turn := int64(0)
		for g, group := range f.Groups {
			for at := 0; at < int(group.Rows); at += size {
				n := min(size, int(group.Rows)-at)
				if text, err = cur.Read(turn, g, n, text[:0], &out); err != nil {
					return nil, err
				}
				turn++
				if len(out.Bad) > 0 {
					return nil, fmt.Errorf("value %d: %s", out.Bad[0].Value, out.Bad[0].Fault)
				}
				cell := func(s scan.Span) any {
					if s.Lo == s.Hi {
						return nil
					}
					return string(text[s.Lo:s.Hi])
				}
				value := 0
				for row := range n {
					if out.Coded != nil {
						if k := out.Code[row]; k < 0 {
							cells = append(cells, nil)
						} else if s := out.Coded.Span[k]; s.Lo == s.Hi {
							cells = append(cells, nil)
						} else {
							cells = append(cells, string(out.Coded.Text[s.Lo:s.Hi]))
						}
						continue
					}
					if !c.List {
						cells = append(cells, cell(out.Span[row]))
						continue
					}
					list := []any{}
					for range out.Len[row] {
						list = append(list, cell(out.Span[value]))
						value++
					}
					cells = append(cells, list)
				}
			}
		}
		return cells, nil
	}
	return nil, fmt.Errorf("no column %s; there are %v", name, f.Names())
}

// TestNumbers reads columns as numbers: they are what the digits of their texts mean, whatever else is wanted of them.
func TestNumbers(t *testing.T) {
	fix := readFixtures(t)
	clean := func(text []byte) (int, int) { return 0, len(text) }
	for _, file := range []string{"snappy.parquet", "gzip_plain.parquet", "zstd_v2.parquet", "floats.parquet", "delta.parquet"} {
		f := open(t, filepath.Join("testdata", file))
		for i := range f.Columns {
			c := &f.Columns[i]
			if c.List || c.IsTime() || c.IsText() || c.kind == kindTime || c.kind == kindUUID {
				continue
			}
			for _, want := range []Want{
				{Number: true, Longest: 100}, {Number: true, Text: true, Longest: 100}, {Number: true, Clean: clean, Blanks: true, Longest: 100},
			} {
				cur := f.Cursor(c, want)
				var out Cells
				row := 0
				for g, group := range f.Groups {
					if _, err := cur.Read(int64(g), g, int(group.Rows), nil, &out); err != nil {
						t.Fatal(err)
					}
					for _, got := range out.Number {
						text, _ := fix.Columns[c.Name][row].(string)
						v, ok := scan.ParseNumber([]byte(text))
						if !ok || math.Float64bits(v) != math.Float64bits(got) && !(math.IsNaN(v) && math.IsNaN(got)) {
							t.Errorf("%s: %s: row %d is %v, but its text is %q", file, c.Name, row+1, got, text)
						}
						row++
					}
				}
				cur.Close()
			}
		}
	}
}

// TestLegacyLists reads lists of two levels, as Avro's and Hive's writers and protocol buffers have them.
func TestLegacyLists(t *testing.T) {
	level := func(v parquet.Value, rep, def, column int) parquet.Value { return v.Level(rep, def, column) }
	text := func(s string) parquet.Value { return parquet.ByteArrayValue([]byte(s)) }
	for name, tc := range map[string]struct {
		node  parquet.Node
		depth int // definition level of a value
	}{
		"array":    {listOf{parquet.Group{"array": parquet.Repeated(parquet.String())}}, 1},
		"bag":      {listOf{parquet.Group{"bag": parquet.Repeated(parquet.Group{"array_element": parquet.String()})}}, 1},
		"optional": {parquet.Optional(listOf{parquet.Group{"list": parquet.Repeated(parquet.Group{"element": parquet.Optional(parquet.String())})}}), 3},
		"repeated": {parquet.Repeated(parquet.String()), 1},
	} {
		path := filepath.Join(t.TempDir(), "x.parquet")
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w := parquet.NewWriter(out, // the writers that are not deprecated refuse such lists
			parquet.NewSchema("rows", parquet.Group{"x": tc.node}))
		_, err = w.WriteRows([]parquet.Row{
			{level(text("a"), 0, tc.depth, 0), level(text("b"), 1, tc.depth, 0)}, {level(parquet.NullValue(), 0, 0, 0)}, {level(text("c"), 0, tc.depth, 0)},
		})
		if err == nil {
			err = errors.Join(w.Close(), out.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := cellsOf(open(t, path), "x", 2, false)
		if want := []any{[]any{"a", "b"}, []any{}, []any{"c"}}; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
}

// listOf annotates a group as a list.
type listOf struct{ parquet.Node }

func (listOf) Type() parquet.Type { return parquet.List(parquet.String()).Type() }

// TestFilesOfPyarrow reads files of another implementation: types, nulls, lists, dictionaries, pages of both versions, codecs, encodings.
func TestFilesOfPyarrow(t *testing.T) {
	fix := readFixtures(t)
	for file, want := range fix.Files {
		for _, size := range []int{1, 7, 10, 999, 1000} {
			f := open(t, filepath.Join("testdata", file))
			if f.Rows() != int64(want.Rows) || len(f.Columns) != len(want.Columns) {
				t.Fatalf("%s has %d rows and the columns %v, want %d and %v", file, f.Rows(), f.Names(), want.Rows, want.Columns)
			}
			for _, name := range want.Columns {
				got, err := cellsOf(f, name, size, size%2 == 1)
				if err != nil {
					t.Errorf("%s: %s: %v", file, name, err)
					continue
				}
				cells := fix.Columns[name][:want.Rows]
				for i := range got {
					w := cells[i]
					if _, list := got[i].([]any); list && w == nil {
						w = []any{} // no list is one without values
					}
					if !reflect.DeepEqual(got[i], w) {
						t.Errorf("%s: %s: row %d is %v, want %v", file, name, i+1, got[i], w)
						break
					}
				}
				if len(got) != len(cells) {
					t.Errorf("%s: %s: %d rows, want %d", file, name, len(got), len(cells))
				}
			}
		}
	}
}
