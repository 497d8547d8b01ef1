package main

import (
	"math/rand/v2"
	"testing"
)

// TestNarrow interprets the kernels on several rows of a narrow matrix.
func TestNarrow(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = r.Float32()*2 - 1
		}
		return x
	}
	for _, w := range widths {
		for _, vectors := range []int{1, 2, 3, 4, 5, 9} {
			for _, rows := range []int{1, 2, 5} {
				n := vectors * w.lanes
				ld := n + 3
				x, q, b, p, s := random(rows*ld), random(n), random(n), random(rows), random(rows)
				check := func(name string, want []float32, args func(m *machine, out uint64) []any) {
					t.Helper()
					m := newMachine(code)
					got := toBytes(append(append([]float32{}, q...), random(rows*n)...)[:max(len(want), 1)])
					if err := m.call(function(t, name+w.suffix), args(m, m.place(got))...); err != nil {
						t.Fatal(err)
					}
					for i, v := range toFloats[float32](got)[:len(want)] {
						if v != want[i] {
							t.Fatalf("%s%s: n=%d rows=%d: [%d] is %v, want %v", name, w.suffix, n, rows, i, v, want[i])
						}
					}
				}
				dots := make([]float32, rows)
				for i := range dots {
					lanes := make([][]float32, 4)
					for k := range lanes {
						lanes[k] = make([]float32, w.lanes)
					}
					for v := range vectors {
						acc := lanes[0]
						if v < vectors/4*4 {
							acc = lanes[v%4]
						}
						for j := range acc {
							acc[j] = fma32(x[i*n+v*w.lanes+j], q[v*w.lanes+j], acc[j])
						}
					}
					for j := range lanes[0] {
						lanes[0][j] = (lanes[0][j] + lanes[1][j]) + (lanes[2][j] + lanes[3][j])
					}
					for h := w.lanes / 2; h > 0; h /= 2 {
						for j := range h {
							lanes[0][j] += lanes[0][j+h]
						}
					}
					dots[i] = lanes[0][0]
				}
				check("dotRows", dots, func(m *machine, out uint64) []any {
					return []any{rows, n, m.place(toBytes(x)), m.place(toBytes(q)), out}
				})
				weighted, summed, outer := make([]float32, n), append([]float32{}, q...), make([]float32, rows*n)
				for i := range rows {
					for j := range n {
						weighted[j] += float32(p[i] * x[i*n+j])
						summed[j] += x[i*ld+j]
						outer[i*n+j] = float32(p[i]*q[j]) + float32(s[i]*b[j])
					}
				}
				check("weightedRows", weighted, func(m *machine, out uint64) []any {
					return []any{rows, n, m.place(toBytes(x)), m.place(toBytes(p)), out}
				})
				check("sumRows", summed, func(m *machine, out uint64) []any {
					return []any{rows, n, m.place(toBytes(x)), ld, out}
				})
				check("outerRows", outer, func(m *machine, out uint64) []any {
					return []any{rows, n, m.place(toBytes(p)), m.place(toBytes(q)), m.place(toBytes(s)), m.place(toBytes(b)), out}
				})
			}
		}
	}
}
