package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mmcloughlin/avo/ir"
	"github.com/splice-ml/splice/models/ops/kernel"
)

var code, codeErr = compile()

func function(t *testing.T, name string) *ir.Function {
	t.Helper()
	if codeErr != nil {
		t.Fatal(codeErr)
	}
	for _, f := range code.Functions() {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no function %s", name)
	return nil
}

func toBytes(x []float32) []byte {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, x)
	return b.Bytes()
}

func toFloats[T float32 | float64](b []byte) []T {
	var zero T
	x := make([]T, len(b)/binary.Size(zero))
	binary.Read(bytes.NewReader(b), binary.LittleEndian, x)
	return x
}

func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

var special = []float32{
	0, float32(math.Copysign(0, -1)), float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e-42, math.MaxFloat32, 88.9, -103,
}

const lr, b1, b2, eps, c1, c2, decay = 0.01, 0.9, 0.999, 1e-8, 0.19, 0.002, 0.1

// twins hold, for each element-wise kernel, the arguments behind its slices, and the kernel of the package. The twin of
// a polynomial is the package's own vector code, which checks the interpreter where the machine has it.
var twins = map[string]struct {
	rest func(m *machine) []any
	twin func(x [][]float32)
	poly bool
}{
	"add":         {nil, func(x [][]float32) { kernel.AddRef(x[0], x[1]) }, false},
	"addTo":       {nil, func(x [][]float32) { kernel.AddToRef(x[0], x[1], x[2]) }, false},
	"sub":         {nil, func(x [][]float32) { kernel.SubRef(x[0], x[1], x[2]) }, false},
	"mul":         {nil, func(x [][]float32) { kernel.MulRef(x[0], x[1], x[2]) }, false},
	"mulAdd":      {nil, func(x [][]float32) { kernel.MulAddRef(x[0], x[1], x[2]) }, false},
	"axpy":        {floats(1.7), func(x [][]float32) { kernel.AxpyRef(x[0], 1.7, x[1]) }, false},
	"scale":       {floats(0.3), func(x [][]float32) { kernel.ScaleRef(x[0], x[1], 0.3) }, false},
	"roundPart":   {nil, func(x [][]float32) { kernel.RoundBF16Ref(x[0], x[1], 1) }, false},
	"roundParts":  {nil, func(x [][]float32) { kernel.RoundBF16Ref(x[0], x[1], 2) }, false},
	"fill":        {floats(0.3), func(x [][]float32) { kernel.FillRef(x[0], 0.3) }, false},
	"relu":        {nil, func(x [][]float32) { kernel.ActivateRef(x[0], x[1], kernel.ReLU) }, false},
	"biasReLU":    {nil, func(x [][]float32) { kernel.BiasActRef(x[0], x[1], kernel.ReLU) }, false},
	"reluGrad":    {nil, func(x [][]float32) { kernel.ActGradRef(x[0], x[1], x[2], kernel.ReLU) }, false},
	"tanhGrad":    {nil, func(x [][]float32) { kernel.ActGradRef(x[0], x[1], x[2], kernel.Tanh) }, false},
	"sigmoidGrad": {nil, func(x [][]float32) { kernel.ActGradRef(x[0], x[1], x[2], kernel.Sigmoid) }, false},
	"cross":       {nil, func(x [][]float32) { kernel.CrossRef(x[0], x[1], x[2], x[3], x[4]) }, false},
	"adam": {func(m *machine) []any {
		return []any{m.place(toBytes([]float32{1 - lr*decay, 1 - b1, b2, 1 - b2, float32(math.Sqrt(c2)), eps, lr / c1}))}
	}, func(x [][]float32) { kernel.AdamRef(x[0], x[1], x[2], x[3], lr, b1, b2, eps, c1, c2, decay) }, false},
	"adagrad": {floats(lr, eps), func(x [][]float32) { kernel.AdagradRef(x[0], x[1], x[2], lr, eps) }, false},
	"rmsprop": {floats(lr, 0.99, float32(1-0.99), eps), func(x [][]float32) { kernel.RMSPropRef(x[0], x[1], x[2], lr, 0.99, eps) }, false},
	"sgd":     {floats(lr, 0.9), func(x [][]float32) { kernel.SGDRef(x[0], x[1], x[2], lr, 0.9) }, false},
	"exp":     {nil, func(x [][]float32) { kernel.Exp(x[0], x[1]) }, true},
	"tanh":    {nil, func(x [][]float32) { kernel.Activate(x[0], x[1], kernel.Tanh) }, true},
	"sigmoid": {nil, func(x [][]float32) { kernel.Activate(x[0], x[1], kernel.Sigmoid) }, true},
	"gruCell": {nil, func(x [][]float32) {
		gates := slices.Concat(x[0], x[1], x[2])
		kernel.GRUCells(gates, x[3], x[4], x[5], slices.Concat(x[6], x[7], x[8]), slices.Concat(x[9], x[10], x[11]), []int32{0})
		parts(gates, x[0], x[1], x[2])
	}, true},
	"gruCellGrad": {nil, func(x [][]float32) {
		d, dx := slices.Concat(x[1], x[2], x[3]), slices.Concat(x[4], x[5], x[6])
		kernel.GRUCellsGrad(x[0], d, dx, slices.Concat(x[7], x[8], x[9]), x[10], x[11], x[12], []int32{0})
		parts(d, x[1], x[2], x[3])
		parts(dx, x[4], x[5], x[6])
	}, false},
	"gelu": {nil, func(x [][]float32) { kernel.GELU(x[0], x[1], x[2]) }, true},
}

// parts copies src to dst, one after the other.
func parts(src []float32, dst ...[]float32) {
	for _, d := range dst {
		src = src[copy(d, src):]
	}
}

func floats(x ...float32) func(*machine) []any {
	return func(*machine) []any {
		var args []any
		for _, v := range x {
			args = append(args, v)
		}
		return args
	}
}

var widths = []struct {
	suffix string
	lanes  int
}{{"AVX2", 8}, {"AVX512", 16}}

// TestKernels interprets both versions of each kernel that does not reduce, and compares them bit for bit with its twin.
func TestKernels(t *testing.T) {
	for _, k := range kernels {
		if k.reduces || k.name == "axpy4" || k.name == "dropout" {
			continue // tests of their own
		}
		tw, ok := twins[k.name]
		if !ok {
			t.Errorf("%s has no test", k.name)
			continue
		}
		for _, w := range widths {
			f := function(t, k.name+w.suffix)
			r := rand.New(rand.NewPCG(1, 2))
			for _, blocks := range []int{1, 2, 3, 4, 5, 9} {
				n := blocks * w.lanes
				m := newMachine(code)
				args := []any{n}
				var want [][]float32
				var mems [][]byte
				for i := range strings.Fields(k.ptrs) {
					x := make([]float32, n)
					for j := range x {
						x[j] = r.Float32()*8 - 4
						if r.IntN(8) == 0 {
							x[j] = special[r.IntN(len(special))]
						}
						if (k.name == "adam" && i == 3 || k.name == "adagrad" || k.name == "rmsprop") && i > 1 && x[j] < 0 {
							x[j] = -x[j]
						}
					}
					want = append(want, x)
					mems = append(mems, toBytes(x))
					args = append(args, m.place(mems[i]))
				}
				if tw.rest != nil {
					args = append(args, tw.rest(m)...)
				}
				tw.twin(want)
				if err := m.call(f, args...); err != nil {
					t.Fatal(err)
				}
				for i := range want {
					for j, g := range toFloats[float32](mems[i]) {
						wj := want[i][j]
						if tw.poly && kernel.Path() == "generic" { // the twin is exact
							size, diff := math.Abs(float64(wj)), math.Abs(float64(g-wj))
							if same(g, wj) || diff <= 3e-7*size || k.name == "gelu" && diff <= 1e-6 || k.name == "gruCell" && diff <= 5e-6 || size < 1e-37 {
								continue
							}
						}
						if !same(g, wj) {
							t.Fatalf("%s: %d elements: operand %d [%d] is %v, want %v", f.Name, n, i, j, g, wj)
						}
					}
				}
			}
		}
	}
}

// TestDropout compares the mask of the low 32 counters with the package's.
func TestDropout(t *testing.T) {
	for _, w := range widths {
		f := function(t, "dropout"+w.suffix)
		const key, offset, p = 99, 12345, 0.3
		n := 7 * w.lanes
		x, want := make([]float32, n), make([]float32, n)
		for i := range x {
			x[i] = float32(i + 1)
		}
		kernel.DropoutMaskRef(want, x, key, offset, p)
		k0, k1 := dropKeys(key, offset)
		m := newMachine(code)
		dst := toBytes(make([]float32, n))
		pr := float32(p)
		threshold, scale := uint32(float64(pr)*(1<<31)), float32(1/(1-float64(pr)))
		if err := m.call(f, n, m.place(dst), m.place(toBytes(x)), uint32(offset), k0, k1, threshold, scale); err != nil {
			t.Fatal(err)
		}
		for i, g := range toFloats[float32](dst) {
			if !same(g, want[i]) {
				t.Fatalf("%s: [%d] is %v, want %v", f.Name, i, g, want[i])
			}
		}
	}
}

// dropKeys are the package's.
func dropKeys(key, counter uint64) (k0, k1 uint32) {
	mix := func(x uint64) uint64 {
		x += 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
	hi := mix(key ^ mix(counter>>32))
	return uint32(hi), uint32(hi >> 32)
}

func TestReductions(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, w := range widths {
		for _, blocks := range []int{1, 2, 3, 4, 5, 11} {
			n := blocks * w.lanes
			x, y := make([]float32, n), make([]float32, n)
			for i := range x {
				x[i], y[i] = r.Float32()*2-1, r.Float32()*2-1
			}
			run := func(name string, size int, in ...[]float32) []byte {
				m := newMachine(code)
				args := []any{n}
				for _, v := range in {
					args = append(args, m.place(toBytes(v)))
				}
				out := make([]byte, size)
				if err := m.call(function(t, name+w.suffix), append(args, m.place(out))...); err != nil {
					t.Fatal(err)
				}
				return out
			}
			check := func(name string, got, want float64) {
				if math.Abs(got-want) > 1e-5 {
					t.Errorf("%s%s of %d elements is %v, want %v", name, w.suffix, n, got, want)
				}
			}
			var dot, sum, sq float64
			for _, v := range toFloats[float32](run("dot", 4*w.lanes, x, y)) {
				dot += float64(v)
			}
			for _, v := range toFloats[float64](run("sum", 4*w.lanes, x)) {
				sum += v
			}
			for _, v := range toFloats[float64](run("sumSq", 4*w.lanes, x)) {
				sq += v
			}
			check("dot", dot, float64(kernel.DotRef(x, y)))
			check("sum", sum, float64(kernel.SumRef(x)))
			check("sumSq", sq, kernel.SumSqRef(x))
			for _, nan := range []bool{false, true} {
				if nan {
					x[r.IntN(n)] = float32(math.NaN())
				}
				lanes := toFloats[float32](run("maxAbs", 8*w.lanes, x))
				top, found := kernel.MaxRef(lanes[:w.lanes]), false
				for _, v := range lanes[w.lanes:] {
					found = found || v != v
				}
				if found != nan || !nan && top != kernel.MaxRef(x) {
					t.Errorf("maxAbs%s of %d elements is %v, NaN %v, want %v", w.suffix, n, top, found, kernel.MaxRef(x))
				}
			}
		}
	}
}

func TestAxpy4(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, w := range widths {
		for _, blocks := range []int{1, 2, 3, 5} {
			n := blocks * w.lanes
			ld := n + 3
			dst, x, a := make([]float32, n), make([]float32, 3*ld+n), []float32{1, -2, 0.5, 3}
			for i := range x {
				x[i] = r.Float32()
			}
			m := newMachine(code)
			out := toBytes(dst)
			if err := m.call(function(t, "axpy4"+w.suffix), n, m.place(out), m.place(toBytes(x)), ld, m.place(toBytes(a))); err != nil {
				t.Fatal(err)
			}
			for i, g := range toFloats[float32](out) {
				want := x[i] - 2*x[ld+i] + 0.5*x[2*ld+i] + 3*x[3*ld+i]
				if math.Abs(float64(g-want)) > 1e-5 {
					t.Fatalf("axpy4%s: %d elements: [%d] is %v, want %v", w.suffix, n, i, g, want)
				}
			}
		}
	}
}

func TestGemm(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, w := range widths {
		mr, nr := 6, 16
		if w.lanes == 16 {
			mr, nr = 14, 32
		}
		for _, k := range []int{1, 2, 3, 4, 5, 8, 11} {
			for _, acc := range []bool{false, true} {
				ldc := nr + k%3
				a, b, c := make([]float32, k*mr), make([]float32, k*nr), make([]float32, (mr-1)*ldc+nr)
				for _, x := range [][]float32{a, b, c} {
					for i := range x {
						x[i] = r.Float32()*2 - 1
					}
				}
				m := newMachine(code)
				out := toBytes(c)
				err := m.call(function(t, "gemm"+w.suffix), k, m.place(toBytes(a)), m.place(toBytes(b)), m.place(out), ldc, acc)
				if err != nil {
					t.Fatal(err)
				}
				got := toFloats[float32](out)
				for i := range mr {
					for j := range nr {
						var want float32
						for p := range k {
							want = fma32(a[p*mr+i], b[p*nr+j], want)
						}
						if acc {
							want += c[i*ldc+j]
						}
						if g := got[i*ldc+j]; g != want {
							t.Fatalf("gemm%s: k=%d acc=%v: [%d, %d] is %v, want %v", w.suffix, k, acc, i, j, g, want)
						}
						c[i*ldc+j] = got[i*ldc+j]
					}
				}
				for i := range c {
					if c[i] != got[i] {
						t.Fatalf("gemm%s: wrote between the rows of c", w.suffix)
					}
				}
			}
		}
	}
}

// TestGemmInPlace interprets the kernels that read strided operands, both of which may be stored either way.
func TestGemmInPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, w := range widths {
		g := &gen{lanes: w.lanes}
		nr := 2 * w.lanes
		for _, mr := range g.tiles() {
			name := fmt.Sprintf("gemmInPlace%d%s", mr, w.suffix)
			for _, k := range []int{1, 2, 5} {
				for _, trans := range []bool{false, true} {
					row, step, ldb, ldc := k+3, 1, nr+5, nr+k%3
					if trans {
						row, step = 1, mr+2
					}
					a, b, c := make([]float32, (mr-1)*row+(k-1)*step+1), make([]float32, (k-1)*ldb+nr), make([]float32, (mr-1)*ldc+nr)
					for _, x := range [][]float32{a, b, c} {
						for i := range x {
							x[i] = r.Float32()*2 - 1
						}
					}
					m := newMachine(code)
					out := toBytes(c)
					if err := m.call(function(t, name), k, m.place(toBytes(a)), row, step, m.place(toBytes(b)), ldb, m.place(out), ldc, trans); err != nil {
						t.Fatal(err)
					}
					got := toFloats[float32](out)
					for i := range c {
						want, y, x := c[i], i/ldc, i%ldc
						if x < nr {
							want = 0
							for p := range k {
								want = fma32(a[y*row+p*step], b[p*ldb+x], want)
							}
							if trans {
								want += c[i]
							}
						}
						if got[i] != want {
							t.Fatalf("%s: k=%d trans=%v: [%d, %d] is %v, want %v", name, k, trans, y, x, got[i], want)
						}
					}
				}
			}
		}
	}
}

// TestInstructionSets checks that the AVX-512 versions need nothing beyond AVX-512F and AVX2, which the package asks the
// processor for, and that only the products on tiles need AMX.
func TestInstructionSets(t *testing.T) {
	if codeErr != nil {
		t.Fatal(codeErr)
	}
	allowed := map[string]bool{"AVX": true, "AVX2": true, "FMA3": true, "SSE": true, "SSE2": true, "MMX+": true}
	for _, f := range code.Functions() {
		wide := strings.HasSuffix(f.Name, "AVX512")
		for _, set := range f.ISA {
			if !allowed[set] && !(wide && set == "AVX512F") {
				t.Errorf("%s needs %s", f.Name, set)
			}
		}
	}
	if tileErr != nil {
		t.Fatal(tileErr)
	}
	for _, set := range []string{"AVX512F", "AVX512BW", "AVX512_BF16", "CPUID"} {
		allowed[set] = true
	}
	for _, f := range tileCode.Functions() {
		onTiles := strings.HasPrefix(f.Name, "tiles") || f.Name == "holdTiles"
		for _, set := range f.ISA {
			if !allowed[set] && !(onTiles && (set == amxTile || set == amxBF16)) {
				t.Errorf("%s needs %s", f.Name, set)
			}
		}
	}
}

// TestGenerated checks that the committed files are what the generator writes.
func TestGenerated(t *testing.T) {
	if codeErr != nil {
		t.Fatal(codeErr)
	}
	files, err := render()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes (%v): run go generate", name, err)
		}
	}
}
