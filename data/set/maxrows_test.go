package set_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/datatest"
)

// Of several files, the first max_rows rows are read, in parts as the split says, whatever the number of threads. What follows may be bad.
func TestMaxRows(t *testing.T) {
	dir := t.TempDir()
	for file := range 4 {
		var text strings.Builder
		text.WriteString("y,a\n")
		for i := range 3 {
			fmt.Fprintf(&text, "%d,%d\n", i%2, 3*file+i)
		}
		if file == 3 {
			text.WriteString("no label,x\n")
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.csv", file)), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		options string
		want    [3]string // the numbers of the rows of each part
	}{
		{"max_rows: 7", [3]string{"0 1 2 3 4 5 6", "", ""}},
		{"max_rows: 6", [3]string{"0 1 2 3 4 5", "", ""}},
		{"max_rows: 8, split: {by: order, ratio: [.5, .25, .25]}", [3]string{"0 1 2 3", "4 5", "6 7"}},
		{"max_rows: 7, split: {by: order, counts: [4, 2, 1]}", [3]string{"0 1 2 3", "4 5", "6"}},
	} {
		for threads := 1; threads <= 7; threads += 3 {
			o, _ := datatest.Options(t)
			o.Threads = threads
			d := datatest.Section(t, "{type: csv, label: y, path: '"+dir+"/*.csv', columns: {a: numeric}, "+tc.options+"}")
			s := datatest.Open(t, d, o)
			var got [3]string
			got[0] = fmt.Sprint(sorted(datatest.Read(t, s.Train).Dense))
			if s.Valid != nil {
				got[1], got[2] = fmt.Sprint(sorted(datatest.Read(t, s.Valid).Dense)), fmt.Sprint(sorted(datatest.Read(t, s.Test).Dense))
			}
			for i, w := range tc.want {
				if strings.Trim(got[i], "[]") != w {
					t.Errorf("%s, %d threads: part %d has the rows %s, want %s", tc.options, threads, i, got[i], w)
				}
			}
		}
	}
	o, _ := datatest.Options(t)
	if _, err := datatest.Section(t, "{type: csv, label: y, path: '"+dir+"/*.csv', columns: {a: numeric}, max_rows: 13}").Open(t.Context(), o); err == nil {
		t.Error("a bad row within the limit is no error")
	}
}

func sorted(x []float32) []float32 {
	slices.Sort(x)
	return x
}
