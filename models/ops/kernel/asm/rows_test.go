package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// ids32 places int32s.
func ids32(m *machine, ids []int32) uint64 {
	b := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		b = append(b, byte(id), byte(id>>8), byte(id>>16), byte(id>>24))
	}
	return m.place(b)
}

// TestRows interprets the kernels on rows, which both sets share.
func TestRows(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = r.Float32() + 0.1
		}
		return x
	}
	compare := func(what string, dim int, mem []byte, want []float32) {
		t.Helper()
		for i, g := range toFloats[float32](mem) {
			if !same(g, want[i]) {
				t.Fatalf("%s: dim %d: [%d] is %v, want %v", what, dim, i, g, want[i])
			}
		}
	}
	for _, dim := range []int{1, 4, 7, 8, 10, 16, 21, 32} {
		const n, ahead = 3, 2
		all := []int32{2, 0, 3, 1, 1} // n, and those that are fetched
		stride := dim + 1
		table, wide := random(4*dim), random(n*stride)

		m := newMachine(code)
		dst, want := toBytes(wide), append([]float32(nil), wide...)
		err := m.call(function(t, "gatherRows"), n, dim, ids32(m, all), ahead, m.place(toBytes(table)), m.place(dst), stride)
		if err != nil {
			t.Fatal(err)
		}
		kernel.GatherRowsRef(want, stride, table, dim, all[:n])
		compare("gatherRows", dim, dst, want)

		m = newMachine(code)
		bytes := make([]byte, 4*kernel.Int8RowBytes(dim))
		for i := range table {
			table[i] -= 0.6
		}
		if i := kernel.QuantizeInt8(bytes, table, dim); i >= 0 {
			t.Fatalf("dim %d: number %d is not finite", dim, i)
		}
		dst, want = toBytes(wide), append(want[:0], wide...)
		if err := m.call(function(t, "gatherInt8Rows"), n, dim, ids32(m, all), ahead, m.place(bytes), m.place(dst), stride); err != nil {
			t.Fatal(err)
		}
		kernel.GatherInt8RowsRef(want, stride, bytes, dim, all[:n])
		compare("gatherInt8Rows", dim, dst, want)

		m = newMachine(code)
		slots := []int32{3, -1, 3, -1, 0}
		dst, want = toBytes(table), append([]float32(nil), table...)
		err = m.call(function(t, "scatterAdd"), n, dim, ids32(m, slots), ahead, m.place(dst), m.place(toBytes(wide)), stride)
		if err != nil {
			t.Fatal(err)
		}
		kernel.ScatterAddRowsRef(want, dim, slots[:n], wide, stride)
		compare("scatterAdd", dim, dst, want)

		for _, s := range []kernel.RowScale{{Scale: 1}, {Scale: 0.5, L2: 0.25}} {
			m = newMachine(code)
			x := [][]float32{random(4 * dim), random(4 * dim), random(4 * dim), random(n * dim)}
			var mems [4][]byte
			var at [4]uint64
			for i := range x {
				mems[i] = toBytes(x[i])
				at[i] = m.place(mems[i])
			}
			args := m.place(toBytes([]float32{1 - lr*decay, 1 - b1, b2, 1 - b2, float32(math.Sqrt(c2)), eps, lr / c1, s.Scale, s.L2}))
			if err := m.call(function(t, "adamRows"), n, dim, ids32(m, all), ahead, at[0], at[1], at[2], at[3], args); err != nil {
				t.Fatal(err)
			}
			kernel.AdamRowsRef(x[0], x[1], x[2], dim, all[:n], x[3], s, lr, b1, b2, eps, c1, c2, decay)
			for i := range x {
				compare("adamRows", dim, mems[i], x[i])
			}
		}
	}
}
