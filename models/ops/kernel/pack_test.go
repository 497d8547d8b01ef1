package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestPack packs panels of every width that a micro-kernel has, also of those that this machine cannot run.
func TestPack(t *testing.T) {
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(21, 22))
		for _, w := range []int{4, 6, 14, 16, 32} {
			for _, kc := range []int{1, 2, 7, 8, 9, 16, 21} {
				for live := 1; live <= w; live++ {
					src := newMatrix(r, live, kc)
					v := &vectors{r: r, n: kc * w}
					dst := v.make(func() float32 { return 7 })
					packColumns(dst, src.data, src.ld, kc, w, live)
					for i := range dst {
						p, line := i/w, i%w
						want := float32(0)
						if line < live {
							want = src.data[line*src.ld+p]
						}
						if dst[i] != want {
							t.Fatalf("packColumns w=%d kc=%d live=%d: [%d, %d] is %v, want %v", w, kc, live, p, line, dst[i], want)
						}
					}
					if !v.intact() {
						t.Fatalf("packColumns w=%d kc=%d live=%d wrote outside of its slice", w, kc, live)
					}
				}
				for _, cols := range []int{1, w - 1, w, w + 1, 3*w + 2} {
					lo := r.IntN(kc)
					hi := lo + 1 + r.IntN(kc-lo)
					src := newMatrix(r, hi-lo, cols)
					panels := ceil(cols, w)
					v := &vectors{r: r, n: panels * kc * w}
					dst := v.make(func() float32 { return 7 })
					copyRows(dst, src.data, src.ld, lo, hi, kc, w, cols)
					for i := range dst {
						q, p, j := i/(kc*w), i/w%kc, i/(kc*w)*w+i%w
						want := float32(0)
						switch {
						case p < lo || p >= hi:
							want = 7
						case j < cols:
							want = src.data[(p-lo)*src.ld+j]
						}
						if dst[i] != want {
							t.Fatalf("copyRows w=%d kc=%d rows [%d, %d) cols=%d: panel %d [%d, %d] is %v, want %v",
								w, kc, lo, hi, cols, q, p, i%w, dst[i], want)
						}
					}
					if !v.intact() {
						t.Fatalf("copyRows w=%d kc=%d rows [%d, %d) cols=%d wrote outside of its slice", w, kc, lo, hi, cols)
					}
				}
			}
		}
	})
}
