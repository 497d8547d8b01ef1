package kernel

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// rowCase is tables of some rows, and ids of which each occurs at most once.
func rowCase(r *rand.Rand, rows, dim, n int) (v *vectors, ids []int32) {
	v = &vectors{r: r, n: rows * dim}
	for _, id := range r.Perm(rows)[:n] {
		ids = append(ids, int32(id))
	}
	return v, ids
}

var rowDims = []int{1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 15, 16, 17, 24, 32, 39, 64, 65, 130}

func TestRows(t *testing.T) {
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(31, 32))
		random := func() float32 { return r.Float32()*8 - 4 }
		for _, dim := range rowDims {
			for _, n := range []int{0, 1, 2, rowsAhead - 1, rowsAhead, rowsAhead + 1, 3*rowsAhead + 5} {
				const rows = 4 * rowsAhead
				v, ids := rowCase(r, rows, dim, n)
				table := v.make(random)
				stride := dim + r.IntN(3)
				if n > 0 {
					v.n = (n-1)*stride + dim
				}
				out := v.make(random)
				want := append([]float32(nil), out...)
				GatherRows(out, stride, table, dim, ids)
				GatherRowsRef(want, stride, table, dim, ids)
				if i := sameBits(out, want); i >= 0 {
					t.Fatalf("GatherRows dim=%d n=%d: [%d] is %v, want %v", dim, n, i, out[i], want[i])
				}
				slots := make([]int32, n) // some twice, some none
				for i := range slots {
					slots[i] = int32(r.IntN(rows/2)) - 3
				}
				want = append(want[:0], table...)
				ScatterAddRows(table, dim, slots, out, stride)
				ScatterAddRowsRef(want, dim, slots, out, stride)
				if i := sameBits(table, want); i >= 0 {
					t.Fatalf("ScatterAddRows dim=%d n=%d: [%d] is %v, want %v", dim, n, i, table[i], want[i])
				}
				if !v.intact() {
					t.Fatalf("dim=%d n=%d: wrote outside of its slice", dim, n)
				}
			}
		}
	})
}

func TestAdamRows(t *testing.T) {
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(33, 34))
		random := func() float32 { return r.Float32()*8 - 4 }
		for _, dim := range rowDims {
			for _, n := range []int{0, 1, rowsAhead + 1, 2*rowsAhead + 3} {
				for _, s := range []RowScale{{1, 0}, {0.5, 0}, {0.7, 0.01}} {
					v, ids := rowCase(r, 3*rowsAhead, dim, n)
					got := [][]float32{v.make(random), v.make(random), v.make(r.Float32)}
					v.n = n * dim
					g := v.make(random)
					var want [][]float32
					for _, x := range got {
						want = append(want, append([]float32(nil), x...))
					}
					AdamRows(got[0], got[1], got[2], dim, ids, g, s, 0.01, 0.9, 0.999, 1e-8, 0.19, 0.002, 0.1)
					AdamRowsRef(want[0], want[1], want[2], dim, ids, g, s, 0.01, 0.9, 0.999, 1e-8, 0.19, 0.002, 0.1)
					for k := range got {
						if i := sameBits(got[k], want[k]); i >= 0 {
							t.Fatalf("AdamRows dim=%d n=%d %v: array %d [%d] is %v, want %v", dim, n, s, k, i, got[k][i], want[k][i])
						}
					}
					if !v.intact() {
						t.Fatalf("AdamRows dim=%d n=%d: wrote outside of its slice", dim, n)
					}
				}
			}
		}
	})
}

func TestRowsMisuse(t *testing.T) {
	x := make([]float32, 32)
	for what, f := range map[string]func(){
		"id 4 of row 1 is not one of 4":   func() { GatherRows(x, 8, x, 8, []int32{0, 4}) },
		"id -1 of row 0 is not one of 4":  func() { AdamRows(x, x, x, 8, []int32{-1}, x, RowScale{1, 0}, 0, 0, 0, 0, 1, 1, 0) },
		"slot 4 of row 0 is not one of 4": func() { ScatterAddRows(x, 8, []int32{4}, x, 8) },
		"do not fit in 8 elements":        func() { ScatterAddRows(x, 8, []int32{0, 0}, x[:8], 8) },
		"with stride 7":                   func() { GatherRows(x, 7, x, 8, []int32{0, 1}) },
	} {
		func() {
			defer func() {
				if s, _ := recover().(string); !strings.Contains(s, what) {
					t.Errorf("panic is %q, want %q", s, what)
				}
			}()
			f()
		}()
	}
}
