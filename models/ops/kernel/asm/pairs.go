package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// multiplyPairs adds to each lane of sum the products of a pair of bf16 numbers of a and one of b, that at the odd place first.
func multiplyPairs(c *build.Context, b, a, sum reg.Register) {
	lacking(c, "VDPBF16PS", "AVX512_BF16", []operand.Op{sum}, b, a, sum)
}

// pairRows are the rows of the micro-kernels on pairs, for one vector of columns and for two: as many sums as hide an addition's latency, and
// fewer for what is left of a panel.
var pairRows = [2][]int{{16, 8, 4, 1}, {12, 8, 4, 1}}

// pairs is the micro-kernel of AVX512-BF16 on the memory of tiles: the sums of rows x 16*tb elements of C stay in registers while k runs.
func (g *tileGen) pairs(rows, tb int) {
	name := fmt.Sprintf("pairs%dx%d", rows, tb)
	g.Function(name)
	g.Pragma("noescape")
	g.SignatureExpr("func(eighths int, a, b *uint16, c *float32, ldc int, acc bool)")
	g.Doc(fmt.Sprintf("%s: C (+)= A*B for %d rows of a panel of tiles and %d columns, over eighths times 8 numbers along k, at least one.", name, rows, 16*tb))
	n, a, b, c, ldc := g.gp("eighths"), g.gp("a"), g.gp("b"), g.gp("c"), g.gp("ldc")
	g.SHLQ(operand.U8(2), ldc)
	sum := make([][]reg.VecVirtual, rows)
	for i := range sum {
		sum[i] = g.vecs(tb)
	}
	each := func(row reg.Register, f func(v reg.VecVirtual, at operand.Mem)) {
		for i := range sum {
			for j, v := range sum[i] {
				f(v, operand.Mem{Base: row, Disp: 64 * j})
			}
			if i < rows-1 {
				g.ADDQ(ldc, row)
			}
		}
	}
	add := g.GP8()
	g.Load(g.Param("acc"), add)
	g.TESTB(add, add)
	g.JZ(operand.LabelRef("zero"))
	each(g.copyOf(c), func(v reg.VecVirtual, at operand.Mem) { g.VMOVUPS(at, v) })
	g.JMP(operand.LabelRef("step"))
	g.Label("zero")
	each(g.copyOf(c), func(v reg.VecVirtual, at operand.Mem) {
		g.zero(v)
		g.PREFETCHT0(at)
	})
	g.Label("step") // up to four eighths of a row of a tile
	left := g.GP64()
	g.MOVQ(operand.U32(4), left)
	g.SUBQ(operand.I32(4), n)
	g.JGE(operand.LabelRef("eighth"))
	g.ADDQ(n, left)
	g.Label("eighth")
	bv, av := g.vecs(tb), g.vecs(min(4, 30-(rows+1)*tb))
	for p := range 4 {
		for j := range bv {
			g.VMOVUPS(operand.Mem{Base: b, Disp: 64*p + tileBytes*j}, bv[j])
		}
		for i := range sum {
			x := av[i%len(av)]
			g.VPBROADCASTD(operand.Mem{Base: a, Disp: 64*i + 4*p}, x)
			for j := range bv {
				multiplyPairs(g.Context, bv[j], x, sum[i][j])
			}
		}
	}
	g.ADDQ(operand.I32(16), a)
	g.ADDQ(operand.I32(4*64), b)
	g.SUBQ(operand.I32(1), left)
	g.JNZ(operand.LabelRef("eighth"))
	g.ADDQ(operand.I32(partBytes-64), a)
	g.ADDQ(operand.I32(tileBytes), b)
	g.TESTQ(n, n)
	g.JZ(operand.LabelRef("store"))
	g.JGE(operand.LabelRef("step"))
	g.Label("store")
	each(c, func(v reg.VecVirtual, at operand.Mem) { g.VMOVUPS(v, at) })
	g.end()
}

// vendor asks the processor who made it.
func (g *tileGen) vendor() {
	g.Function("vendor")
	g.Pragma("noescape")
	g.SignatureExpr("func(name *[12]byte)")
	g.Doc("vendor: the name of the processor's maker, of CPUID's leaf 0.")
	name := g.Load(g.Param("name"), reg.R8)
	g.XORL(reg.EAX, reg.EAX)
	g.XORL(reg.ECX, reg.ECX)
	g.CPUID()
	for i, r := range []reg.Register{reg.EBX, reg.EDX, reg.ECX} {
		g.MOVL(r, operand.Mem{Base: name, Disp: 4 * i})
	}
	g.RET()
}
