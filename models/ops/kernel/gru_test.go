package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestGRUCell compares a cell and its gradient, bit for bit, with the steps of their definitions, for states of any width.
func TestGRUCell(t *testing.T) {
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		random := func(n int) []float32 {
			x := make([]float32, n)
			for i := range x {
				x[i] = 6*r.Float32() - 3
			}
			return x
		}
		for _, H := range []int{1, 3, 7, 8, 9, 16, 23, 24, 32, 47} {
			g, n, h, y, x, bias := random(3*H), random(H), random(H), random(H), random(3*H), random(3*H)
			products := slices.Clone(g)
			want := struct{ R, Z, HN, N []float32 }{products[:H], products[H : 2*H], products[2*H:], make([]float32, H)}
			next := slices.Clone(h)
			for i, gate := range [][]float32{want.R, want.Z, want.HN} {
				AddRef(gate, bias[i*H:(i+1)*H])
			}
			for i, gate := range [][]float32{want.R, want.Z} {
				AddRef(gate, x[i*H:(i+1)*H])
				Activate(gate, gate, Sigmoid)
			}
			MulRef(want.N, want.R, want.HN)
			AddRef(want.N, x[2*H:])
			Activate(want.N, want.N, Tanh)
			SubRef(next, next, want.N)
			MulRef(next, next, want.Z)
			AddRef(next, want.N)
			before := slices.Clone(h)
			GRUCells(g, n, h, y, x, bias, []int32{0})
			for _, c := range []struct {
				name      string
				got, want []float32
			}{{"gates", g, products}, {"n", n, want.N}, {"h", h, next}, {"y", y, next}} {
				if !slices.Equal(c.got, c.want) {
					t.Fatalf("H=%d: %s is %v, want %v", H, c.name, c.got, c.want)
				}
			}

			d, dh, dy, dx := random(3*H), random(H), random(H), random(3*H)
			a := slices.Clone(dh)
			AddRef(a, dy)
			u, tmp, dn, dz, dr, dhn := make([]float32, H), make([]float32, H), make([]float32, H), make([]float32, H), make([]float32, H), make([]float32, H)
			SubRef(tmp, n, before)
			MulRef(tmp, tmp, a)
			ScaleRef(tmp, tmp, -1)
			ActGradRef(dz, want.Z, tmp, Sigmoid)
			for i := range u {
				u[i] = 1 - want.Z[i]
			}
			MulRef(u, u, a)
			SubRef(a, a, u)
			ActGradRef(dn, n, u, Tanh)
			MulRef(tmp, dn, want.HN)
			ActGradRef(dr, want.R, tmp, Sigmoid)
			MulRef(dhn, dn, want.R)
			GRUCellsGrad(dh, d, dx, g, n, before, dy, []int32{0})
			for _, c := range []struct {
				name      string
				got, want []float32
			}{
				{"dh", dh, a}, {"dr", d[:H], dr}, {"dz", d[H : 2*H], dz}, {"dhn", d[2*H:], dhn}, {"dx_r", dx[:H], dr}, {"dx_z", dx[H : 2*H], dz}, {"dx_n", dx[2*H:], dn},
			} {
				if !slices.Equal(c.got, c.want) {
					t.Fatalf("H=%d: %s is %v, want %v", H, c.name, c.got, c.want)
				}
			}
		}
	})
}
