package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"
)

// compileTiles describes the kernels on bf16 numbers, which use AMX's tiles or AVX512-BF16.
func compileTiles() (*ir.File, error) {
	c := build.NewContext()
	c.ConstraintExpr("amd64")
	g := &tileGen{gen: &gen{Context: c, lanes: 16}, interleave: interleave(c)}
	for _, s := range splits {
		for ta := 1; ta <= 2; ta++ {
			for tb := 1; tb <= 2; tb++ {
				g.product(s, ta, tb)
			}
		}
	}
	for _, s := range splits {
		g.splitRows(s.parts)
		g.splitPairs(s.parts)
		g.splitRowsT(s.parts)
		g.splitPairsT(s.parts)
	}
	for tb, rows := range pairRows {
		for _, r := range rows {
			g.pairs(r, tb+1)
		}
	}
	g.pairsRow()
	g.holdTiles()
	g.vendor()
	f, err := c.Result()
	if err != nil {
		return nil, err
	}
	return f, pass.Compile.Execute(f)
}

// split is a product of matrices whose elements are split in bf16 parts, the largest first: the parts of A and B that are multiplied, in
// the order in which their products are added.
type split struct {
	parts    int
	products [][2]int
}

var splits = []split{
	{1, [][2]int{{0, 0}}},
	{2, [][2]int{{0, 1}, {0, 0}, {1, 0}}},
	{3, [][2]int{{2, 0}, {0, 2}, {0, 1}, {1, 1}, {1, 0}, {0, 0}}},
}

const (
	tileBytes = 1024          // 16 rows of 64 bytes
	partBytes = 2 * tileBytes // a part of a panel: two tiles
)

type tileGen struct {
	*gen
	interleave operand.Mem
}

// interleave is the permutation of words that puts the halves of a register in turns: 0, 16, 1, 17, ...
func interleave(c *build.Context) operand.Mem {
	m := c.StaticGlobal("interleave")
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		c.AddDatum(4*i, operand.U32((16+i)<<16|i))
	}
	return m
}

// product is the micro-kernel: 16*ta x 16*tb elements of C stay in the tiles 0 to 3 while k runs, 4 and 5 hold A, 6 and 7 hold B.
func (g *tileGen) product(s split, ta, tb int) {
	g.Function(fmt.Sprintf("tiles%dx%d%d", s.parts, ta, tb))
	g.Pragma("noescape")
	g.SignatureExpr("func(config *byte, panels, steps int, a, b *uint16, c *float32, ldc int, acc bool)")
	g.Doc(fmt.Sprintf("tiles%dx%d%d: C (+)= A*B for panels of %d rows of C, one below the other, and %d columns; A and B in %d parts.",
		s.parts, ta, tb, 16*ta, 16*tb, s.parts))
	c := g.Context
	configure(c, g.Load(g.Param("config"), reg.RAX))
	panels, a, rows, ldc := g.gp("panels"), g.gp("a"), g.gp("c"), g.gp("ldc")
	g.SHLQ(operand.U8(2), ldc)
	row, add := g.GP64(), g.GP8()
	g.MOVQ(operand.U32(64), row)
	g.Load(g.Param("acc"), add)
	g.repeat("panel", panels, func() {
		steps, b, below := g.gp("steps"), g.gp("b"), g.GP64()
		g.MOVQ(ldc, below)
		g.SHLQ(operand.U8(4), below)
		g.ADDQ(rows, below)
		base := []reg.Register{rows, below}
		each := func(f func(i, j, t int)) {
			for i := range ta {
				for j := range tb {
					f(i, j, 2*i+j)
				}
			}
		}
		g.TESTB(add, add)
		g.JZ(operand.LabelRef("zero"))
		each(func(i, j, t int) { loadTile(c, base[i], ldc, 64*j, t) })
		g.JMP(operand.LabelRef("step"))
		g.Label("zero")
		each(func(_, _, t int) { zeroTile(c, t) })
		g.repeat("step", steps, func() {
			haveA, haveB := -1, -1
			for _, p := range s.products {
				newA, newB := p[0] != haveA, p[1] != haveB
				haveA, haveB = p[0], p[1]
				left := func(i int) {
					if newA {
						loadTile(c, a, row, p[0]*partBytes+i*tileBytes, 4+i)
					}
				}
				right := func(j int) {
					if newB {
						loadTile(c, b, row, p[1]*partBytes+j*tileBytes, 6+j)
					}
				}
				left(0)
				right(0)
				multiplyTiles(c, 6, 4, 0)
				if ta == 2 {
					left(1)
					multiplyTiles(c, 6, 5, 2)
				}
				if tb == 2 {
					right(1)
					multiplyTiles(c, 7, 4, 1)
					if ta == 2 {
						multiplyTiles(c, 7, 5, 3)
					}
				}
			}
			g.ADDQ(operand.I32(uint32(s.parts*partBytes)), a)
			g.ADDQ(operand.I32(uint32(s.parts*partBytes)), b)
		})
		each(func(i, j, t int) { storeTile(c, t, base[i], ldc, 64*j) })
		for range ta {
			g.LEAQ(operand.Mem{Base: rows, Index: ldc, Scale: 8}, rows)
			g.LEAQ(operand.Mem{Base: rows, Index: ldc, Scale: 8}, rows)
		}
	})
	releaseTiles(c)
	g.RET()
}

// z are the vector registers by their numbers.
var z = []reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

// constants loads the permutation that interleaves to Z31 and the mask of the upper words to Z30.
func (g *tileGen) constants() {
	g.VMOVDQU64(g.interleave, z[31])
	mask := g.GP32()
	g.MOVL(operand.U32(0xffff0000), mask)
	g.VPBROADCASTD(mask, z[30])
}

// rest subtracts from x and y what their rounding has kept, h interleaved; t and u are overwritten.
func (g *tileGen) rest(x, y, h, t, u int) {
	g.VPSLLD(operand.U8(16), z[h], z[u])
	g.VPANDD(z[h], z[30], z[t])
	g.VSUBPS(z[u], z[x], z[x])
	g.VSUBPS(z[t], z[y], z[y])
}

// masks sets the bits of the live ones of 32 lanes, n < 32, in two registers.
func (g *tileGen) masks(n reg.GPVirtual, low, high reg.Register) {
	bits, shift := g.GP64(), g.GP64()
	g.MOVQ(operand.U32(1), bits)
	g.MOVQ(n, reg.RCX)
	g.SHLQ(reg.CL, bits)
	g.SUBQ(operand.I32(1), bits)
	g.KMOVW(bits.As32(), low)
	g.MOVQ(bits, shift)
	g.SHRQ(operand.U8(16), shift)
	g.KMOVW(shift.As32(), high)
}

func (g *tileGen) start(name string, parts int, signature, doc string) {
	g.Function(fmt.Sprintf("%s%d", name, parts))
	g.Pragma("noescape")
	g.SignatureExpr("func" + signature)
	g.Doc(fmt.Sprintf("%s%d: %s", name, parts, doc))
}

// splitRows makes rows of A rows of tiles.
func (g *tileGen) splitRows(parts int) {
	g.start("splitRows", parts, "(rows, steps, tail int, src *float32, ld int, dst *uint16)",
		"rows <= 16 of steps times 32 floats and of tail < 32 more become rows of tiles.")
	g.constants()
	rows, src, ld, dst, tail := g.gp("rows"), g.gp("src"), g.gp("ld"), g.gp("dst"), g.gp("tail")
	g.SHLQ(operand.U8(2), ld)
	g.masks(tail, reg.K1, reg.K2)
	g.repeat("row", rows, func() {
		from, to, steps := g.copyOf(src), g.copyOf(dst), g.gp("steps")
		part := func() {
			for t := range parts {
				toBF16(g.Context, z[0], z[1], z[2])
				g.VMOVDQU64(z[2], operand.Mem{Base: to, Disp: partBytes * t})
				if t < parts-1 {
					g.VPERMW(z[2], z[31], z[3])
					g.rest(0, 1, 3, 4, 5)
				}
			}
		}
		g.TESTQ(steps, steps)
		g.JZ(operand.LabelRef("tail"))
		g.repeat("step", steps, func() {
			g.VMOVUPS(operand.Mem{Base: from}, z[0])
			g.VMOVUPS(operand.Mem{Base: from, Disp: 64}, z[1])
			part()
			g.ADDQ(operand.I32(128), from)
			g.ADDQ(operand.I32(uint32(partBytes*parts)), to)
		})
		g.Label("tail")
		g.TESTQ(tail, tail)
		g.JZ(operand.LabelRef("next"))
		g.VMOVUPS_Z(operand.Mem{Base: from}, reg.K1, z[0])
		g.VMOVUPS_Z(operand.Mem{Base: from, Disp: 64}, reg.K2, z[1])
		part()
		g.Label("next")
		g.ADDQ(ld, src)
		g.ADDQ(operand.I32(64), dst)
	})
	g.end()
}

// splitPairs makes pairs of rows of B rows of the tiles of each panel.
func (g *tileGen) splitPairs(parts int) {
	g.start("splitPairs", parts, "(pairs, panels, tail int, src0, src1 *float32, ld int, dst *uint16, stride int)",
		"pairs of rows of panels times 32 floats and of tail < 32 more, 2*ld from one to the next, become pairs in rows of tiles; panels lie stride apart.")
	g.constants()
	tail := g.gp("tail")
	g.masks(tail, reg.K1, reg.K2)
	pairs, src0, src1, ld, dst, stride := g.gp("pairs"), g.gp("src0"), g.gp("src1"), g.gp("ld"), g.gp("dst"), g.gp("stride")
	g.SHLQ(operand.U8(3), ld)
	g.SHLQ(operand.U8(1), stride)
	g.repeat("pair", pairs, func() {
		top, bottom, to, panels := g.copyOf(src0), g.copyOf(src1), g.copyOf(dst), g.gp("panels")
		part := func() {
			for half, h := range []int{0, 5} {
				for t := range parts {
					toBF16(g.Context, z[h], z[h+1], z[h+2])
					g.VPERMW(z[h+2], z[31], z[h+2])
					g.VMOVDQU64(z[h+2], operand.Mem{Base: to, Disp: partBytes*t + tileBytes*half})
					if t < parts-1 {
						g.rest(h, h+1, h+2, h+3, h+4)
					}
				}
			}
		}
		g.TESTQ(panels, panels)
		g.JZ(operand.LabelRef("tail"))
		g.repeat("panel", panels, func() {
			g.VMOVUPS(operand.Mem{Base: top}, z[0])
			g.VMOVUPS(operand.Mem{Base: bottom}, z[1])
			g.VMOVUPS(operand.Mem{Base: top, Disp: 64}, z[5])
			g.VMOVUPS(operand.Mem{Base: bottom, Disp: 64}, z[6])
			part()
			g.ADDQ(operand.I32(128), top)
			g.ADDQ(operand.I32(128), bottom)
			g.ADDQ(stride, to)
		})
		g.Label("tail")
		g.TESTQ(tail, tail)
		g.JZ(operand.LabelRef("next"))
		g.VMOVUPS_Z(operand.Mem{Base: top}, reg.K1, z[0])
		g.VMOVUPS_Z(operand.Mem{Base: bottom}, reg.K1, z[1])
		g.VMOVUPS_Z(operand.Mem{Base: top, Disp: 64}, reg.K2, z[5])
		g.VMOVUPS_Z(operand.Mem{Base: bottom, Disp: 64}, reg.K2, z[6])
		part()
		g.Label("next")
		g.ADDQ(ld, src0)
		g.ADDQ(ld, src1)
		g.ADDQ(operand.I32(64), dst)
	})
	g.end()
}

// transpose transposes the 16 x 16 double words in Z0 to Z15 by way of Z16 to Z31.
func (g *tileGen) transpose() {
	for i := 0; i < 16; i += 2 {
		g.VPUNPCKLDQ(z[i+1], z[i], z[16+i])
		g.VPUNPCKHDQ(z[i+1], z[i], z[17+i])
	}
	for i := 0; i < 16; i += 4 { // register i+c: column c of each quarter, of rows i to i+3
		g.VPUNPCKLQDQ(z[18+i], z[16+i], z[i])
		g.VPUNPCKHQDQ(z[18+i], z[16+i], z[i+1])
		g.VPUNPCKLQDQ(z[19+i], z[17+i], z[i+2])
		g.VPUNPCKHQDQ(z[19+i], z[17+i], z[i+3])
	}
	even, odd := operand.U8(0x88), operand.U8(0xdd) // quarters 0 and 2, 1 and 3
	for c := range 4 {
		g.VSHUFI32X4(even, z[4+c], z[c], z[16+c])
		g.VSHUFI32X4(odd, z[4+c], z[c], z[20+c])
		g.VSHUFI32X4(even, z[12+c], z[8+c], z[24+c])
		g.VSHUFI32X4(odd, z[12+c], z[8+c], z[28+c])
	}
	for c := range 4 {
		g.VSHUFI32X4(even, z[24+c], z[16+c], z[c])
		g.VSHUFI32X4(odd, z[24+c], z[16+c], z[8+c])
		g.VSHUFI32X4(even, z[28+c], z[20+c], z[4+c])
		g.VSHUFI32X4(odd, z[28+c], z[20+c], z[12+c])
	}
}

// splitRowsT makes columns of a stored matrix rows of A's tiles.
func (g *tileGen) splitRowsT(parts int) {
	g.start("splitRowsT", parts, "(tiles int, src *float32, ld int, dst *uint16, stride int)",
		"32 rows of tiles times 16 floats become the columns of tiles, two to a panel; panels lie stride apart.")
	tiles, src, ld, dst, next := g.gp("tiles"), g.gp("src"), g.gp("ld"), g.gp("dst"), g.gp("stride")
	g.SHLQ(operand.U8(2), ld)
	g.SHLQ(operand.U8(1), next)
	g.SUBQ(operand.I32(2*tileBytes), next)
	odd := g.GP64()
	g.XORQ(odd, odd)
	g.repeat("tile", tiles, func() {
		for t := range parts { // the transposition leaves no registers for what is left of a part: it is made again
			g.constants()
			from := g.copyOf(src)
			for row := range 16 {
				g.VMOVUPS(operand.Mem{Base: from}, z[16])
				g.VMOVUPS(operand.Mem{Base: from, Index: ld, Scale: 1}, z[17])
				g.LEAQ(operand.Mem{Base: from, Index: ld, Scale: 2}, from)
				for range t {
					toBF16(g.Context, z[16], z[17], z[18])
					g.VPERMW(z[18], z[31], z[19])
					g.rest(16, 17, 19, 20, 21)
				}
				toBF16(g.Context, z[16], z[17], z[18])
				g.VPERMW(z[18], z[31], z[row])
			}
			g.transpose()
			for row := range 16 {
				g.VMOVDQU64(z[row], operand.Mem{Base: dst, Disp: partBytes*t + 64*row})
			}
		}
		g.ADDQ(operand.I32(64), src)
		g.ADDQ(operand.I32(tileBytes), dst)
		g.XORQ(operand.I32(1), odd)
		g.JNZ(operand.LabelRef("same"))
		g.ADDQ(next, dst)
		g.Label("same")
	})
	g.end()
}

// splitPairsT makes rows of a stored matrix columns of B's tiles.
func (g *tileGen) splitPairsT(parts int) {
	g.start("splitPairsT", parts, "(steps, tail int, src *float32, ld int, dst *uint16)",
		"16 rows of steps times 32 floats and of tail < 32 more become columns of tiles.")
	steps, src, ld, dst := g.gp("steps"), g.gp("src"), g.gp("ld"), g.gp("dst")
	g.SHLQ(operand.U8(2), ld)
	all := g.GP32()
	g.MOVL(operand.U32(0xffff), all)
	g.KMOVW(all, reg.K1)
	g.KMOVW(all, reg.K2)
	g.TESTQ(steps, steps)
	g.JZ(operand.LabelRef("rest"))
	g.Label("step")
	for t := range parts {
		g.constants()
		from := g.copyOf(src)
		for row := range 16 {
			g.VMOVUPS_Z(operand.Mem{Base: from}, reg.K1, z[16])
			g.VMOVUPS_Z(operand.Mem{Base: from, Disp: 64}, reg.K2, z[17])
			g.ADDQ(ld, from)
			for range t {
				toBF16(g.Context, z[16], z[17], z[18])
				g.VPERMW(z[18], z[31], z[19])
				g.rest(16, 17, 19, 20, 21)
			}
			toBF16(g.Context, z[16], z[17], z[row])
		}
		g.transpose()
		for row := range 16 {
			g.VMOVDQU64(z[row], operand.Mem{Base: dst, Disp: partBytes*t + 64*row})
		}
	}
	g.ADDQ(operand.I32(128), src)
	g.ADDQ(operand.I32(uint32(partBytes*parts)), dst)
	g.SUBQ(operand.I32(1), steps)
	g.JZ(operand.LabelRef("rest"))
	g.JGE(operand.LabelRef("step"))
	g.JMP(operand.LabelRef("end"))
	g.Label("rest") // once: steps is below 0 afterwards
	tail := g.gp("tail")
	g.TESTQ(tail, tail)
	g.JZ(operand.LabelRef("end"))
	g.masks(tail, reg.K1, reg.K2)
	g.XORQ(steps, steps)
	g.JMP(operand.LabelRef("step"))
	g.Label("end")
	g.end()
}

// holdTiles is for tests of the processor's and the operating system's care of tiles.
func (g *tileGen) holdTiles() {
	g.Function("holdTiles")
	g.Pragma("noescape")
	g.SignatureExpr("func(config *byte, in, out *uint16, n int)")
	g.Doc("holdTiles: out = in, 8 tiles, which wait in the tile registers for n turns.")
	configure(g.Context, g.Load(g.Param("config"), reg.RAX))
	in, out, n, row := g.gp("in"), g.gp("out"), g.gp("n"), g.GP64()
	g.MOVQ(operand.U32(64), row)
	for t := range 8 {
		loadTile(g.Context, in, row, tileBytes*t, t)
	}
	g.repeat("wait", n, func() { g.PAUSE() })
	for t := range 8 {
		storeTile(g.Context, t, out, row, tileBytes*t)
	}
	releaseTiles(g.Context)
	g.RET()
}
