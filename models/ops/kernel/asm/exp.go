package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// table returns a static table of 16 lanes, to be used as a memory operand where registers are short.
func (g *gen) table(name string, lane func(i int) uint32) operand.Mem {
	if m, ok := tables[name]; ok {
		return m
	}
	m := g.StaticGlobal(name)
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		g.AppendDatum(operand.U32(lane(i)))
	}
	tables[name] = m
	return m
}

var tables = map[string]operand.Mem{}

// constant is a table with x in every lane.
func (g *gen) constant(x float32) operand.Mem {
	return g.word(math.Float32bits(x))
}

func (g *gen) word(x uint32) operand.Mem {
	return g.table(fmt.Sprintf("c%08x", x), func(int) uint32 { return x })
}

// The polynomial of exp is Cephes' expf (S. Moshier): exp(r) = 1 + r + r²·q(r) for |r| <= ln(2)/2.
var expPoly = []float32{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1}

const (
	log2e = 1.44269504088896341
	ln2Hi = 0.693359375 // few bits, so that n*ln2Hi is exact
	ln2Lo = -2.12194440e-4
	round = 3 << 22 // added to |t| < 2^22, it leaves the nearest integer in the low bits
)

// expReduce replaces x by r with x = n·ln(2) + r, and returns n (integers) and exp(r)-1.
func (g *gen) expReduce(x reg.VecVirtual) (n, p reg.VecVirtual) {
	n, f, sq := g.vec(), g.vec(), g.vec()
	g.VMULPS(g.constant(log2e), x, n)
	g.VADDPS(g.constant(round), n, n)
	g.VSUBPS(g.constant(round), n, f)
	g.VPSUBD(g.constant(round), n, n)
	g.VFNMADD231PS(g.constant(ln2Hi), f, x)
	g.VFNMADD231PS(g.constant(ln2Lo), f, x)
	p = g.load(g.constant(expPoly[0]))
	for _, c := range expPoly[1:] {
		g.VFMADD213PS(g.constant(c), x, p)
	}
	g.VMULPS(x, x, sq)
	g.VFMADD213PS(x, sq, p)
	return n, p
}

// power returns 2^n for n in [-126, 127]. It overwrites n.
func (g *gen) power(n reg.VecVirtual) reg.VecVirtual {
	g.VPADDD(g.word(127), n, n)
	g.VPSLLD(operand.U8(23), n, n)
	return n
}

// expLow and expHigh bound the arguments: exp of them is 0 and +Inf in float32.
const expLow, expHigh = -104, 89

// exp returns exp(x), which it overwrites. lo and hi hold expLow and expHigh.
func (g *gen) exp(x, lo, hi reg.VecVirtual) reg.VecVirtual {
	g.VMAXPS(x, lo, x) // the second source, x, where it is NaN
	g.VMINPS(x, hi, x)
	n, p := g.expReduce(x)
	g.VADDPS(g.constant(1), p, p)
	half := g.vec() // 2^n in two factors: n is in [-150, 128]
	g.VPSRAD(operand.U8(1), n, half)
	g.VPSUBD(half, n, n)
	g.VMULPS(g.power(half), p, p)
	g.VMULPS(g.power(n), p, p)
	return p
}

func expKernel(g *gen) func(int, mem) {
	lo, hi := g.num(expLow), g.num(expHigh)
	return func(_ int, p mem) {
		g.VMOVUPS(g.exp(g.load(p["x"]), lo, hi), p["dst"])
	}
}

func sigmoidKernel(g *gen) func(int, mem) {
	lo, hi, one, sign := g.num(expLow), g.num(expHigh), g.num(1), g.bits(1<<31)
	return func(_ int, p mem) {
		x := g.vec()
		g.xor(p["x"], sign, x)
		g.VMOVUPS(g.logistic(x, lo, hi, one), p["dst"])
	}
}

// logistic returns 1/(1 + exp(x)), the sigmoid of −x. It overwrites x.
func (g *gen) logistic(x, lo, hi, one reg.VecVirtual) reg.VecVirtual {
	e := g.exp(x, lo, hi)
	g.VADDPS(one, e, e)
	g.VDIVPS(e, one, e)
	return e
}

// tanhHigh is where tanh is 1 in float32.
const tanhHigh = 10

func tanhKernel(g *gen) func(int, mem) {
	hi, sign := g.num(tanhHigh), g.bits(1<<31)
	return func(_ int, p mem) {
		g.VMOVUPS(g.tanh(g.load(p["x"]), hi, sign), p["dst"])
	}
}

// tanh returns d/(d+2) with d = exp(2|x|)-1 = 2^n·(exp(r)-1) + (2^n-1), which is exact near 0, where n = 0. It overwrites x. hi
// holds tanhHigh.
func (g *gen) tanh(x, hi, sign reg.VecVirtual) reg.VecVirtual {
	s := g.vec()
	g.and(x, sign, s)
	g.xor(s, x, x)
	g.VMINPS(x, hi, x)
	g.VADDPS(x, x, x)
	n, e := g.expReduce(x)
	n = g.power(n)
	d := g.vec()
	g.VSUBPS(g.constant(1), n, d)
	g.VFMADD231PS(e, n, d)
	g.VADDPS(g.constant(2), d, e)
	g.VDIVPS(e, d, d)
	g.or(s, d, d)
	return d
}

// geluPoly holds the coefficients c_7 … c_0 of
//
//	½·erfc(a)·exp(a²) ≈ c_0·t + … + c_7·t⁸, t = 1/(1 + 0.42·a)
//
// the polynomial through the eight Chebyshev points of t for a in [0, 6.5]. Its relative error is at most 9e-8 there;
// beyond, Φ(−√2·a) is less than 1e-19.
var geluPoly = []float32{
	0.03857838821, -0.1750830927, 0.2472109161, -0.09125107928, 0.1489422173, 0.09263607027, 0.1206131651, 0.1183534367,
}

// geluKernel computes Φ(−|z|) = ½·erfc(|z|/√2) by geluPoly and exp(−z²/2), which the density takes too.
func geluKernel(g *gen) func(int, mem) {
	lo, hi, one, sign := g.num(expLow), g.num(expHigh), g.num(1), g.bits(1<<31)
	return func(_ int, p mem) {
		z, e := g.load(p["z"]), g.vec()
		g.VMULPS(z, z, e)
		g.VMULPS(g.constant(-0.5), e, e)
		e = g.exp(e, lo, hi)
		s, t := g.vec(), g.vec()
		g.and(z, sign, s)
		g.xor(s, z, t)
		g.VMULPS(g.constant(0.42/math.Sqrt2), t, t)
		g.VADDPS(one, t, t)
		g.VDIVPS(t, one, t)
		h := g.load(g.constant(geluPoly[0]))
		for _, c := range geluPoly[1:] {
			g.VFMADD213PS(g.constant(c), t, h)
		}
		g.VMULPS(t, h, h)
		g.VMULPS(e, h, h)
		g.VSUBPS(h, one, t) // Φ(|z|)
		g.VPSRAD(operand.U8(31), s, s)
		g.and(h, s, h) // no branch: signs are random
		g.andNot(t, s, t)
		g.or(h, t, h)
		g.VMULPS(z, h, t)
		g.VMOVUPS(t, p["y"])
		g.VMULPS(z, e, e)
		g.VMULPS(g.constant(0.3989422804014327), e, e) // 1/√(2π)
		g.VADDPS(h, e, e)
		g.VMOVUPS(e, p["d"])
	}
}

// dropout hashes a vector of counters as dropHash does.
func dropout(g *gen) func(int, mem) {
	ctr, k0, k1, thr, scale := g.broadcast("counter"), g.broadcast("k0"), g.broadcast("k1"), g.broadcast("thr"), g.broadcast("scale")
	g.VPADDD(g.table("iota", func(i int) uint32 { return uint32(i) }), ctr, ctr)
	step := g.bits(uint32(g.lanes))
	m1, m2 := g.bits(0x7feb352d), g.bits(0x846ca68b)
	mix := func(h, t reg.VecVirtual) {
		for _, s := range []struct {
			shift uint8
			mul   reg.VecVirtual
		}{{16, m1}, {15, m2}, {16, nil}} {
			g.VPSRLD(operand.U8(s.shift), h, t)
			g.xor(t, h, h)
			if s.mul != nil {
				g.VPMULLD(s.mul, h, h)
			}
		}
	}
	return func(_ int, p mem) {
		h, t := g.vec(), g.vec()
		g.xor(ctr, k0, h)
		g.VPADDD(step, ctr, ctr)
		mix(h, t)
		g.VPADDD(k1, h, h)
		mix(h, t)
		g.VPSRLD(operand.U8(1), h, h)
		g.VPSUBD(thr, h, h)
		g.VPSRAD(operand.U8(31), h, h) // all ones where the element is dropped
		g.VMULPS(p["x"], scale, t)
		g.andNot(t, h, t)
		g.VMOVUPS(t, p["dst"])
	}
}
