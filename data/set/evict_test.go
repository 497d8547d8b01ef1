package set_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/evict"
	"github.com/splice-ml/splice/data/set"
)

// TestCacheInUse: rows that are open stay in the cache, and what was removed of it is made again.
func TestCacheInUse(t *testing.T) {
	dir := t.TempDir()
	tastes := set.Tastes{Users: 20, Items: 10, Rows: 500, Seed: 1, Split: data.Split{By: data.SplitOrder}}
	open := func() *data.Splits {
		t.Helper()
		d, err := tastes.Open(t.Context(), data.OpenOptions{CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	clear := func() int {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-1000 * time.Hour)
		for _, f := range files {
			if err := os.Chtimes(f, old, old); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := evict.To(dir, evict.Limit{}, nil); err != nil {
			t.Fatal(err)
		}
		left, err := evict.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(left)
	}
	d := open()
	if left := clear(); left != 1 {
		t.Errorf("%d entries of the cache are left, want the rows alone", left)
	}
	again := open()
	if a, b := d.Train.Rows(), again.Train.Rows(); a != b || d.Map.Digest() != again.Map.Digest() {
		t.Errorf("%d rows, then %d", a, b)
	}
	runtime.KeepAlive(d)
	runtime.KeepAlive(again)
}
