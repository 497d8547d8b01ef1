package data

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	d := CSV{Common: DefaultCommon(), Label: "y"}
	d.Path, d.ShuffleBuffer = []string{path}, window
	d.Columns = map[string]Column{"a": CategoricalColumn{}}
	s, err := d.Open(t.Context(), OpenOptions{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	shards, err := Shard(t.Context(), s.Train, ShardOptions{By: "a", Count: 5}, s.Map)
	if err != nil {
		t.Fatal(err)
	}
	size := s.Train.(*cached).rec.size
	for _, shard := range append(shards, s.Train) {
		for _, err := range shard.Batches(1, 100) {
			if err != nil {
				t.Fatal(err)
			}
		}
		v := shard.(*cached)
		if v.kept != nil && cap(v.kept) != int(v.rows) {
			t.Errorf("%d row numbers in room for %d", v.rows, cap(v.kept))
		}
		if v.pool != s.Train.(*cached).pool || len(v.pool.spare) != 1 {
			t.Fatalf("%d windows after one reader at a time, want 1", len(v.pool.spare))
		}
		if c := v.pool.spare[0]; cap(c.win) > window*size || cap(c.gap) > 2*gapBytes {
			t.Errorf("a window of %d bytes and a piece of %d, want at most %d and %d", cap(c.win), cap(c.gap), window*size, 2*gapBytes)
		}
	}
}
