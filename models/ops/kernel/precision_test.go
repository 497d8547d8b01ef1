package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// onTiles calls test for the scalar twins of the kernels on tiles and, where there are any, for those themselves.
func onTiles(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	savedPath, savedTiles, savedMin := path, tiles, minSix
	defer func() { path, tiles, minSix = savedPath, savedTiles, savedMin }()
	minSix = 0
	tiles = refTiles
	t.Run("twins", test)
	tiles = refPairs
	t.Run("pair twins", test)
	for l := avx512bf16; l <= amx; l++ {
		if supported() < l {
			t.Logf("no %v here: the assembly is interpreted by the tests in asm", l)
			return
		}
		path, tiles = sets(l)
		t.Run(l.String(), test)
	}
}

// eachPrecision calls test for each precision and each way to compute it here.
func eachPrecision(t *testing.T, test func(t *testing.T, p Precision)) {
	t.Helper()
	all := func(t *testing.T) {
		for p := Highest; p <= Medium; p++ {
			t.Run(p.String(), func(t *testing.T) { test(t, p) })
		}
	}
	paths(t, all)
	onTiles(t, all)
}

// partsGemm is the definition of a product on tiles, an element after the other.
func partsGemm(c gemmCase, parts int, a, b, out matrix) {
	at := func(m matrix, i, j int, trans bool) float32 {
		if trans {
			i, j = j, i
		}
		return m.data[i*m.ld+j]
	}
	steps := ceil(c.k, tileStep)
	most := pieceSteps[parts]
	if c.ta && !c.tb {
		most = columnPiece
	}
	piece := ceil(steps, ceil(steps, most))
	for i := range c.m {
		for j := range c.n {
			var total float32
			if c.acc {
				total = out.data[i*out.ld+j]
			}
			for s0 := 0; s0 < steps; s0 += piece {
				add, apart := c.acc || s0 > 0, parts == 3
				sum := total
				if apart || !add {
					sum = 0
				}
				for s := s0; s < min(s0+piece, steps); s++ {
					var x, y [3][tileStep]uint16
					for p := range min(tileStep, c.k-s*tileStep) {
						u, v := splitBF16(at(a, i, s*tileStep+p, c.ta), parts), splitBF16(at(b, s*tileStep+p, j, c.tb), parts)
						for q := range parts {
							x[q][p], y[q][p] = u[q], v[q]
						}
					}
					if tiles.inPairs() {
						for p := 0; p < tileStep; p += 2 {
							sum = PairBF16(sum, (*[2]uint16)(x[0][p:]), (*[2]uint16)(y[0][p:]))
						}
						continue
					}
					for _, q := range partProducts[parts] {
						sum = DotBF16(sum, &x[q[0]], &y[q[1]])
					}
				}
				if apart && add {
					sum += total
				}
				total = sum
			}
			out.data[i*out.ld+j] = total
		}
	}
}

func tileCases() []gemmCase {
	var cases []gemmCase
	for i, s := range [][3]int{
		{32, 32, 32}, {16, 16, 16}, {1, 16, 17}, {33, 17, 31}, {40, 70, 33}, {64, 80, 64}, {31, 95, 100}, {5, 48, 700}, {130, 33, 20}, {17, 40, 330}, {70, 16, 400},
	} {
		for v := range 8 {
			if (v+i)%3 == 0 || i < 3 { // all of the small ones
				cases = append(cases, gemmCase{v&1 > 0, v&2 > 0, s[0], s[1], s[2], v&4 > 0})
			}
		}
	}
	return append(cases,
		gemmCase{m: 3, n: maxNC + 40, k: 20}, gemmCase{tb: true, m: 1, n: maxNC + 17, k: 33}, gemmCase{m: 1, n: 40, k: 400},
		gemmCase{ta: true, m: 2, n: 2*maxNC + 33, k: 16},
		gemmCase{m: 2, n: 3001, k: 400}) // B packed in two parts
}

// TestTiled checks the bits of products on tiles, for any number of threads, with guards around C and around A and B.
func TestTiled(t *testing.T) {
	defer SetThreads(Threads())
	onTiles(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(21, 22))
		threads := []int{2, 7}
		if tiles == amxTiles || tiles == pairTiles {
			threads = []int{1, 2, 3, 7}
		}
		for _, c := range tileCases() {
			a, b, out := c.operands(r)
			for p := Highest; p <= Medium; p++ {
				if c.m == 1 && (c.ta || c.acc) || c.n > maxNC && p != Medium || !p.onTiles(c.n, c.k) {
					continue
				}
				want, st := out.clone(), out.clone()
				partsGemm(c, p.parts(), a, b, want)
				if c.m == 1 { // only a layer's single row is on tiles
					p.GemmRows(c.tb, 1, c.n, c.k, a.data, a.ld, b.data, b.ld, st.data, st.ld, nil)
					sameMatrix(t, fmt.Sprintf("%v %v: GemmRows", p, c), st, want)
					continue
				}
				p.GemmST(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, st.data, st.ld, c.acc)
				sameMatrix(t, fmt.Sprintf("%v %v: GemmST", p, c), st, want)
				for _, n := range threads {
					SetThreads(n)
					got := out.clone()
					seen := make([]atomic.Int32, c.m)
					epi := func(r0, r1 int) {
						for i := r0; i < r1; i++ {
							seen[i].Add(1)
						}
					}
					p.Gemm(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, got.data, got.ld, c.acc, epi)
					sameMatrix(t, fmt.Sprintf("%v %v, %d threads", p, c, n), got, want)
					for i := range seen {
						if n := seen[i].Load(); n != 1 {
							t.Fatalf("%v %v: epi ran %d times over row %d", p, c, n, i)
						}
					}
				}
			}
		}
	})
}

// TestTiledAfterNaN checks that what an earlier product left in the memory of tiles does not come into a shorter one.
func TestTiledAfterNaN(t *testing.T) {
	onTiles(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(91, 92))
		nan := slices.Repeat([]float32{float32(math.NaN())}, 40*40)
		for v := range 4 {
			for _, k := range []int{17, 24, 30} {
				for p := Highest; p <= Medium; p++ {
					c := gemmCase{v&1 > 0, v&2 > 0, 40, 40, k, false}
					a, b, out := c.operands(r)
					p.GemmST(c.ta, c.tb, 40, 40, 40, nan, 40, nan, 40, slices.Clone(nan), 40, false)
					p.GemmST(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, out.data, out.ld, false)
					for i, x := range out.all {
						if x != x {
							t.Fatalf("%v %v: element %d is NaN", p, c, i)
						}
					}
				}
			}
		}
	})
}

func sameMatrix(t *testing.T, what string, got, want matrix) {
	t.Helper()
	for i, w := range want.all {
		if math.Float32bits(got.all[i]) != math.Float32bits(w) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got.all[i], w)
		}
	}
}

// TestPrecision holds each precision to its error against float64, relative to the root of the mean square of the product, on tiles and
// off them: the ways agree to their own error.
func TestPrecision(t *testing.T) {
	bounds := [...]float64{Highest: 1.5e-6, High: 1.2e-5, Medium: 5e-3}
	eachPrecision(t, func(t *testing.T, p Precision) {
		r := rand.New(rand.NewPCG(31, 32))
		for _, s := range [][3]int{{48, 40, 64}, {20, 33, 624}, {16, 16, 2000}} {
			for v := range 4 {
				c := gemmCase{v&1 > 0, v&2 > 0, s[0], s[1], s[2], false}
				a, b, out := c.operands(r)
				p.Gemm(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, out.data, out.ld, false, nil)
				var miss, size float64
				for i := range c.m {
					for j := range c.n {
						var want float64
						for q := range c.k {
							x, y := a.data[i*a.ld:], b.data[j:]
							u, w := 0.0, 0.0
							if c.ta {
								u = float64(a.data[q*a.ld+i])
							} else {
								u = float64(x[q])
							}
							if c.tb {
								w = float64(b.data[j*b.ld+q])
							} else {
								w = float64(y[q*b.ld])
							}
							want += u * w
						}
						d := float64(out.data[i*out.ld+j]) - want
						miss, size = miss+d*d, size+want*want
					}
				}
				e := math.Sqrt(miss / size)
				if e > bounds[p] || p > Highest && e < bounds[p]/1e3 {
					t.Errorf("%v: error %.2g of the product's size, want up to %.2g", c, e, bounds[p])
				}
			}
		}
	})
}

// TestPrecisionRows checks that a row has the same bits alone, among others, and against a transpose that is kept.
func TestPrecisionRows(t *testing.T) {
	eachPrecision(t, func(t *testing.T, p Precision) {
		r := rand.New(rand.NewPCG(41, 42))
		for _, s := range [][2]int{{16, 16}, {40, 33}, {17, 700}, {15, 40}, {maxNC + 20, 17}} {
			n, k, rows := s[0], s[1], 3
			a, b, c, alone, times := values(r, rows*k), values(r, n*k), make([]float32, rows*n), make([]float32, n), make([]float32, n)
			p.GemmRows(true, rows, n, k, a, k, b, k, c, n, nil)
			kept := p.Transpose(n, k, b)
			if n <= WidestKept {
				many := make([]float32, rows*n)
				var done atomic.Int32
				kept.TimesRows(rows, many, a, func(r0, r1 int) { done.Add(int32(r1 - r0)) })
				if done.Load() != int32(rows) {
					t.Fatalf("n=%d k=%d: epi ran over %d rows", n, k, done.Load())
				}
				for j, want := range c {
					if math.Float32bits(many[j]) != math.Float32bits(want) {
						t.Fatalf("n=%d k=%d: element %d of rows against a transpose is %v, want %v", n, k, j, many[j], want)
					}
				}
			}
			for i := range rows {
				p.GemmRows(true, 1, n, k, a[i*k:], k, b, k, alone, n, nil)
				kept.Times(times, a[i*k:])
				for j, want := range c[i*n : (i+1)*n] {
					if math.Float32bits(alone[j]) != math.Float32bits(want) || math.Float32bits(times[j]) != math.Float32bits(want) {
						t.Fatalf("n=%d k=%d: element %d is %v alone, %v against a transpose, %v among others", n, k, j, alone[j], times[j], want)
					}
				}
			}
		}
	})
}

func TestPrecisionAllocs(t *testing.T) {
	eachPrecision(t, func(t *testing.T, p Precision) {
		r := rand.New(rand.NewPCG(51, 52))
		for v := range 4 {
			c := gemmCase{v&1 > 0, v&2 > 0, 50, 70, 90, false}
			a, b, out := c.operands(r)
			run := func() {
				p.Gemm(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, out.data, out.ld, false, nil)
			}
			run()
			if n := testing.AllocsPerRun(3, run); n != 0 {
				t.Errorf("%v: %v allocations, want 0", c, n)
			}
		}
	})
}

func TestParsePrecision(t *testing.T) {
	for p := Highest; p <= Medium; p++ {
		if got, err := ParsePrecision(p.String()); got != p || err != nil {
			t.Errorf("%v is parsed as %v, %v", p, got, err)
		}
	}
	if _, err := ParsePrecision("fp32"); err == nil {
		t.Error("fp32 is a precision")
	}
}

// TestRoundBF16 checks the rounding of factors against that of their parts.
func TestRoundBF16(t *testing.T) {
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(61, 62))
		x := make([]float32, 1000)
		for i := range x {
			x[i] = math.Float32frombits(r.Uint32())
			if e := math.Float32bits(x[i]) >> 23 & 0xff; e < 30 || e > 250 { // parts that are subnormal, sums that overflow
				x[i] = float32(r.NormFloat64())
			}
		}
		for parts := 1; parts <= 2; parts++ {
			got := make([]float32, len(x))
			RoundBF16(got, x, parts)
			for i, v := range x {
				var want float32
				for _, p := range splitBF16(v, parts) {
					want += fromBF16(p)
				}
				if got[i] != want {
					t.Fatalf("%d parts of %v are %v, want %v", parts, v, got[i], want)
				}
			}
			odd := []float32{float32(math.NaN()), float32(math.Inf(1)), math.Float32frombits(0x7fffffff), math.MaxFloat32, 0, 1e-42}
			RoundBF16(odd, odd, parts)
			for i, v := range odd {
				if nan := v != v || math.IsInf(float64(v), 0); nan != (i < 4) {
					t.Errorf("%d parts: number %d of the odd ones became %v", parts, i, v)
				}
			}
		}
	})
}

// TestPairBF16 compares with what VDPBF16PS makes of the same numbers on a Zen 4.
func TestPairBF16(t *testing.T) {
	for _, tc := range []struct {
		what string
		c    uint32
		a, b [2]uint16
		want uint32
	}{
		{"1 - 1, then 2^-24", 0x3f800000, [2]uint16{0x3380, 0xbf80}, [2]uint16{0x3f80, 0x3f80}, 0x33800000},
		{"1 + 2^-24, then -1", 0x3f800000, [2]uint16{0xbf80, 0x3380}, [2]uint16{0x3f80, 0x3f80}, 0},
		{"both 2^-24", 0x3f800000, [2]uint16{0x3380, 0x3380}, [2]uint16{0x3f80, 0x3f80}, 0x3f800000},
		{"products", 0x33800000, [2]uint16{0x3f81, 0x3f81}, [2]uint16{0x3f83, 0x3f85}, 0x40050800},
		{"subnormal factor", 0x3f800000, [2]uint16{1, 0x3f80}, [2]uint16{0x7f00, 0x3f80}, 0x40000000},
		{"subnormal c", 0x400000, [2]uint16{0, 0}, [2]uint16{0, 0}, 0},
		{"subnormal product", 0, [2]uint16{0x1f80, 0}, [2]uint16{0x1f80, 0}, 0},
		{"a tie just below the normal numbers", 0x800000, [2]uint16{0x9c80, 0}, [2]uint16{0x1700, 0}, 0x800000},
		{"below it", 0x800000, [2]uint16{0x9cc0, 0}, [2]uint16{0x1700, 0}, 0},
		{"a sum that overflows first", 0x3f800000, [2]uint16{0x7f00, 0x7f00}, [2]uint16{0xc080, 0x4080}, 0x7f800000},
		{"zeros below zero", 0x80000000, [2]uint16{0x8000, 0x3f80}, [2]uint16{0x3f80, 0x8000}, 0x80000000},
	} {
		if got := math.Float32bits(PairBF16(math.Float32frombits(tc.c), &tc.a, &tc.b)); got != tc.want {
			t.Errorf("%s: %#x, want %#x", tc.what, got, tc.want)
		}
	}
}

// TestPairsAreMedium checks that AVX512-BF16 changes the products of medium precision alone.
func TestPairsAreMedium(t *testing.T) {
	savedTiles := tiles
	defer func() { tiles = savedTiles }()
	r := rand.New(rand.NewPCG(81, 82))
	c := gemmCase{m: 20, n: 40, k: 50}
	a, b, out := c.operands(r)
	for p := Highest; p <= Medium; p++ {
		var got [2]matrix
		for i, set := range []tileSet{noTiles, refPairs} {
			tiles, got[i] = set, out.clone()
			p.Gemm(false, false, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, got[i].data, out.ld, false, nil)
		}
		differ := 0
		for i, v := range got[0].all {
			if math.Float32bits(v) != math.Float32bits(got[1].all[i]) {
				differ++
			}
		}
		if (differ > 0) != (p == Medium) {
			t.Errorf("%v: %d elements differ", p, differ)
		}
	}
}

func TestNative(t *testing.T) {
	for _, tc := range []struct {
		p               Precision
		chosen, fastest level
		want            string // in the error
	}{
		{Highest, generic, amx, ""},
		{Medium, amx, amx, ""},
		{High, amx, amx, ""},
		{Medium, avx512bf16, avx512bf16, ""},
		{Medium, avx512bf16, avx512, ""},
		{Medium, avx512bf16, amx, ""},
		{High, avx512bf16, amx, "SPLICE_KERNEL is avx512bf16"},
		{High, avx512bf16, avx512bf16, "the processor has no AMX"},
		{Medium, avx512, avx512bf16, "SPLICE_KERNEL is avx512"},
		{Medium, avx2, amx, "SPLICE_KERNEL is avx2"},
		{Medium, avx512, avx512, "the processor has neither"},
	} {
		err := tc.p.native(tc.chosen, tc.fastest, func(p Precision) string {
			if p == Medium {
				return "the processor has neither"
			}
			return "the processor has no AMX"
		})
		if (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want {
			t.Errorf("%v with %v, %v being the fastest: %v, want %q", tc.p, tc.chosen, tc.fastest, err, tc.want)
		}
	}
	if err := Highest.Native(); err != nil {
		t.Error(err)
	}
}

// TestHoldTiles keeps values in tiles while collections, profiling signals and other goroutines go on, and multiplies beside them. It takes
// SPLICE_STRESS, a duration such as 60s, or a second.
func TestHoldTiles(t *testing.T) {
	if supported() < amx {
		t.Skip("no AMX here")
	}
	savedPath, savedTiles := path, tiles
	defer func() { path, tiles = savedPath, savedTiles }()
	path, tiles = sets(amx)
	length := time.Second
	if env := os.Getenv("SPLICE_STRESS"); env != "" {
		var err error
		if length, err = time.ParseDuration(env); err != nil {
			t.Fatal(err)
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	end := time.Now().Add(length)
	errs := make(chan error, 8)
	c := gemmCase{false, true, 70, 90, 200, false}
	for g := range 8 {
		go func() {
			r := rand.New(rand.NewPCG(71, uint64(g)))
			a, b, out := c.operands(r)
			want := out.clone()
			p := Precision(g % 3)
			p.GemmST(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, want.data, want.ld, false)
			in, back := make([]uint16, 8*tileSize), make([]uint16, 8*tileSize)
			for time.Now().Before(end) {
				for i := range in {
					in[i] = uint16(r.Uint32())
				}
				hold(in, back, 20000)
				for i, v := range in {
					if back[i] != v {
						errs <- fmt.Errorf("number %d came back as %#x, not %#x", i, back[i], v)
						return
					}
				}
				p.GemmST(c.ta, c.tb, c.m, c.n, c.k, a.data, a.ld, b.data, b.ld, out.data, out.ld, false)
				for i, v := range want.all {
					if out.all[i] != v {
						errs <- fmt.Errorf("%v: element %d is %v, was %v", p, i, out.all[i], v)
						return
					}
				}
				runtime.Gosched()
			}
			errs <- nil
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
