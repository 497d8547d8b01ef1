package kernel

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/splice-ml/splice/data/crash"
)

func TestParallel(t *testing.T) {
	defer SetThreads(Threads())
	for _, threads := range []int{1, 2, 3, 8} {
		SetThreads(threads)
		for _, n := range []int{0, 1, 2, 3, 7, 100, 1000} {
			for range 20 {
				count := make([]atomic.Int32, n)
				Parallel(n, func(i int) { count[i].Add(1) })
				for i := range count {
					if c := count[i].Load(); c != 1 {
						t.Fatalf("%d threads, n=%d: f(%d) ran %d times", threads, n, i, c)
					}
				}
			}
		}
	}
}

// TestParallelNested calls Parallel from many goroutines, and from inside tasks.
func TestParallelNested(t *testing.T) {
	defer SetThreads(Threads())
	SetThreads(4)
	var sum atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				Parallel(5, func(int) {
					Parallel(3, func(int) { sum.Add(1) })
				})
			}
		})
	}
	wg.Wait()
	if got, want := sum.Load(), int64(8*200*5*3); got != want {
		t.Errorf("%d tasks ran, want %d", got, want)
	}
}

func TestParallelPanic(t *testing.T) {
	defer SetThreads(Threads())
	SetThreads(3)
	for round := range 20 {
		func() {
			defer func() {
				if r, ok := recover().(*crash.Error); !ok || r.Value != "boom" || !strings.Contains(string(r.Stack), "TestParallelPanic") {
					t.Errorf("round %d: recovered %v, want boom", round, r)
				}
			}()
			Parallel(50, func(i int) {
				if i == round*2 {
					panic("boom")
				}
			})
			t.Errorf("round %d: no panic", round)
		}()
	}
	var n atomic.Int32
	Parallel(50, func(int) { n.Add(1) }) // the pool still works
	if n.Load() != 50 {
		t.Errorf("after panics: %d tasks ran, want 50", n.Load())
	}
}

func TestParallelAllocs(t *testing.T) {
	defer SetThreads(Threads())
	SetThreads(2)
	var n atomic.Int64
	f := func(int) { n.Add(1) }
	Parallel(10, f)
	if got := testing.AllocsPerRun(100, func() { Parallel(10, f) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

func TestSpan(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 100, 1000, 4096} {
		for _, chunks := range []int{1, 2, 3, 7, 300} {
			end := 0
			for i := range chunks {
				lo, hi := Span(n, chunks, i)
				if lo != end || hi < lo || (lo%16 != 0 && lo != n) {
					t.Fatalf("Span(%d, %d, %d) = %d, %d after %d", n, chunks, i, lo, hi, end)
				}
				end = hi
			}
			if end != n {
				t.Fatalf("Span(%d, %d) ends at %d", n, chunks, end)
			}
		}
	}
}

func TestChoose(t *testing.T) {
	for _, tc := range []struct {
		env           string
		best, fastest level
		want          level
		err           string
	}{
		{"", avx512, avx512, avx512, ""},
		{"", generic, generic, generic, ""},
		{"", avx512bf16, avx512, avx512, ""},
		{"", avx512bf16, avx512bf16, avx512bf16, ""},
		{"generic", avx512, avx512, generic, ""},
		{"avx2", avx512, avx512, avx2, ""},
		{"avx512", avx512, avx512, avx512, ""},
		{"avx512", avx2, avx2, generic, "kernel: SPLICE_KERNEL=avx512: this machine supports avx2 at best"},
		{"avx512", avx512bf16, avx512bf16, avx512, ""},
		{"avx512bf16", avx512bf16, avx512, avx512bf16, ""},
		{"avx512bf16", amx, amx, avx512bf16, ""},
		{"avx512bf16", avx512, avx512, generic, "kernel: SPLICE_KERNEL=avx512bf16: this machine supports avx512 at best"},
		{"avx512", amx, amx, avx512, ""},
		{"amx", amx, amx, amx, ""},
		{"amx", avx512, avx512, generic, "kernel: SPLICE_KERNEL=amx: this machine supports avx512 at best"},
		{"sse", avx2, avx2, generic, `kernel: SPLICE_KERNEL="sse": want generic, avx2, avx512, avx512bf16 or amx, or leave it unset`},
	} {
		got, err := choose(tc.env, tc.best, tc.fastest)
		if got != tc.want || (err == nil) != (tc.err == "") || (err != nil && !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("choose(%q, %v) = %v, %v, want %v, %q", tc.env, tc.best, got, err, tc.want, tc.err)
		}
	}
}
