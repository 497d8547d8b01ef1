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
	ldc := g.gp("ldc")
	g.SHLQ(operand.U8(2), ldc)
	g.sumPairs(rows, tb, ldc, func(b reg.Register, j int) operand.Mem { return operand.Mem{Base: b, Disp: tileBytes * j} })
}

// rowPanels are the panels of B that pairsRow takes at once: a single row has no other sums to hide an addition's latency.
const rowPanels = 4

// pairsRow is pairs for one row and several panels of B.
func (g *tileGen) pairsRow() {
	g.Function("pairsRow")
	g.Pragma("noescape")
	g.SignatureExpr("func(eighths int, a, b *uint16, stride int, c *float32, acc bool)")
	g.Doc(fmt.Sprintf("pairsRow: C (+)= A*B for a row of a panel of tiles and the %d columns of panels of B that lie stride apart.", 32*rowPanels))
	stride, stride3 := g.gp("stride"), g.GP64()
	g.SHLQ(operand.U8(1), stride)
	g.LEAQ(operand.Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	g.sumPairs(1, 2*rowPanels, nil, func(b reg.Register, j int) operand.Mem {
		m := operand.Mem{Base: b, Disp: tileBytes * (j % 2)}
		switch panel := j / 2; panel {
		case 1, 2:
			m.Index, m.Scale = stride, uint8(panel)
		case 3:
			m.Index, m.Scale = stride3, 1
		}
		return m
	})
}

// sumPairs is the body of both. from is the place of a vector of columns of B.
func (g *tileGen) sumPairs(rows, vectors int, ldc reg.Register, from func(b reg.Register, j int) operand.Mem) {
	n, a, b, c := g.gp("eighths"), g.gp("a"), g.gp("b"), g.gp("c")
	sum := make([][]reg.VecVirtual, rows)
	for i := range sum {
		sum[i] = g.vecs(vectors)
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
	bv, av := g.vecs(vectors), g.vecs(4)
	for p := range 4 {
		for j := range bv {
			g.VMOVUPS(from(b, j).Offset(64*p), bv[j])
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
