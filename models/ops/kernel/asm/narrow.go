package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// narrow writes the kernels on several rows of a narrow matrix at once: a call for each row would cost as much as the row. n, the width of
// the rows, is a multiple of the lanes, and both it and rows are above 0.
func (g *gen) narrow() {
	g.dotRows()
	g.weightedRows()
	g.outerRows()
	g.sumRows()
}

// repeat runs body n times, n > 0. It overwrites n.
func (g *gen) repeat(label string, n reg.Register, body func()) {
	g.Label(label)
	body()
	g.SUBQ(operand.I32(1), n)
	g.JNZ(operand.LabelRef(label))
}

// copyOf returns a register with the value of r.
func (g *gen) copyOf(r reg.Register) reg.GPVirtual {
	c := g.GP64()
	g.MOVQ(r, c)
	return c
}

// advance moves pointers on by a vector.
func (g *gen) advance(pointers ...reg.Register) {
	for _, p := range pointers {
		g.ADDQ(operand.I32(uint32(g.bytes())), p)
	}
}

// vectors is the parameter n as a number of vectors.
func (g *gen) vectors() reg.GPVirtual {
	n, shift := g.gp("n"), uint8(3)
	if g.lanes == 16 {
		shift = 4
	}
	g.SHRQ(operand.U8(shift), n)
	return n
}

// spread loads the number at m into every lane.
func (g *gen) spread(m operand.Mem) reg.VecVirtual {
	v := g.vec()
	g.VBROADCASTSS(m, v)
	return v
}

// dotRows adds up as dot and Dot do.
func (g *gen) dotRows() {
	g.begin("dotRows", "(rows, n int, x, q, out *float32)", "out[r] = sum over i < n of x[r*n+i] * q[i], fused, for r < rows.")
	rows, n, x, q, out := g.gp("rows"), g.vectors(), g.gp("x"), g.gp("q"), g.gp("out")
	g.repeat("row", rows, func() {
		sum := g.vecs(4)
		for _, s := range sum {
			g.zero(s)
		}
		rest, at := g.copyOf(n), g.copyOf(q)
		g.SUBQ(operand.I32(4), rest)
		g.JLT(operand.LabelRef("rest"))
		g.Label("block")
		for i, s := range sum {
			v := g.load(operand.Mem{Base: x, Disp: i * g.bytes()})
			g.VFMADD231PS(operand.Mem{Base: at, Disp: i * g.bytes()}, v, s)
		}
		g.ADDQ(operand.I32(uint32(4*g.bytes())), x)
		g.ADDQ(operand.I32(uint32(4*g.bytes())), at)
		g.SUBQ(operand.I32(4), rest)
		g.JGE(operand.LabelRef("block"))
		g.Label("rest")
		g.ADDQ(operand.I32(4), rest)
		g.JZ(operand.LabelRef("reduce"))
		g.repeat("one", rest, func() {
			v := g.load(operand.Mem{Base: x})
			g.VFMADD231PS(operand.Mem{Base: at}, v, sum[0])
			g.advance(x, at)
		})
		g.Label("reduce")
		g.VADDPS(sum[1], sum[0], sum[0])
		g.VADDPS(sum[3], sum[2], sum[2])
		g.VADDPS(sum[2], sum[0], sum[0])
		low := sum[0]
		if g.lanes == 16 {
			high := g.YMM()
			g.VEXTRACTF64X4(operand.U8(1), low.AsZ(), high)
			g.VADDPS(high, low.AsY(), low.AsY())
		}
		high := g.XMM()
		g.VEXTRACTF128(operand.U8(1), low.AsY(), high)
		g.VADDPS(high, low.AsX(), low.AsX())
		g.VPERMILPD(operand.U8(1), low.AsX(), high)
		g.VADDPS(high, low.AsX(), low.AsX())
		g.VMOVSHDUP(low.AsX(), high)
		g.VADDSS(high, low.AsX(), low.AsX())
		g.VMOVSS(low.AsX(), operand.Mem{Base: out})
		g.ADDQ(operand.I32(4), out)
	})
	g.end()
}

func (g *gen) weightedRows() {
	g.begin("weightedRows", "(rows, n int, x, p, y *float32)", "y[i] = sum over r < rows of p[r] * x[r*n+i], not fused, for i < n.")
	rows, n, x, p, y := g.gp("rows"), g.vectors(), g.gp("x"), g.gp("p"), g.gp("y")
	row := g.gp("n")
	g.SHLQ(operand.U8(2), row)
	g.repeat("column", n, func() {
		left, from, weight := g.copyOf(rows), g.copyOf(x), g.copyOf(p)
		sum := g.vec()
		g.zero(sum)
		g.repeat("row", left, func() {
			v := g.spread(operand.Mem{Base: weight})
			g.VMULPS(operand.Mem{Base: from}, v, v)
			g.VADDPS(v, sum, sum)
			g.ADDQ(row, from)
			g.ADDQ(operand.I32(4), weight)
		})
		g.VMOVUPS(sum, operand.Mem{Base: y})
		g.advance(x, y)
	})
	g.end()
}

func (g *gen) outerRows() {
	g.begin("outerRows", "(rows, n int, p, a, s, b, dst *float32)", "dst[r*n+i] = p[r]*a[i] + s[r]*b[i], not fused, for r < rows, i < n.")
	rows, n, p, a, s, b, dst := g.gp("rows"), g.vectors(), g.gp("p"), g.gp("a"), g.gp("s"), g.gp("b"), g.gp("dst")
	g.repeat("row", rows, func() {
		left, x, y := g.copyOf(n), g.copyOf(a), g.copyOf(b)
		u, v := g.spread(operand.Mem{Base: p}), g.spread(operand.Mem{Base: s})
		g.repeat("column", left, func() {
			t, w := g.vec(), g.vec()
			g.VMULPS(operand.Mem{Base: x}, u, t)
			g.VMULPS(operand.Mem{Base: y}, v, w)
			g.VADDPS(w, t, t)
			g.VMOVUPS(t, operand.Mem{Base: dst})
			g.advance(x, y, dst)
		})
		g.ADDQ(operand.I32(4), p)
		g.ADDQ(operand.I32(4), s)
	})
	g.end()
}

func (g *gen) sumRows() {
	g.begin("sumRows", "(rows, n int, x *float32, ld int, dst *float32)", "dst[i] += x[r*ld+i] for r < rows in their order, i < n.")
	rows, n, x, ld, dst := g.gp("rows"), g.vectors(), g.gp("x"), g.gp("ld"), g.gp("dst")
	g.SHLQ(operand.U8(2), ld)
	g.repeat("column", n, func() {
		left, from := g.copyOf(rows), g.copyOf(x)
		sum := g.load(operand.Mem{Base: dst})
		g.repeat("row", left, func() {
			g.VADDPS(operand.Mem{Base: from}, sum, sum)
			g.ADDQ(ld, from)
		})
		g.VMOVUPS(sum, operand.Mem{Base: dst})
		g.advance(x, dst)
	})
	g.end()
}
