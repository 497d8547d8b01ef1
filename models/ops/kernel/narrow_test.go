package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestNarrowRows compares the kernels on several rows, bit for bit, with those on one.
func TestNarrowRows(t *testing.T) {
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		same := func(a, b []float32) bool {
			return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) || x == 0 && y == 0 })
		}
		for _, n := range []int{1, 5, 8, 16, 24, 32, 33, 48, 64, 80, 128, 144} {
			for _, rows := range []int{0, 1, 2, 7, 10} {
				x, q, b, p, s := values(r, rows*n+3), values(r, n), values(r, n), values(r, rows), values(r, rows)
				got, want := make([]float32, rows), make([]float32, rows)
				DotRows(got, q, x)
				for i := range want {
					want[i] = Dot(q, x[i*n:])
				}
				if !same(got, want) {
					t.Fatalf("DotRows: n=%d rows=%d: %v, want %v", n, rows, got, want)
				}
				y, sum := values(r, n+1), make([]float32, n)
				y[n] = guard
				WeightedRows(y[:n], p, x)
				for i, v := range p {
					AxpyRef(sum, v, x[i*n:][:n])
				}
				if !same(y[:n], sum) || y[n] != guard {
					t.Fatalf("WeightedRows: n=%d rows=%d: %v, want %v", n, rows, y, sum)
				}
				dst, outer := values(r, rows*n+1), make([]float32, rows*n)
				dst[rows*n] = guard
				OuterRows(dst[:rows*n], p, q, s, b)
				for i := range rows {
					ScaleRef(outer[i*n:(i+1)*n], q, p[i])
					AxpyRef(outer[i*n:(i+1)*n], s[i], b)
				}
				if !same(dst[:rows*n], outer) || dst[rows*n] != guard {
					t.Fatalf("OuterRows: n=%d rows=%d: %v, want %v", n, rows, dst, outer)
				}
				sums, total := values(r, n+1), make([]float32, n)
				copy(total, sums)
				sums[n] = guard
				ones := [4]float32{1, 1, 1, 1}
				if rows == 0 || !fills(n) {
					continue // others are added up four at a time, in another order
				}
				addRows(sums[:n], x[:rows*n], n, rows, &ones)
				for i := range rows {
					AddRef(total, x[i*n:][:n])
				}
				if !same(sums[:n], total) || sums[n] != guard {
					t.Fatalf("addRows: n=%d rows=%d: %v, want %v", n, rows, sums, total)
				}
			}
		}
	})
}
