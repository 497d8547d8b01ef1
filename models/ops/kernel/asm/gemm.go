package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemm is the micro-kernel of the matrix product: a tile of mr rows and two vectors of columns stays in registers
// (6x16 for AVX2's 16 registers, 14x32 for AVX-512's 32) while k runs.
func (g *gen) gemm() {
	mr := 6
	if g.lanes == 16 {
		mr = 14
	}
	nr := 2 * g.lanes
	g.begin("gemm", "(k int, a, b, c *float32, ldc int, acc bool)", fmt.Sprintf(
		"c[i*ldc+j] (+)= sum over p < k of a[p*%d+i] * b[p*%d+j] for i < %d, j < %d; k > 0.", mr, nr, mr, nr))
	k, a, b, c, ldc := g.gp("k"), g.gp("a"), g.gp("b"), g.gp("c"), g.gp("ldc")
	g.SHLQ(operand.U8(2), ldc)

	sum := make([][]reg.VecVirtual, mr)
	row := g.GP64()
	g.MOVQ(c, row)
	for i := range sum {
		sum[i] = g.vecs(2)
		g.zero(sum[i][0])
		g.zero(sum[i][1])
		g.PREFETCHT0(operand.Mem{Base: row})
		g.PREFETCHT0(operand.Mem{Base: row, Disp: nr*4 - 4})
		if i < mr-1 {
			g.ADDQ(ldc, row)
		}
	}
	bv, av := g.vecs(2), g.vecs(2)
	step := func(p int) {
		if g.lanes == 16 { // a panel of B is longer than the first-level cache; what lies behind the panels is fetched in vain
			g.PREFETCHT0(operand.Mem{Base: b, Disp: (p + 8) * nr * 4})
			g.PREFETCHT0(operand.Mem{Base: b, Disp: (p+8)*nr*4 + 64})
			g.PREFETCHT0(operand.Mem{Base: a, Disp: (p + 16) * mr * 4})
		}
		for j := range bv {
			g.VMOVUPS(operand.Mem{Base: b, Disp: p*nr*4 + j*g.bytes()}, bv[j])
		}
		for i := range sum {
			g.VBROADCASTSS(operand.Mem{Base: a, Disp: (p*mr + i) * 4}, av[i%2])
			for j := range bv {
				g.VFMADD231PS(bv[j], av[i%2], sum[i][j])
			}
		}
	}
	const unroll = 4
	g.SUBQ(operand.I32(unroll), k)
	g.JLT(operand.LabelRef("rest"))
	g.Label("block")
	for p := range unroll {
		step(p)
	}
	g.ADDQ(operand.I32(unroll*mr*4), a)
	g.ADDQ(operand.I32(unroll*nr*4), b)
	g.SUBQ(operand.I32(unroll), k)
	g.JGE(operand.LabelRef("block"))
	g.Label("rest")
	g.ADDQ(operand.I32(unroll), k)
	g.JZ(operand.LabelRef("finish"))
	g.Label("one")
	step(0)
	g.ADDQ(operand.I32(mr*4), a)
	g.ADDQ(operand.I32(nr*4), b)
	g.SUBQ(operand.I32(1), k)
	g.JNZ(operand.LabelRef("one"))

	g.Label("finish")
	g.store(sum)
	g.end()
}

// tiles are the rows that gemmInPlace has kernels for, the tallest first.
func (g *gen) tiles() []int {
	if g.lanes == 16 {
		return []int{14, 8}
	}
	return []int{6, 4}
}

// gemmInPlace is the micro-kernel that reads a and b where they are, with any strides: operands that are read but once or twice are not
// worth packing.
func (g *gen) gemmInPlace(mr int) {
	nr := 2 * g.lanes
	g.begin(fmt.Sprintf("gemmInPlace%d", mr), "(k int, a *float32, row, step int, b *float32, ldb int, c *float32, ldc int, acc bool)", fmt.Sprintf(
		"c[i*ldc+j] (+)= sum over p < k of a[i*row+p*step] * b[p*ldb+j] for i < %d, j < %d; k > 0.", mr, nr))
	k, a, row, step, b, ldb := g.gp("k"), g.gp("a"), g.gp("row"), g.gp("step"), g.gp("b"), g.gp("ldb")
	for _, stride := range []reg.Register{row, step, ldb} {
		g.SHLQ(operand.U8(2), stride)
	}
	row3 := g.GP64()
	g.LEAQ(operand.Mem{Base: row, Index: row, Scale: 2}, row3)
	bases := []reg.GPVirtual{a} // of five rows each
	for len(bases)*5 < mr {
		next := g.GP64()
		g.LEAQ(operand.Mem{Base: bases[len(bases)-1], Index: row, Scale: 4}, next)
		g.ADDQ(row, next)
		bases = append(bases, next)
	}
	from := func(i int) operand.Mem {
		m := operand.Mem{Base: bases[i/5]}
		switch i % 5 {
		case 1, 2, 4:
			m.Index, m.Scale = row, uint8(i%5)
		case 3:
			m.Index, m.Scale = row3, 1
		}
		return m
	}
	sum := make([][]reg.VecVirtual, mr)
	for i := range sum {
		sum[i] = g.vecs(2)
		g.zero(sum[i][0])
		g.zero(sum[i][1])
	}
	bv, av := g.vecs(2), g.vecs(2)
	g.Label("loop")
	g.PREFETCHT0(operand.Mem{Base: a, Index: step, Scale: 8})
	g.PREFETCHT0(operand.Mem{Base: a, Index: step, Scale: 8, Disp: 4*mr - 4})
	g.PREFETCHT0(operand.Mem{Base: b, Index: ldb, Scale: 8})
	for j := range bv {
		g.VMOVUPS(operand.Mem{Base: b, Disp: j * g.bytes()}, bv[j])
	}
	for i := range sum {
		g.VBROADCASTSS(from(i), av[i%2])
		for j := range bv {
			g.VFMADD231PS(bv[j], av[i%2], sum[i][j])
		}
	}
	for _, base := range bases {
		g.ADDQ(step, base)
	}
	g.ADDQ(ldb, b)
	g.SUBQ(operand.I32(1), k)
	g.JNZ(operand.LabelRef("loop"))
	g.store(sum)
	g.end()
}

// store writes the tile sum to c, or adds it if acc.
func (g *gen) store(sum [][]reg.VecVirtual) {
	c, ldc, add := g.gp("c"), g.gp("ldc"), g.GP8()
	g.Load(g.Param("acc"), add)
	g.SHLQ(operand.U8(2), ldc)
	g.TESTB(add, add)
	g.JZ(operand.LabelRef("store"))
	row := g.GP64()
	g.MOVQ(c, row)
	for i := range sum {
		for j := range sum[i] {
			g.VADDPS(operand.Mem{Base: row, Disp: j * g.bytes()}, sum[i][j], sum[i][j])
		}
		if i < len(sum)-1 {
			g.ADDQ(ldc, row)
		}
	}
	g.Label("store")
	for i := range sum {
		for j := range sum[i] {
			g.VMOVUPS(sum[i][j], operand.Mem{Base: c, Disp: j * g.bytes()})
		}
		if i < len(sum)-1 {
			g.ADDQ(ldc, c)
		}
	}
}

// peak is a loop of independent multiply-adds, to measure what the processor can do.
func (g *gen) peak() {
	g.begin("peak", "(n int)", fmt.Sprintf("n times 12 multiply-adds of %d lanes.", g.lanes))
	n := g.gp("n")
	x, sum := g.vec(), g.vecs(12)
	g.zero(x)
	for _, s := range sum {
		g.zero(s)
	}
	g.Label("loop")
	for _, s := range sum {
		g.VFMADD231PS(x, x, s)
	}
	g.SUBQ(operand.I32(1), n)
	g.JNZ(operand.LabelRef("loop"))
	g.end()
}

// pack writes the kernels that transpose rows into the panels that gemm reads. They use AVX alone, for both sets.
func pack(c *build.Context) {
	for _, rows := range []int{6, 8} {
		c.Function(fmt.Sprintf("transpose%d", rows))
		c.Pragma("noescape")
		c.SignatureExpr("func(k int, src *float32, ld int, dst *float32, stride int)")
		c.Doc(fmt.Sprintf("transpose%d: dst[p*stride+i] = src[i*ld+p] for i < %d, p < k; k > 0 is a multiple of 8.", rows, rows))
		g := &gen{Context: c, lanes: 8}
		k, src, ld, dst, stride := g.gp("k"), g.gp("src"), g.gp("ld"), g.gp("dst"), g.gp("stride")
		g.SHLQ(operand.U8(2), ld)
		g.SHLQ(operand.U8(2), stride)
		ld3, src4, stride3 := g.GP64(), g.GP64(), g.GP64()
		g.LEAQ(operand.Mem{Base: ld, Index: ld, Scale: 2}, ld3)
		g.LEAQ(operand.Mem{Base: src, Index: ld, Scale: 4}, src4)
		g.LEAQ(operand.Mem{Base: stride, Index: stride, Scale: 2}, stride3)
		at := func(base, by, by3 reg.Register, i, disp int) operand.Mem {
			m := operand.Mem{Base: base, Disp: disp}
			switch i {
			case 1, 2:
				m.Index, m.Scale = by, uint8(i)
			case 3:
				m.Index, m.Scale = by3, 1
			}
			return m
		}
		g.Label("loop")
		for h := range 2 { // four columns at a time: rows 0-3 in the low halves, 4-7 in the high ones
			t := g.vecs(4)
			for i := range t {
				g.VMOVUPS(at(src, ld, ld3, i, 16*h), t[i].AsX())
				if i+4 < rows {
					g.VINSERTF128(operand.U8(1), at(src4, ld, ld3, i, 16*h), t[i], t[i])
				}
			}
			u, v := g.vecs(4), g.vecs(4)
			g.VUNPCKLPS(t[1], t[0], u[0])
			g.VUNPCKHPS(t[1], t[0], u[1])
			g.VUNPCKLPS(t[3], t[2], u[2])
			g.VUNPCKHPS(t[3], t[2], u[3])
			g.VUNPCKLPD(u[2], u[0], v[0])
			g.VUNPCKHPD(u[2], u[0], v[1])
			g.VUNPCKLPD(u[3], u[1], v[2])
			g.VUNPCKHPD(u[3], u[1], v[3])
			for i := range v {
				m := at(dst, stride, stride3, i, 0)
				if rows == 8 {
					g.VMOVUPS(v[i], m)
					continue
				}
				g.VMOVUPS(v[i].AsX(), m)
				g.VEXTRACTF128(operand.U8(1), v[i], u[i].AsX())
				g.VMOVQ(u[i].AsX(), m.Offset(16))
			}
			g.LEAQ(operand.Mem{Base: dst, Index: stride, Scale: 4}, dst)
		}
		g.ADDQ(operand.I32(32), src)
		g.ADDQ(operand.I32(32), src4)
		g.SUBQ(operand.I32(8), k)
		g.JNZ(operand.LabelRef("loop"))
		g.end()
	}
}

// copyPanels writes the kernels that cut rows into panels.
func copyPanels(c *build.Context) {
	for _, width := range []int{6, 14, 16, 32} {
		c.Function(fmt.Sprintf("copy%d", width))
		c.Pragma("noescape")
		c.SignatureExpr("func(rows, panels int, src *float32, ld int, dst *float32, stride int)")
		const doc = "copy%[1]d: dst[q*stride+p*%[1]d+i] = src[p*ld+q*%[1]d+i] for p < rows, q < panels, i < %[1]d; rows, panels > 0."
		c.Doc(fmt.Sprintf(doc, width))
		g := &gen{Context: c, lanes: 8}
		rows, panels, src, ld, dst, stride := g.gp("rows"), g.gp("panels"), g.gp("src"), g.gp("ld"), g.gp("dst"), g.gp("stride")
		g.SHLQ(operand.U8(2), ld)
		g.SHLQ(operand.U8(2), stride)
		g.Label("row")
		from, to, n := g.GP64(), g.GP64(), g.GP64()
		g.MOVQ(src, from)
		g.MOVQ(dst, to)
		g.MOVQ(panels, n)
		g.Label("panel")
		for at := 0; at < width; {
			f, t := operand.Mem{Base: from, Disp: 4 * at}, operand.Mem{Base: to, Disp: 4 * at}
			switch rest := width - at; {
			case rest >= 8:
				v := g.YMM()
				g.VMOVUPS(f, v)
				g.VMOVUPS(v, t)
				at += 8
			case rest >= 4:
				v := g.XMM()
				g.VMOVUPS(f, v)
				g.VMOVUPS(v, t)
				at += 4
			default:
				v := g.GP64()
				g.MOVQ(f, v)
				g.MOVQ(v, t)
				at += 2
			}
		}
		g.ADDQ(operand.I32(4*width), from)
		g.ADDQ(stride, to)
		g.SUBQ(operand.I32(1), n)
		g.JNZ(operand.LabelRef("panel"))
		g.ADDQ(ld, src)
		g.ADDQ(operand.I32(4*width), dst)
		g.SUBQ(operand.I32(1), rows)
		g.JNZ(operand.LabelRef("row"))
		g.end()
	}
}
