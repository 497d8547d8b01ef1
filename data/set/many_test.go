package set_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// A header of very many columns that are not declared is one short line, soon.
func TestManyColumns(t *testing.T) {
	var head strings.Builder
	head.WriteString("y")
	const n = 100_000
	for i := range n {
		fmt.Fprintf(&head, ",c%d", i)
	}
	path := datatest.WriteFile(t, "wide.csv", head.String()+"\n1"+strings.Repeat(",1", n)+"\n")
	for _, tc := range []struct{ columns, want string }{
		{"{c1: categorical}", "nothing says what to do with c0, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20 and 99979 more;"},
		{"{x: numeric, 'c?*': ignore}", "columns.x: no such column; there are y, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18 and 99981 more"},
	} {
		o, _ := datatest.Options(t)
		start := time.Now()
		d, err := datatest.TrySection("{type: csv, path: " + path + ", label: y, columns: " + tc.columns + "}")
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.Open(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 1000 || strings.Contains(err.Error(), "\n") {
			t.Errorf("columns %s: error %.1000v, want %s", tc.columns, err, tc.want)
		}
		if d := time.Since(start); d > 5*time.Second { // it takes some 0.1 s; it took a minute
			t.Errorf("columns %s: took %s", tc.columns, d)
		}
	}
}
