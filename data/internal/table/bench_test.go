package table_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// criteoFile writes n rows that look like Criteo's.
func criteoFile(tb testing.TB, n int) (path string, size int64) {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range n {
		fmt.Fprint(&b, min(r.IntN(4), 1))
		for range 13 {
			if r.IntN(5) > 0 {
				fmt.Fprintf(&b, "\t%d", int(r.ExpFloat64()*r.ExpFloat64()*40))
			} else {
				b.WriteByte('\t')
			}
		}
		for f := range 26 {
			if r.IntN(8) > 0 {
				fmt.Fprintf(&b, "\t%08x", uint32(r.ExpFloat64()*float64(int(10)<<(f/2)))*2654435761)
			} else {
				b.WriteByte('\t')
			}
		}
		b.WriteByte('\n')
	}
	path = filepath.Join(tb.TempDir(), "train.txt")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		tb.Fatal(err)
	}
	return path, int64(b.Len())
}

// BenchmarkOpen is a first open: a pass that fits vocabularies and one that encodes.
func BenchmarkOpen(b *testing.B) {
	const rows = 100_000
	path, size := criteoFile(b, rows)
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				o := data.OpenOptions{CacheDir: b.TempDir(), Threads: threads}
				if _, err := datatest.Section(b, "{type: criteo, path: "+path+"}").Open(b.Context(), o); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkEpoch is an epoch of shuffled batches from the cache.
func BenchmarkEpoch(b *testing.B) {
	const rows = 200_000
	path, _ := criteoFile(b, rows)
	for _, window := range []int{rows, 50_000} {
		s, err := datatest.Section(b, fmt.Sprintf("{type: criteo, path: %s, shuffle_buffer: %d}", path, window)).
			Open(b.Context(), data.OpenOptions{CacheDir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			b.ReportAllocs()
			for epoch := 0; b.Loop(); epoch++ {
				for _, err := range s.Train.Batches(epoch, 4096) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
