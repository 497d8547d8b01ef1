package optim_test

import (
	"testing"

	"github.com/splice-ml/splice/train/optim"
)

// BenchmarkAdam reports the time of an element: of a dense parameter, and of the touched rows of a table.
func BenchmarkAdam(b *testing.B) {
	o := optim.Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}.New()
	report := func(b *testing.B, n int) {
		b.ReportAllocs()
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
	}
	b.Run("dense", func(b *testing.B) {
		w, g := make([]float32, 1<<20), make([]float32, 1<<20)
		for b.Loop() {
			o.Begin()
			o.Step("dense", w, g, 0.001)
		}
		report(b, len(w))
	})
	for _, dim := range []int{1, 16} {
		b.Run(map[int]string{1: "rows of 1", 16: "rows of 16"}[dim], func(b *testing.B) {
			const rows, every = 1 << 20, 8
			w, g := make([]float32, rows*dim), make([]float32, rows/every*dim)
			ids := make([]int32, rows/every)
			for i := range ids {
				ids[i] = int32(i * every)
			}
			name := b.Name()
			for b.Loop() {
				o.Begin()
				o.StepRows(name, w, dim, ids, g, 0.001)
			}
			report(b, len(g))
		})
	}
}
