package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
)

// paths calls test once for each set of kernels that this machine can run.
func paths(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	savedPath, savedTiles := path, tiles
	defer func() { path, tiles = savedPath, savedTiles }()
	for l := generic; l <= supported(); l++ {
		path, tiles = sets(l)
		t.Run(l.String(), test)
	}
}

// guard is the value of elements that no kernel may touch.
const guard = -12345.5

// matrix is a random rows x cols matrix with row stride ld in a slice at an odd offset, between guards.
type matrix struct {
	all  []float32
	data []float32
	rows int
	cols int
	ld   int
}

func newMatrix(r *rand.Rand, rows, cols int) matrix {
	m := matrix{rows: rows, cols: cols, ld: cols + r.IntN(4)}
	lead := 16 + r.IntN(16)
	size := 0
	if rows > 0 {
		size = (rows-1)*m.ld + cols
	}
	m.all = make([]float32, lead+size+32)
	for i := range m.all {
		m.all[i] = guard
	}
	m.data = m.all[lead:][:size:size]
	for i := range rows {
		for j := range cols {
			m.data[i*m.ld+j] = r.Float32()*2 - 1
		}
	}
	return m
}

// clone copies m with its guards.
func (m matrix) clone() matrix {
	c := m
	c.all = append([]float32(nil), m.all...)
	lead := 0
	for ; lead < len(m.all) && len(m.data) > 0 && &m.all[lead] != &m.data[0]; lead++ {
	}
	c.data = c.all[lead:][:len(m.data):len(m.data)]
	return c
}

type gemmCase struct {
	ta, tb  bool
	m, n, k int
	acc     bool
}

func (c gemmCase) String() string {
	return fmt.Sprintf("ta=%v tb=%v m=%d n=%d k=%d acc=%v", c.ta, c.tb, c.m, c.n, c.k, c.acc)
}

func (c gemmCase) operands(r *rand.Rand) (a, b, out matrix) {
	am, an, bm, bn := c.m, c.k, c.k, c.n
	if c.ta {
		am, an = an, am
	}
	if c.tb {
		bm, bn = bn, bm
	}
	return newMatrix(r, am, an), newMatrix(r, bm, bn), newMatrix(r, c.m, c.n)
}

func gemmCases(r *rand.Rand) []gemmCase {
	var cases []gemmCase
	add := func(m, n, k int) {
		for v := range 8 {
			cases = append(cases, gemmCase{v&1 > 0, v&2 > 0, m, n, k, v&4 > 0})
		}
	}
	for _, m := range []int{0, 1, 2, 6, 13} {
		for _, n := range []int{0, 1, 3, 16, 33} {
			for _, k := range []int{0, 1, 2, 7, 8, 9, 17} {
				add(m, n, k)
			}
		}
	}
	for range 20 {
		add(1+r.IntN(100), 1+r.IntN(100), 1+r.IntN(100))
	}
	for i, c := range []gemmCase{
		{m: 1, n: 3000, k: 300},           // several column spans of a vector product
		{m: 70, n: 1, k: 600, tb: true},   // several chunks of one
		{m: 150, n: 40, k: 530, ta: true}, // several pieces of k, columns in groups
		{m: 150, n: 40, k: 530, tb: true},
		{m: 2500, n: 17, k: 20, tb: true}, // many row blocks
		{m: 2500, n: 17, k: 20, ta: true},
		{m: 46, n: 32, k: 900, ta: true}, // read in place, in tall and short tiles
		{m: 33, n: 64, k: 500, ta: true},
		{m: 700, n: 96, k: 40, tb: true},
		{m: 701, n: 70, k: 40},
		{m: 20, n: 5000, k: 10},  // columns packed in two parts
		{m: 16, n: 3001, k: 400}, // k packed in two parts
		{m: 7, n: 3001, k: 400, ta: true, tb: true},
	} {
		c.acc = i%2 == 0
		cases = append(cases, c)
	}
	return cases
}

func TestGemm(t *testing.T) {
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, c := range gemmCases(r) {
			a, b, got := c.operands(r)
			want, st := got.clone(), got.clone()
			var calls atomic.Int32
			seen := make([]atomic.Int32, c.m)
			epi := func(r0, r1 int) {
				calls.Add(1)
				for i := r0; i < r1; i++ {
					seen[i].Add(1)
					for j := range c.n {
						got.data[i*got.ld+j] *= 2 // finds blocks that were not finished
					}
				}
			}
			Gemm(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, got.data, got.ld, c.acc, epi)
			GemmST(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, st.data, st.ld, c.acc)
			GemmRef(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, want.data, want.ld, c.acc, nil)
			for i := range seen {
				if n := seen[i].Load(); n != 1 {
					t.Fatalf("%v: epi ran %d times over row %d", c, n, i)
				}
			}
			for i, w := range want.all {
				g := got.all[i]
				if w == guard {
					if g != guard || st.all[i] != guard {
						t.Fatalf("%v: wrote outside of C, at %d", c, i)
					}
					continue
				}
				if g != 2*st.all[i] {
					t.Fatalf("%v: element %d: Gemm %v, GemmST %v", c, i, g/2, st.all[i])
				}
				if err := math.Abs(float64(g/2 - w)); err > 1e-6*(4+float64(c.k)/8) {
					t.Fatalf("%v: element %d is %v, want %v", c, i, g/2, w)
				}
			}
		}
	})
}

// TestGemmThreads checks that the bits do not depend on the number of threads.
func TestGemmThreads(t *testing.T) {
	defer SetThreads(Threads())
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, c := range []gemmCase{
			{false, true, 300, 100, 130, false},
			{true, false, 100, 130, 700, true},
			{false, false, 2600, 20, 40, false},
			{true, true, 65, 90, 300, true},
			{true, false, 1, 300, 2000, false},
			{false, true, 1000, 1, 300, true},
			{false, false, 500, 300, 1, true},
		} {
			a, b, out := c.operands(r)
			var want matrix
			for _, n := range []int{1, 2, 3, 8} {
				SetThreads(n)
				got := out.clone()
				Gemm(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, got.data, got.ld, c.acc, nil)
				if n == 1 {
					want = got
					continue
				}
				for i, w := range want.all {
					if math.Float32bits(got.all[i]) != math.Float32bits(w) {
						t.Fatalf("%v: %d threads: element %d is %v, with 1 thread %v", c, n, i, got.all[i], w)
					}
				}
			}
		}
	})
}

// TestGemmConcurrent runs products inside tasks and from several goroutines.
func TestGemmConcurrent(t *testing.T) {
	defer SetThreads(Threads())
	SetThreads(4)
	r := rand.New(rand.NewPCG(5, 6))
	c := gemmCase{false, true, 90, 70, 80, false}
	a, b, out := c.operands(r)
	want := out.clone()
	GemmST(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, want.data, want.ld, c.acc)
	const tasks = 40
	got := make([]matrix, tasks)
	for i := range got {
		got[i] = out.clone()
	}
	Parallel(tasks, func(i int) {
		o := got[i]
		if i%2 == 0 {
			GemmST(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, o.data, o.ld, c.acc)
		} else {
			Gemm(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, o.data, o.ld, c.acc, nil)
		}
	})
	for i := range got {
		for j, w := range want.all {
			if got[i].all[j] != w {
				t.Fatalf("product %d: element %d is %v, want %v", i, j, got[i].all[j], w)
			}
		}
	}
}

func TestGemmAllocs(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, c := range []gemmCase{
		{false, true, 300, 100, 130, false},
		{true, false, 100, 130, 700, true},
		{false, true, 300, 1, 40, false},
		{false, true, 3, 4, 5, false},
	} {
		a, b, out := c.operands(r)
		epi := func(r0, r1 int) {}
		if n := testing.AllocsPerRun(10, func() {
			Gemm(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, out.data, out.ld, c.acc, epi)
		}); n != 0 {
			t.Errorf("%v: %v allocations, want 0", c, n)
		}
	}
}

func TestGemmShort(t *testing.T) {
	for _, size := range []int{0, 3, 5} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("no panic with %d elements", size)
				}
			}()
			x := make([]float32, size)
			Gemm(false, false, 2, 3, 2, x, 2, x, 3, x, 3, false, nil)
		}()
	}
}
