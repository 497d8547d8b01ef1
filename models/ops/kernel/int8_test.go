package kernel

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestQuantizeInt8 holds the bytes of rows that can be computed by hand.
func TestQuantizeInt8(t *testing.T) {
	tiny := math.Float32frombits(1)
	for _, tc := range []struct {
		name  string
		x     []float32
		scale float32
		q     []int8
	}{
		{"padding", []float32{0, 0, 0}, 0, []int8{0, 0, 0}},
		{"whole", []float32{127, -127, 1, -1, 0}, 1, []int8{127, -127, 1, -1, 0}},
		{"ties to even", []float32{254, 1, 3, 5, -1, -3}, 2, []int8{127, 0, 2, 2, 0, -2}},
		{"the greatest is negative", []float32{-63.5, 63, 0.2}, 0.5, []int8{-127, 126, 0}},
		{"one number", []float32{-0.3}, 0.3 / 127, []int8{-127}},
		{"without a scale", []float32{tiny, -tiny}, 0, []int8{0, 0}},
		{"a scale that lost bits", []float32{180 * tiny, -180 * tiny}, tiny, []int8{127, -127}},
		{"the greatest there is", []float32{math.MaxFloat32, -math.MaxFloat32}, math.MaxFloat32 / 127, []int8{127, -127}},
	} {
		row := make([]byte, Int8RowBytes(len(tc.x)))
		if i := QuantizeInt8(row, tc.x, len(tc.x)); i != -1 {
			t.Errorf("%s: number %d is not finite", tc.name, i)
		}
		if got := math.Float32frombits(binary.LittleEndian.Uint32(row)); got != tc.scale {
			t.Errorf("%s: scale %v, want %v", tc.name, got, tc.scale)
		}
		for i, q := range tc.q {
			if got := int8(row[4+i]); got != q {
				t.Errorf("%s: number %d is %d, want %d", tc.name, i, got, q)
			}
		}
	}
}

func TestQuantizeInt8NotFinite(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		x := []float32{1, 2, 3, bad, 5, bad}
		if got := QuantizeInt8(make([]byte, 3*Int8RowBytes(2)), x, 2); got != 3 {
			t.Errorf("%v: the first number that is not finite is %d, want 3", bad, got)
		}
	}
}

// int8Case is a table of rows of very different sizes, in both types.
func int8Case(r *rand.Rand, rows, dim int) (table []byte, x []float32) {
	x = make([]float32, rows*dim)
	for id := range rows {
		size := math.Exp(10 * r.NormFloat64())
		for i := range dim {
			x[id*dim+i] = float32(size * r.NormFloat64())
		}
	}
	clear(x[:dim])
	table = make([]byte, rows*Int8RowBytes(dim))
	if i := QuantizeInt8(table, x, dim); i >= 0 {
		panic("not finite")
	}
	return table, x
}

func TestGatherInt8Rows(t *testing.T) {
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(35, 36))
		for _, dim := range rowDims {
			for _, n := range []int{0, 1, 2, rowsAhead - 1, rowsAhead, rowsAhead + 1, 3*rowsAhead + 5} {
				const rows = 4 * rowsAhead
				table, x := int8Case(r, rows, dim)
				table, before := slices.Clip(table), slices.Clone(table)
				v, ids := rowCase(r, rows, dim, n)
				stride := dim + r.IntN(3)
				if n > 0 {
					v.n = (n-1)*stride + dim
				}
				out := v.make(r.Float32)
				want := slices.Clone(out)
				GatherInt8Rows(out, stride, table, dim, ids)
				GatherInt8RowsRef(want, stride, table, dim, ids)
				if i := sameBits(out, want); i >= 0 {
					t.Fatalf("dim=%d n=%d: [%d] is %v, want %v", dim, n, i, out[i], want[i])
				}
				if !v.intact() || !slices.Equal(table, before) {
					t.Fatalf("dim=%d n=%d: wrote outside of its slice", dim, n)
				}
				for k, id := range ids { // half a scale, and what float32 rounds in the scale and in the product
					row := x[int(id)*dim : (int(id)+1)*dim]
					most := 0.0
					for _, w := range row {
						most = max(most, math.Abs(float64(w)))
					}
					for i, w := range row {
						if off := math.Abs(float64(out[k*stride+i]) - float64(w)); off > most*(0.5/127+1.2e-7) {
							t.Fatalf("dim=%d row %d: %v is held as %v, off by more than half of %v/127", dim, id, w, out[k*stride+i], most)
						}
					}
					sum, twin := v.make(r.Float32), make([]float32, dim)
					sum = sum[:min(dim, len(sum))]
					if len(sum) == dim {
						copy(twin, sum)
						AxpyInt8(sum, 0.3, table, id)
						AxpyRef(twin, 0.3, out[k*stride:][:dim])
						if i := sameBits(sum, twin); i >= 0 {
							t.Fatalf("AxpyInt8 dim=%d: [%d] is %v, want %v", dim, i, sum[i], twin[i])
						}
					}
				}
			}
		}
	})
}

func TestInt8Misuse(t *testing.T) {
	x, table := make([]float32, 32), make([]byte, 4*Int8RowBytes(8))
	for what, f := range map[string]func(){
		"GatherInt8Rows: id 4 of row 1 is not one of 4":  func() { GatherInt8Rows(x, 8, table, 8, []int32{0, 4}) },
		"GatherInt8Rows: id -1 of row 0 is not one of 4": func() { GatherInt8Rows(x, 8, table, 8, []int32{-1}) },
		"do not fit in 8 elements":                       func() { GatherInt8Rows(x[:8], 8, table, 8, []int32{0, 0}) },
		"32 numbers in rows of 8 do not fill 47 bytes":   func() { QuantizeInt8(table[1:], x, 8) },
		"32 numbers in rows of 7":                        func() { QuantizeInt8(table, x, 7) },
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
