package table_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/table"
	"github.com/splice-ml/splice/data/set"
)

// Shards hold one window of rows at a time, all of them together, and a piece of the file of bounded size.
func TestShardMemory(t *testing.T) {
	const n, window = 60_000, 2000
	var b strings.Builder
	b.WriteString("y,a\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,%d\n", i%2, i%1000)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	d := set.CSV{Common: data.DefaultCommon(), Label: data.Names{"y"}}
	d.Path, d.ShuffleBuffer = []string{path}, window
	d.Columns = map[string]data.Column{"a": data.CategoricalColumn{}}
	s, err := d.Open(t.Context(), data.OpenOptions{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	shards, err := data.Shard(t.Context(), s.Train, data.ShardOptions{By: "a", Count: 5}, s.Map)
	if err != nil {
		t.Fatal(err)
	}
	for _, shard := range append(shards, s.Train) {
		for _, err := range shard.Batches(1, 100) {
			if err != nil {
				t.Fatal(err)
			}
		}
		h := table.HeldBy(shard)
		if shard != s.Train && h.NumbersCap != int(shard.Rows()) {
			t.Errorf("%d row numbers in room for %d", shard.Rows(), h.NumbersCap)
		}
		if h.Pool != table.HeldBy(s.Train).Pool || h.Windows != 1 {
			t.Fatalf("%d windows after one reader at a time, want 1 that all views share", h.Windows)
		}
		if h.WindowBytes > window*h.RecordBytes || h.GapBytes > 2*table.GapBytes {
			t.Errorf("a window of %d bytes and a piece of %d, want at most %d and %d", h.WindowBytes, h.GapBytes, window*h.RecordBytes,
				2*table.GapBytes)
		}
	}
}
