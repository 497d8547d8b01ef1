package kernel

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkPeak measures the multiply-adds that one core can do, the bound of BenchmarkGemm.
func BenchmarkPeak(b *testing.B) {
	const n = 10000
	lanes := peakLoop(n)
	if lanes == 0 {
		b.Skip("no vector kernels")
	}
	for b.Loop() {
		peakLoop(n)
	}
	b.ReportMetric(float64(n)*12*2*float64(lanes)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

func BenchmarkGemm(b *testing.B) {
	defer SetThreads(Threads())
	for _, s := range []struct {
		ta, tb  bool
		m, n, k int
	}{
		{false, true, 4096, 400, 624},
		{false, true, 4096, 624, 400},
		{false, false, 4096, 400, 624},
		{true, false, 400, 624, 4096},
		{false, true, 2560, 384, 384},
		{false, false, 2560, 384, 1536},
		{true, false, 1536, 384, 2560},
		{false, true, 4096, 16, 400},
		{false, true, 4096, 1, 400},
		{true, false, 1, 400, 4096},
		{false, false, 4096, 400, 1},
		{false, true, 10240, 32, 32},
		{false, false, 10240, 32, 32},
		{true, false, 32, 32, 10240},
		{false, true, 10240, 96, 32},
		{false, false, 10240, 32, 96},
		{true, false, 96, 32, 10240},
		{false, true, 4096, 64, 64},
		{false, false, 4096, 64, 64},
		{true, false, 64, 64, 4096},
		{false, true, 1024, 128, 64},
		{false, true, 4096, 128, 128},
		{false, false, 4096, 128, 128},
		{true, false, 128, 128, 4096},
		{false, true, 64, 64, 64},
		{false, true, 128, 128, 64},
		{false, false, 16, 16, 16},
	} {
		x := make([]float32, s.m*s.k)
		y := make([]float32, s.n*s.k)
		z := make([]float32, s.m*s.n)
		Fill(x, 0.5)
		Fill(y, 0.25)
		lda, ldb := s.k, s.n
		if s.ta {
			lda = s.m
		}
		if s.tb {
			ldb = s.k
		}
		letter := map[bool]string{true: "T", false: "N"}
		name := fmt.Sprintf("%s%s/%dx%dx%d", letter[s.ta], letter[s.tb], s.m, s.n, s.k)
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", name, threads), func(b *testing.B) {
				SetThreads(threads)
				b.ReportAllocs()
				for b.Loop() {
					Gemm(s.ta, s.tb, s.m, s.n, s.k, x, lda, y, ldb, z, s.n, false, nil)
				}
				b.ReportMetric(2*float64(s.m)*float64(s.n)*float64(s.k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

// BenchmarkMedium multiplies in float32 and in medium precision in turns, on one thread, and reports the best rate of each: both have the
// same chance of a moment in which nothing else runs. Rows against weights that are kept packed are those of scoring.
func BenchmarkMedium(b *testing.B) {
	defer SetThreads(Threads())
	SetThreads(1)
	savedPath, savedTiles := path, tiles
	defer func() { path, tiles = savedPath, savedTiles }()
	letter := map[bool]string{true: "T", false: "N"}
	for _, s := range []struct {
		ta, tb, kept bool
		m, n, k      int
	}{
		{false, true, false, 1024, 400, 624},
		{false, false, false, 1024, 624, 400},
		{true, false, false, 400, 624, 1024},
		{false, true, false, 512, 1536, 384},
		{true, false, false, 384, 1536, 512},
		{false, true, false, 2048, 64, 64},
		{true, false, false, 64, 64, 2048},
		{false, true, false, 4096, 16, 400},
		{true, false, false, 400, 16, 1024},
		{false, true, false, 128, 128, 32},
		{false, false, false, 128, 32, 128},
		{true, false, false, 128, 32, 128},
		{false, true, false, 32, 32, 32},
		{false, false, false, 32, 32, 32},
		{true, false, false, 32, 32, 32},
		{false, false, false, 16, 16, 16},
		{false, true, true, 1, 400, 624},
		{false, true, true, 2, 400, 624},
		{false, true, true, 10, 400, 624},
	} {
		name := fmt.Sprintf("%s%s/%dx%dx%d", letter[s.ta], letter[s.tb], s.m, s.n, s.k)
		if s.kept {
			name += "/kept"
		}
		b.Run(name, func(b *testing.B) {
			x, y, z := make([]float32, s.m*s.k), make([]float32, s.n*s.k), make([]float32, s.m*s.n)
			Fill(x, 0.5)
			Fill(y, 0.25)
			lda, ldb := s.k, s.n
			if s.ta {
				lda = s.m
			}
			if s.tb {
				ldb = s.k
			}
			work := 2 * float64(s.m) * float64(s.n) * float64(s.k)
			times := max(1, int(1e8/work))
			best := map[Precision]float64{}
			levels := map[Precision]level{Highest: min(supported(), avx512), Medium: supported()}
			kept := map[Precision]*Transposed{}
			for p, l := range levels {
				path, tiles = sets(l)
				if s.kept {
					kept[p] = p.Transpose(s.n, s.k, y)
				}
			}
			for b.Loop() {
				for _, p := range []Precision{Highest, Medium} {
					path, tiles = sets(levels[p])
					start := time.Now()
					for range times {
						switch {
						case s.kept && s.m == 1:
							kept[p].Times(z, x)
						case s.kept:
							kept[p].TimesRows(s.m, z, x, nil)
						default:
							p.Gemm(s.ta, s.tb, s.m, s.n, s.k, x, lda, y, ldb, z, s.n, false, nil)
						}
					}
					best[p] = max(best[p], work*float64(times)/time.Since(start).Seconds()/1e9)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(best[Highest], "float32-GFLOP/s")
			b.ReportMetric(best[Medium], "medium-GFLOP/s")
		})
	}
}

func BenchmarkElementwise(b *testing.B) {
	const n = 4096 * 400
	w, x, y, z := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	Fill(w, 0.5)
	Fill(x, 0.25)
	for _, k := range []struct {
		name  string
		bytes int // read and written for each element
		run   func()
	}{
		{"Add", 12, func() { Add(w, x) }},
		{"BiasActReLU", 8, func() { BiasAct(w, x[:400], ReLU) }},
		{"ActGradReLU", 12, func() { ActGrad(w, x, y, ReLU) }},
		{"Exp", 8, func() { Exp(y, x) }},
		{"Tanh", 8, func() { Activate(y, x, Tanh) }},
		{"Sigmoid", 8, func() { Activate(y, x, Sigmoid) }},
		{"Dot", 8, func() { Dot(w, x) }},
		{"SumSq", 4, func() { SumSq(x) }},
		{"ColSum", 4, func() { ColSum(w[:400], x, n/400, 400) }},
		{"Adam", 28, func() { Adam(w, x, y, z, 1e-3, 0.9, 0.999, 1e-8, 0.1, 0.001, 0) }},
		{"DropoutMask", 8, func() { DropoutMask(y, x, 1, 0, 0.5) }},
	} {
		b.Run(k.name, func(b *testing.B) {
			b.SetBytes(int64(k.bytes) * n)
			for b.Loop() {
				k.run()
			}
		})
	}
}

func BenchmarkParallel(b *testing.B) {
	f := func(int) {}
	for _, n := range []int{1, 2, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				Parallel(n, f)
			}
		})
	}
}

// BenchmarkLadder times a kernel of each family as its scalar twin ("definition") and with each set of kernels that the machine has, on one
// thread.
func BenchmarkLadder(b *testing.B) {
	defer SetThreads(Threads())
	SetThreads(1)
	savedPath, savedTiles := path, tiles
	defer func() { path, tiles = savedPath, savedTiles }()
	const m, n, k = 1024, 400, 624
	x, y, z := make([]float32, m*k), make([]float32, n*k), make([]float32, m*n)
	Fill(x, 0.5)
	Fill(y, 0.25)
	const rows, dim, batch = 1_000_000, 16, 4096 * 26
	table, first, second := make([]float32, rows*dim), make([]float32, rows*dim), make([]float32, rows*dim)
	ids, out, g := make([]int32, batch), make([]float32, batch*dim), make([]float32, batch*dim)
	Fill(g, 0.5)
	for i := range ids {
		ids[i] = int32(i * 9) // ascending and apart
	}
	bytes := make([]byte, rows*Int8RowBytes(dim))
	QuantizeInt8(bytes, table, dim)
	const long = 1 << 20
	for _, f := range []struct {
		name       string
		work       float64 // operations, or bytes
		unit       string
		definition func()
		run        func(p Precision)
	}{
		{
			"product", 2 * m * n * k, "GFLOP/s", func() { GemmRef(false, true, m, n, k, x, k, y, k, z, n, false, nil) },
			func(p Precision) { p.Gemm(false, true, m, n, k, x, k, y, k, z, n, false, nil) },
		},
		{"exp", 8 * m * n, "GB/s", func() { ExpRef(z, x[:m*n]) }, func(Precision) { Exp(z, x[:m*n]) }},
		{
			"adam", 28 * long, "GB/s", func() { AdamRef(table[:long], g[:long], first, second, 1e-3, 0.9, 0.999, 1e-8, 0.1, 0.001, 0) },
			func(Precision) {
				Adam(table[:long], g[:long], first[:long], second[:long], 1e-3, 0.9, 0.999, 1e-8, 0.1, 0.001, 0)
			},
		},
		{"gather", 8 * batch * dim, "GB/s", func() { GatherRowsRef(out, dim, table, dim, ids) }, func(Precision) { GatherRows(out, dim, table, dim, ids) }},
		{
			"gather int8", (5*dim + 4) * batch, "GB/s", func() { GatherInt8RowsRef(out, dim, bytes, dim, ids) },
			func(Precision) { GatherInt8Rows(out, dim, bytes, dim, ids) },
		},
		{
			"adam rows", 28 * batch * dim, "GB/s",
			func() {
				AdamRowsRef(table, first, second, dim, ids, g, RowScale{Scale: 1}, 1e-3, 0.9, 0.999, 1e-8, 0.1, 0.001, 0)
			},
			func(Precision) {
				AdamRows(table, first, second, dim, ids, g, RowScale{Scale: 1}, 1e-3, 0.9, 0.999, 1e-8, 0.1, 0.001, 0)
			},
		},
	} {
		rung := func(name string, run func()) {
			b.Run(f.name+"/"+name, func(b *testing.B) {
				for b.Loop() {
					run()
				}
				b.ReportMetric(f.work*float64(b.N)/b.Elapsed().Seconds()/1e9, f.unit)
			})
		}
		rung("definition", f.definition)
		for l := generic; l <= supported(); l++ {
			path, tiles = sets(l)
			for p := Highest; p <= Medium; p++ {
				switch {
				case f.name == "product" && (l == amx || l == avx512bf16 && p == Medium):
					rung(fmt.Sprintf("%v %v", l, p), func() { f.run(p) })
				case p == Highest && l < avx512bf16:
					rung(l.String(), func() { f.run(p) })
				}
			}
		}
	}
}

// BenchmarkBandwidth is the rate at which two threads add one array to another, both larger than the caches: 12 bytes an element.
func BenchmarkBandwidth(b *testing.B) {
	const n, parts = 32 << 20, 64
	x, y := make([]float32, n), make([]float32, n)
	Fill(x, 0.5)
	Fill(y, 0.25)
	task := func(i int) { Add(x[i*n/parts:(i+1)*n/parts], y[i*n/parts:(i+1)*n/parts]) }
	b.SetBytes(12 * n)
	for b.Loop() {
		Parallel(parts, task)
	}
}
