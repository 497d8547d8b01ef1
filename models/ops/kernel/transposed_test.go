package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestRowBits checks that a row of A·Bᵀ or of A·B has the same bits alone and among others, and against a transpose that is kept.
func TestRowBits(t *testing.T) {
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		sizes := [][2]int{{2, 2}, {16, 256}, {400, 624}, {17, 257}, {255, 400}, {257, 385}, {512, 769}, {4100, 300}, {32, 32}, {96, 40}, {64, 1000}}
		for range 30 {
			sizes = append(sizes, [2]int{2 + r.IntN(600), 2 + r.IntN(900)})
		}
		for _, s := range sizes {
			n, k := s[0], s[1]
			const rows = 31 // tall and short tiles, and some rows beside them
			a, b, c := values(r, rows*k), values(r, n*k), make([]float32, rows*n)
			GemmRows(true, rows, n, k, a, k, b, k, c, n, nil)
			kept := Highest.Transpose(n, k, b)
			alone, times := make([]float32, n), values(r, n+1)
			times[n] = guard
			for i := range rows {
				GemmRows(true, 1, n, k, a[i*k:], k, b, k, alone, n, nil)
				kept.Times(times[:n], a[i*k:(i+1)*k])
				for j, want := range c[i*n : (i+1)*n] {
					if math.Float32bits(alone[j]) != math.Float32bits(want) || math.Float32bits(times[j]) != math.Float32bits(want) {
						t.Fatalf("n=%d k=%d: element %d is %v alone, %v against a transpose, %v among others",
							n, k, j, alone[j], times[j], want)
					}
				}
			}
			many, seen := values(r, rows*n+1), 0
			many[rows*n] = guard
			for m := rows; n <= WidestKept && m > 0; m /= 3 { // the first packs, the others find it packed
				kept.TimesRows(m, many[:m*n], a[:m*k], nil)
				for i, want := range c[:m*n] {
					if math.Float32bits(many[i]) != math.Float32bits(want) {
						t.Fatalf("n=%d k=%d: element %d of %d rows against a transpose is %v, want %v", n, k, i, m, many[i], want)
					}
				}
				seen++
			}
			if many[rows*n] != guard || (seen == 0) != (n > WidestKept) {
				t.Fatalf("n=%d k=%d: TimesRows wrote behind its slice, or was not tried", n, k)
			}
			if times[n] != guard {
				t.Fatalf("n=%d k=%d: Times wrote behind its slice", n, k)
			}
			GemmRows(false, rows, n, k, a, k, b, n, c, n, nil)
			for i := range rows {
				GemmRows(false, 1, n, k, a[i*k:], k, b, n, alone, n, nil)
				for j, want := range c[i*n : (i+1)*n] {
					if math.Float32bits(alone[j]) != math.Float32bits(want) {
						t.Fatalf("n=%d k=%d: element %d of A·B is %v alone, %v among others", n, k, j, alone[j], want)
					}
				}
			}
		}
	})
}

// TestRenew checks that a transpose follows its matrix when it is told to, and not before, in each of its forms.
func TestRenew(t *testing.T) {
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		const rows, n, k = 31, 47, 300
		a, w, c, want := values(r, rows*k), values(r, n*k), make([]float32, rows*n), make([]float32, rows*n)
		for _, p := range []Precision{Highest, High, Medium} {
			kept := p.Transpose(n, k, w)
			compare := func(when string) {
				t.Helper()
				kept.TimesRows(rows, c, a, nil)
				for i, v := range want {
					if math.Float32bits(c[i]) != math.Float32bits(v) {
						t.Fatalf("%v, %s: element %d of %d rows is %v, want %v", p, when, i, rows, c[i], v)
					}
				}
				kept.Times(c[:n], a)
				for i, v := range want[:n] {
					if math.Float32bits(c[i]) != math.Float32bits(v) {
						t.Fatalf("%v, %s: element %d of a row is %v, want %v", p, when, i, c[i], v)
					}
				}
			}
			p.GemmRows(true, rows, n, k, a, k, w, k, want, n, nil)
			compare("at first")
			copy(w, values(r, n*k))
			compare("with other values that it was not told of")
			kept.Renew()
			p.GemmRows(true, rows, n, k, a, k, w, k, want, n, nil)
			compare("renewed")
		}
	})
}

func values(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = r.Float32()*2 - 1
	}
	return x
}

func BenchmarkTransposed(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const n, k = 400, 624
	a, w, c := values(r, k), values(r, n*k), make([]float32, n)
	t := Highest.Transpose(n, k, w)
	for b.Loop() {
		t.Times(c, a)
	}
	b.ReportMetric(float64(n)*k*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFMA/s")
}
