package parquet_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	pq "github.com/parquet-go/parquet-go"

	"github.com/splice-ml/splice/data/output"
	"github.com/splice-ml/splice/data/output/parquet"
)

var columns = []output.Column{
	{Name: "z", Kind: output.Integer},
	{Name: "a", Kind: output.Text},
	{Name: "m", Kind: output.Number},
	{Name: "s", Kind: output.Single},
	{Name: "b", Kind: output.Boolean},
}

// row is row i as cells; some are blank.
func row(i int) [][]byte {
	cells := [][]byte{fmt.Append(nil, i-5), []byte("t,\"" + fmt.Sprint(i)), []byte("0.1"), []byte("0.25"), fmt.Append(nil, i%2)}
	if k := i % 7; k < len(cells) {
		cells[k] = nil
	}
	return cells
}

// A table has the columns in their order, in several row groups, and blanks as nulls.
func TestTable(t *testing.T) {
	var b bytes.Buffer
	w := parquet.New(&b, columns)
	const rows = 1<<16 + 100
	for i := range rows {
		if err := w.Write(row(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := pq.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range f.Root().Columns() {
		names = append(names, c.Name())
	}
	if got := strings.Join(names, " "); got != "z a m s b" || f.NumRows() != rows || len(f.RowGroups()) != 2 {
		t.Fatalf("columns %s, %d rows in %d groups", got, f.NumRows(), len(f.RowGroups()))
	}
	i := 0
	for _, g := range f.RowGroups() {
		r := g.Rows()
		buf := make([]pq.Row, 64)
		for {
			n, err := r.ReadRows(buf)
			for _, got := range buf[:n] {
				want := row(i)
				for k, v := range got {
					text := v.String()
					if v.Kind() == pq.Boolean && !v.IsNull() {
						text = map[bool]string{false: "0", true: "1"}[v.Boolean()]
					}
					if v.IsNull() != (want[k] == nil) || !v.IsNull() && text != string(want[k]) {
						t.Fatalf("row %d, column %d: %v, want %q", i, k, v, want[k])
					}
				}
				i++
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		r.Close()
	}
	if i != rows {
		t.Errorf("%d rows, want %d", i, rows)
	}
}

// What is no value of a column is an error that names it.
func TestWrongCell(t *testing.T) {
	w := parquet.New(io.Discard, columns)
	if err := w.Write([][]byte{[]byte("x"), nil, nil, nil, nil}); err == nil || !strings.Contains(err.Error(), "column z: ") {
		t.Errorf("error %v", err)
	}
}
