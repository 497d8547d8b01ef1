package parquet

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

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

// cellsOf returns the cells of a column as expected.json has them, read in blocks of some rows.
func cellsOf(f *File, name string, size int) ([]any, error) {
	var cells []any
	for i := range f.Columns {
		c := &f.Columns[i]
		if c.Name != name {
			continue
		}
		cur := f.Cursor(c, Want{Text: true, Longest: 1 << 20})
		defer cur.close()
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

// TestFilesOfPyarrow reads files of another implementation: types, nulls, lists, dictionaries, pages of both versions, codecs, encodings.
func TestFilesOfPyarrow(t *testing.T) {
	fix := readFixtures(t)
	for file, want := range fix.Files {
		for _, size := range []int{1, 7, 1000} {
			f := open(t, filepath.Join("testdata", file))
			if f.Rows() != int64(want.Rows) || len(f.Columns) != len(want.Columns) {
				t.Fatalf("%s has %d rows and the columns %v, want %d and %v", file, f.Rows(), f.Names(), want.Rows, want.Columns)
			}
			for _, name := range want.Columns {
				got, err := cellsOf(f, name, size)
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
