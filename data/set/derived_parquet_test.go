package set_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/datatest"
)

// Columns that are made of one are the same of CSV and of Parquet files, with a dictionary or without, and in memory.
func TestDerivedParquet(t *testing.T) {
	var rows []map[string]any
	var text strings.Builder
	text.WriteString("at,name,y\n")
	for i := range 60 {
		name, at := fmt.Sprintf("%c%d", 'a'+i%3, i%7), fmt.Sprintf("2024-03-%02d %02d:00:00", 1+i%9, i%5)
		rows = append(rows, map[string]any{"y": i % 2, "name": name, "at": at})
		fmt.Fprintf(&text, "%s,%s,%d\n", at, name, i%2)
	}
	section := "{type: %s, path: %s, label: y, split: {by: order, ratio: [.5, .5]}, columns: {name: categorical, at: categorical, short: {type: categorical, from: name, derive: prefix, length: 1}, " +
		"copy: {type: categorical, from: name, hash: 5}, hour: {type: categorical, from: at, derive: hour}}}"
	read := func(kind, path string) string {
		o, _ := datatest.Options(t)
		d := datatest.Section(t, fmt.Sprintf(section, kind, path))
		s := datatest.Open(t, d, o)
		x := datatest.Read(t, s.Valid) // in its order
		all := datatest.Read(t, d.Stream(t.Context(), path, s.Map, data.StreamOptions{}))
		return s.Map.Digest() + fmt.Sprint(x.IDs, x.Label, all.IDs)
	}
	want := read("csv", datatest.WriteFile(t, "rows.csv", text.String()))
	for _, dictionary := range []bool{false, true} {
		node := func() parquet.Node {
			if dictionary {
				return parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
			}
			return parquet.String()
		}
		path := filepath.Join(t.TempDir(), "rows.parquet")
		datatest.WriteParquet(t, path, parquet.Group{"y": parquet.Int(64), "name": node(), "at": node()}, rows, parquet.MaxRowsPerRowGroup(20))
		if got := read("parquet", path); got != want {
			t.Errorf("with a dictionary %v:\n%s\nwant\n%s", dictionary, got, want)
		}
	}
}
