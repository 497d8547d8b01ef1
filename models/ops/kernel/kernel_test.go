package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// vectors makes n-element slices at random offsets in guarded memory.
type vectors struct {
	r    *rand.Rand
	n    int
	all  [][]float32
	each [][]float32
}

func (v *vectors) make(fill func() float32) []float32 {
	lead := 8 + v.r.IntN(16)
	all := make([]float32, lead+v.n+24)
	for i := range all {
		all[i] = guard
	}
	x := all[lead:][:v.n:v.n]
	for i := range x {
		x[i] = fill()
	}
	v.all, v.each = append(v.all, all), append(v.each, x)
	return x
}

// intact reports whether the memory around all slices is unchanged.
func (v *vectors) intact() bool {
	for i, all := range v.all {
		x := v.each[i]
		lead := 0
		for len(x) > 0 && &all[lead] != &x[0] {
			lead++
		}
		for j, g := range all {
			if (j < lead || j >= lead+len(x)) && g != guard {
				return false
			}
		}
	}
	return true
}

func sameBits(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) && !(a[i] != a[i] && b[i] != b[i]) {
			return i
		}
	}
	return -1
}

// TestElementwise compares every kernel that rounds like its twin with it, bit for bit. x[0] is the destination.
func TestElementwise(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	special := []float32{0, float32(math.Copysign(0, -1)), nan, -nan, inf, -inf, 1e-42, -1e-42, math.MaxFloat32}
	kernels := []struct {
		name     string
		operands int
		positive bool // second moments
		run, ref func(x [][]float32)
	}{
		{"Add", 2, false, func(x [][]float32) { Add(x[0], x[1]) }, func(x [][]float32) { AddRef(x[0], x[1]) }},
		{"AddTo", 3, false, func(x [][]float32) { AddTo(x[0], x[1], x[2]) }, func(x [][]float32) { AddToRef(x[0], x[1], x[2]) }},
		{"Sub", 3, false, func(x [][]float32) { Sub(x[0], x[1], x[2]) }, func(x [][]float32) { SubRef(x[0], x[1], x[2]) }},
		{"Mul", 3, false, func(x [][]float32) { Mul(x[0], x[1], x[2]) }, func(x [][]float32) { MulRef(x[0], x[1], x[2]) }},
		{"MulAdd", 3, false, func(x [][]float32) { MulAdd(x[0], x[1], x[2]) }, func(x [][]float32) { MulAddRef(x[0], x[1], x[2]) }},
		{"Axpy", 2, false, func(x [][]float32) { Axpy(x[0], 1.7, x[1]) }, func(x [][]float32) { AxpyRef(x[0], 1.7, x[1]) }},
		{"Scale", 2, false, func(x [][]float32) { Scale(x[0], x[1], 0.3) }, func(x [][]float32) { ScaleRef(x[0], x[1], 0.3) }},
		{"Fill", 1, false, func(x [][]float32) { Fill(x[0], 0.3) }, func(x [][]float32) { FillRef(x[0], 0.3) }},
		{"ReLU", 2, false, func(x [][]float32) { Activate(x[0], x[1], ReLU) }, func(x [][]float32) { ActivateRef(x[0], x[1], ReLU) }},
		{"None", 2, false, func(x [][]float32) { Activate(x[0], x[1], None) }, func(x [][]float32) { ActivateRef(x[0], x[1], None) }},
		{"BiasNone", 2, false, func(x [][]float32) { BiasAct(x[0], x[1], None) }, func(x [][]float32) { BiasActRef(x[0], x[1], None) }},
		{"BiasReLU", 2, false, func(x [][]float32) { BiasAct(x[0], x[1], ReLU) }, func(x [][]float32) { BiasActRef(x[0], x[1], ReLU) }},
		{
			"NoneGrad", 3, false,
			func(x [][]float32) { ActGrad(x[0], x[1], x[2], None) },
			func(x [][]float32) { ActGradRef(x[0], x[1], x[2], None) },
		},
		{
			"ReLUGrad", 3, false,
			func(x [][]float32) { ActGrad(x[0], x[1], x[2], ReLU) },
			func(x [][]float32) { ActGradRef(x[0], x[1], x[2], ReLU) },
		},
		{
			"TanhGrad", 3, false,
			func(x [][]float32) { ActGrad(x[0], x[1], x[2], Tanh) },
			func(x [][]float32) { ActGradRef(x[0], x[1], x[2], Tanh) },
		},
		{
			"SigmoidGrad", 3, false,
			func(x [][]float32) { ActGrad(x[0], x[1], x[2], Sigmoid) },
			func(x [][]float32) { ActGradRef(x[0], x[1], x[2], Sigmoid) },
		},
		{
			"Cross", 5, false,
			func(x [][]float32) { Cross(x[0], x[1], x[2], x[3], x[4]) },
			func(x [][]float32) { CrossRef(x[0], x[1], x[2], x[3], x[4]) },
		},
		{
			"Adam", 4, true,
			func(x [][]float32) { Adam(x[0], x[1], x[2], x[3], 0.01, 0.9, 0.999, 1e-8, 0.19, 0.002, 0) },
			func(x [][]float32) { AdamRef(x[0], x[1], x[2], x[3], 0.01, 0.9, 0.999, 1e-8, 0.19, 0.002, 0) },
		},
		{
			"AdamW", 4, true,
			func(x [][]float32) { Adam(x[0], x[1], x[2], x[3], 0.01, 0.9, 0.999, 1e-8, 0.19, 0.002, 0.1) },
			func(x [][]float32) { AdamRef(x[0], x[1], x[2], x[3], 0.01, 0.9, 0.999, 1e-8, 0.19, 0.002, 0.1) },
		},
		{
			"Adagrad", 3, true,
			func(x [][]float32) { Adagrad(x[0], x[1], x[2], 0.01, 1e-10) },
			func(x [][]float32) { AdagradRef(x[0], x[1], x[2], 0.01, 1e-10) },
		},
		{
			"RMSProp", 3, true,
			func(x [][]float32) { RMSProp(x[0], x[1], x[2], 0.01, 0.99, 1e-8) },
			func(x [][]float32) { RMSPropRef(x[0], x[1], x[2], 0.01, 0.99, 1e-8) },
		},
		{"SGD", 2, false, func(x [][]float32) { SGD(x[0], x[1], nil, 0.01, 0) }, func(x [][]float32) { SGDRef(x[0], x[1], nil, 0.01, 0) }},
		{
			"Momentum", 3, false,
			func(x [][]float32) { SGD(x[0], x[1], x[2], 0.01, 0.9) },
			func(x [][]float32) { SGDRef(x[0], x[1], x[2], 0.01, 0.9) },
		},
		{
			"DropoutMask", 2, false,
			func(x [][]float32) { DropoutMask(x[0], x[1], 7, 1<<32-37, 0.3) },
			func(x [][]float32) { DropoutMaskRef(x[0], x[1], 7, 1<<32-37, 0.3) },
		},
	}
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, k := range kernels {
			for _, n := range append(sizes(), 200+r.IntN(300)) {
				v := &vectors{r: r, n: n}
				var got, want [][]float32
				for i := range k.operands {
					x := v.make(func() float32 {
						if k.positive && i == k.operands-1 {
							return r.Float32()
						}
						if r.IntN(8) == 0 {
							return special[r.IntN(len(special))]
						}
						return r.Float32()*4 - 2
					})
					got, want = append(got, x), append(want, slices.Clone(x))
				}
				k.run(got)
				k.ref(want)
				for i := range got {
					if j := sameBits(got[i], want[i]); j >= 0 {
						t.Fatalf("%s: %d elements: operand %d [%d] is %v, want %v", k.name, n, i, j, got[i][j], want[i][j])
					}
				}
				if !v.intact() {
					t.Fatalf("%s: %d elements: wrote outside of its slices", k.name, n)
				}
			}
		}
	})
}

func sizes() []int {
	s := []int{0, 1, 2, 3, 5, 64, 100, 129}
	for n := 7; n < 36; n++ {
		s = append(s, n)
	}
	return s
}

// TestTranscendental bounds the relative error over the whole range, and checks the limits.
func TestTranscendental(t *testing.T) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	kernels := []struct {
		name     string
		low, hi  float32 // where the result is a normal number
		run      func(dst, x []float32)
		exact    func(float64) float64
		nInf, pI float32
	}{
		{"Exp", -87, 88.7, Exp, math.Exp, 0, float32(math.Inf(1))},
		{"Tanh", -1000, 1000, func(d, x []float32) { Activate(d, x, Tanh) }, math.Tanh, -1, 1},
		{"Sigmoid", -87, 1000, func(d, x []float32) { Activate(d, x, Sigmoid) }, sigmoid, 0, 1},
	}
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		for _, k := range kernels {
			worst, where := 0.0, float32(0)
			for _, n := range append(sizes(), 200000) {
				v := &vectors{r: r, n: n}
				x := v.make(func() float32 {
					switch r.IntN(4) {
					case 0: // any magnitude
						return float32(math.Copysign(math.Exp(r.Float64()*100-95), r.Float64()-0.5))
					case 1:
						return r.Float32()*200 - 100
					}
					return r.Float32()*4 - 2
				})
				dst := v.make(func() float32 { return 0 })
				k.run(dst, x)
				for i, xi := range x {
					if xi < k.low || xi > k.hi {
						continue
					}
					want := k.exact(float64(xi))
					if err := math.Abs(float64(dst[i])-want) / math.Abs(want); err > worst || err != err {
						worst, where = err, xi
					}
				}
				if !v.intact() {
					t.Fatalf("%s: %d elements: wrote outside of its slices", k.name, n)
				}
				again := slices.Clone(x) // in place, and each element alone
				k.run(again, again)
				if i := sameBits(again, dst); i >= 0 {
					t.Fatalf("%s in place: [%d] is %v, want %v", k.name, i, again[i], dst[i])
				}
				if n > 1000 {
					continue
				}
				for i := range x {
					k.run(again[i:i+1], x[i:i+1])
				}
				if i := sameBits(again, dst); i >= 0 {
					t.Fatalf("%s alone: [%d] is %v, want %v", k.name, i, again[i], dst[i])
				}
			}
			if !(worst <= 3e-7) {
				t.Errorf("%s(%v) is off by %.3g, want 3e-7 at most", k.name, where, worst)
			}
			inf := float32(math.Inf(1))
			x := []float32{-inf, inf, -200, 200, float32(math.NaN()), 0, float32(math.Copysign(0, -1)), 1e-44}
			dst := make([]float32, len(x))
			k.run(dst, x)
			exact := func(v float64) float32 { return float32(k.exact(v)) }
			want := []float32{k.nInf, k.pI, k.nInf, k.pI, x[4], exact(0), exact(math.Copysign(0, -1)), exact(1e-44)}
			if path == generic {
				want[2] = float32(k.exact(-200))
			}
			for i := range x {
				if sameBits(dst[i:i+1], want[i:i+1]) >= 0 {
					t.Errorf("%s(%v) = %v, want %v", k.name, x[i], dst[i], want[i])
				}
			}
		}
	})
}

// TestGELUKernel bounds the absolute errors of value and slope by those of the definition, at any number of elements.
func TestGELUKernel(t *testing.T) {
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(17, 18))
		for _, n := range append(sizes(), 100000) {
			v := &vectors{r: r, n: n}
			z := v.make(func() float32 { return float32(r.NormFloat64() * 4) })
			y, d := v.make(func() float32 { return 0 }), v.make(func() float32 { return 0 })
			wy, wd := make([]float32, n), make([]float32, n)
			GELU(y, d, z)
			GELURef(wy, wd, z)
			for i, x := range z {
				if e := math.Abs(float64(y[i] - wy[i])); !(e <= 2e-7*(1+math.Abs(float64(x)))) {
					t.Fatalf("GELU(%v) = %v, want %v", x, y[i], wy[i])
				}
				if e := math.Abs(float64(d[i] - wd[i])); !(e <= 4e-7) {
					t.Fatalf("slope of GELU(%v) = %v, want %v", x, d[i], wd[i])
				}
			}
			if !v.intact() {
				t.Fatalf("%d elements: wrote outside of its slices", n)
			}
		}
	})
}

func TestReductions(t *testing.T) {
	paths(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(15, 16))
		for _, n := range append(sizes(), 1000, 4097) {
			v := &vectors{r: r, n: n}
			a := v.make(func() float32 { return r.Float32()*2 - 1 })
			b := v.make(func() float32 { return r.Float32()*2 - 1 })
			near := func(name string, got, want, scale float64) {
				t.Helper()
				if !(math.Abs(got-want) <= scale) {
					t.Errorf("%s of %d elements is %v, want %v", name, n, got, want)
				}
			}
			near("Dot", float64(Dot(a, b)), float64(DotRef(a, b)), 1e-6*math.Sqrt(float64(n)+1))
			near("Sum", float64(Sum(a)), float64(SumRef(a)), 1e-6*math.Abs(float64(SumRef(a)))+1e-12)
			near("SumSq", SumSq(a), SumSqRef(a), 1e-12*float64(n+1))
			if got, want := Max(a), MaxRef(a); got != want {
				t.Errorf("Max of %d elements is %v, want %v", n, got, want)
			}
			if n > 0 {
				i := r.IntN(n)
				a[i] = float32(math.Inf(1))
				if got := Max(a); got != a[i] {
					t.Errorf("Max of %d elements with +Inf is %v", n, got)
				}
				a[i] = float32(math.Copysign(math.NaN(), -1))
				if got := Max(a); got == got {
					t.Errorf("Max of %d elements with NaN at %d is %v", n, i, got)
				}
			}
		}
		for _, s := range [][2]int{{0, 3}, {1, 1}, {3, 16}, {4, 17}, {130, 40}, {300, 600}, {7, 0}} {
			rows, cols := s[0], s[1]
			x := (&vectors{r: r, n: rows * cols}).make(func() float32 { return r.Float32() })
			v := &vectors{r: r, n: cols}
			got := v.make(func() float32 { return r.Float32() })
			want := slices.Clone(got)
			ColSum(got, x, rows, cols)
			ColSumRef(want, x, rows, cols)
			for j := range want {
				if math.Abs(float64(got[j]-want[j])) > 1e-6*float64(want[j]) {
					t.Errorf("ColSum [%d, %d]: column %d is %v, want %v", rows, cols, j, got[j], want[j])
				}
			}
			if !v.intact() {
				t.Errorf("ColSum [%d, %d] wrote outside of its slice", rows, cols)
			}
		}
		for _, s := range [][2]int{{1, 1}, {26, 10}, {39, 16}, {5, 20}} {
			e := (&vectors{r: r, n: s[0] * s[1]}).make(func() float32 { return r.Float32() - 0.5 })
			sum, want := make([]float32, s[1]), make([]float32, s[1])
			got, ref := PairwiseFwd(e, s[0], s[1], sum), PairwiseFwdRef(e, s[0], s[1], want)
			if math.Abs(float64(got-ref)) > 1e-5 {
				t.Errorf("PairwiseFwd %v is %v, want %v", s, got, ref)
			}
			for d := range sum {
				if math.Abs(float64(sum[d]-want[d])) > 1e-5 {
					t.Errorf("PairwiseFwd %v: sum[%d] is %v, want %v", s, d, sum[d], want[d])
				}
			}
		}
	})
}

func TestBiasActRows(t *testing.T) {
	paths(t, func(t *testing.T) {
		for _, act := range []Act{None, ReLU, Tanh, Sigmoid} {
			x := make([]float32, 5*21)
			for i := range x {
				x[i] = float32(i%17)/8 - 1
			}
			want := slices.Clone(x)
			bias := x[3*21 : 4*21 : 4*21]
			bias = slices.Clone(bias)
			BiasAct(x, bias, act)
			BiasActRef(want, bias, act)
			for i := range want {
				if math.Abs(float64(x[i]-want[i])) > 3e-7 {
					t.Errorf("%v: [%d] is %v, want %v", act, i, x[i], want[i])
				}
			}
		}
	})
}

// TestAdamFloat64 compares three steps with the formulas of AdamW in float64.
func TestAdamFloat64(t *testing.T) {
	const lr, b1, b2, eps, decay = 0.1, 0.9, 0.999, 1e-8, 0.1
	w, m, v := []float32{0.5, -2}, make([]float32, 2), make([]float32, 2)
	w64, m64, v64 := []float64{0.5, -2}, make([]float64, 2), make([]float64, 2)
	for step := 1; step <= 3; step++ {
		g := []float32{0.25 * float32(step), -1e-3}
		c1, c2 := 1-math.Pow(b1, float64(step)), 1-math.Pow(b2, float64(step))
		Adam(w, g, m, v, lr, b1, b2, eps, c1, c2, decay)
		for i := range w64 {
			gi := float64(g[i])
			w64[i] -= lr * decay * w64[i]
			m64[i] = b1*m64[i] + (1-b1)*gi
			v64[i] = b2*v64[i] + (1-b2)*gi*gi
			w64[i] -= lr * (m64[i] / c1) / (math.Sqrt(v64[i]/c2) + eps)
			if math.Abs(float64(w[i])-w64[i]) > 2e-7*math.Abs(w64[i]) {
				t.Errorf("step %d: w[%d] is %v, want %v", step, i, w[i], w64[i])
			}
		}
	}
}

func TestDropoutMask(t *testing.T) {
	const n = 1 << 17
	x, y, z := make([]float32, n), make([]float32, n), make([]float32, n)
	Fill(x, 1)
	for _, p := range []float32{0, 0.1, 0.5, 0.9} {
		DropoutMask(y, x, 42, 1<<20, p)
		DropoutMask(z[:1001], x[:1001], 42, 1<<20, p)
		DropoutMask(z[1001:], x[1001:], 42, 1<<20+1001, p)
		if i := sameBits(y, z); i >= 0 {
			t.Errorf("p=%v: element %d depends on the pieces", p, i)
		}
		dropped, pairs := 0, 0
		for i, v := range y {
			switch v {
			case 0:
				dropped++
				if i > 0 && y[i-1] == 0 {
					pairs++
				}
			case float32(1 / (1 - float64(p))):
			default:
				t.Fatalf("p=%v: element is %v", p, v)
			}
		}
		sigma := math.Sqrt(float64(p*(1-p)) * n)
		if math.Abs(float64(dropped)-float64(p)*n) > 4*sigma {
			t.Errorf("p=%v: dropped %d of %d", p, dropped, n)
		}
		if math.Abs(float64(pairs)-float64(p*p)*n) > 6*sigma {
			t.Errorf("p=%v: dropped %d neighbours of %d", p, pairs, n)
		}
		DropoutMask(z, x, 43, 1<<20, p)
		same := 0
		for i := range z {
			if z[i] == y[i] {
				same++
			}
		}
		if want := float64(1-2*p*(1-p)) * n; math.Abs(float64(same)-want) > 6*math.Sqrt(n) {
			t.Errorf("p=%v: masks of two keys agree in %d of %d", p, same, n)
		}
	}
}
