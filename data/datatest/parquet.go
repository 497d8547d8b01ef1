package datatest

import (
	"os"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// WriteParquet writes rows as a Parquet file.
func WriteParquet(t testing.TB, path string, columns parquet.Group, rows []map[string]any, options ...parquet.WriterOption) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := parquet.NewGenericWriter[map[string]any](f, append([]parquet.WriterOption{parquet.NewSchema("rows", columns)}, options...)...)
	if _, err = w.Write(rows); err == nil {
		err = w.Close()
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
