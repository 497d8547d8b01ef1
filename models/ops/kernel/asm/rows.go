package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rows writes the kernels on rows of a table that lie apart in memory. They fetch the row of a later id ahead, as the
// rows of a large table are in no cache. Memory bounds their speed: they have vectors of AVX2's width, for both sets.
func rows(c *build.Context) {
	g := &gen{Context: c, lanes: 8}
	g.gatherRows()
	g.gatherInt8Rows()
	g.scatterAdd()
	g.adamRows()
}

// part is a piece of a row: 8, 4 or 1 elements.
type part int

func (p part) reg(v reg.VecVirtual) reg.Register {
	if p == 8 {
		return v.AsY()
	}
	return v.AsX()
}

// get loads a piece into a vector. The other lanes of a single element are 0.
func (g *gen) get(p part, base reg.Register) reg.Register {
	v := p.reg(g.YMM())
	if p == 1 {
		g.VMOVSS(operand.Mem{Base: base}, v)
	} else {
		g.VMOVUPS(operand.Mem{Base: base}, v)
	}
	return v
}

func (g *gen) put(p part, v, base reg.Register) {
	if p == 1 {
		g.VMOVSS(v, operand.Mem{Base: base})
	} else {
		g.VMOVUPS(v, operand.Mem{Base: base})
	}
}

// row runs body over the pieces of a row of dim elements and moves the pointers on.
func (g *gen) row(dim reg.GPVirtual, pointers []reg.GPVirtual, body func(p part)) {
	g.pieces(dim, func(p part) {
		body(p)
		for _, x := range pointers {
			g.ADDQ(operand.I32(4*uint32(p)), x)
		}
	})
}

// pieces runs body over the pieces of a row of dim elements.
func (g *gen) pieces(dim reg.GPVirtual, body func(p part)) {
	rest := g.GP64()
	g.MOVQ(dim, rest)
	for i, p := range []part{8, 4, 1} {
		name := []string{"eight", "four", "one"}[i]
		g.SUBQ(operand.I32(uint32(p)), rest)
		g.JLT(operand.LabelRef(name + "Done"))
		g.Label(name)
		body(p)
		g.SUBQ(operand.I32(uint32(p)), rest)
		g.JGE(operand.LabelRef(name))
		g.Label(name + "Done")
		if p > 1 {
			g.ADDQ(operand.I32(uint32(p)), rest)
		}
	}
}

// offset is the distance in bytes from the start of a table to the row of an id.
func (g *gen) offset(id operand.Mem, dim reg.Register) reg.GPVirtual {
	at := g.GP64()
	g.MOVLQSX(id, at)
	g.IMULQ(dim, at)
	g.SHLQ(operand.U8(2), at)
	return at
}

func (g *gen) open(name, signature, doc string) {
	g.Function(name)
	g.Pragma("noescape")
	g.SignatureExpr("func" + signature)
	g.Doc(doc)
}

func (g *gen) gatherRows() {
	g.open("gatherRows", "(n, dim int, ids *int32, ahead int, table, dst *float32, stride int)",
		"gatherRows: dst[r*stride+i] = table[ids[r]*dim+i] for r < n, i < dim; n > 0. It reads ids[r+ahead].")
	n, dim, ids, ahead := g.gp("n"), g.gp("dim"), g.gp("ids"), g.gp("ahead")
	table, dst, stride := g.gp("table"), g.gp("dst"), g.gp("stride")
	g.SHLQ(operand.U8(2), stride)
	g.Label("next")
	from, to := g.offset(operand.Mem{Base: ids}, dim), g.GP64()
	later := g.offset(operand.Mem{Base: ids, Index: ahead, Scale: 4}, dim)
	g.SUBQ(from, later)
	g.ADDQ(table, from)
	g.MOVQ(dst, to)
	g.row(dim, []reg.GPVirtual{from, to}, func(p part) {
		g.PREFETCHT0(operand.Mem{Base: from, Index: later, Scale: 1})
		g.put(p, g.get(p, from), to)
	})
	g.ADDQ(operand.I32(4), ids)
	g.ADDQ(stride, dst)
	g.SUBQ(operand.I32(1), n)
	g.JNZ(operand.LabelRef("next"))
	g.end()
}

// getInt8 loads a piece of int8 into a vector of float32.
func (g *gen) getInt8(p part, base reg.Register) reg.Register {
	v := p.reg(g.YMM())
	if p == 1 {
		one := g.GP32()
		g.MOVBLSX(operand.Mem{Base: base}, one)
		g.VMOVD(one, v)
	} else {
		g.VPMOVSXBD(operand.Mem{Base: base}, v)
	}
	g.VCVTDQ2PS(v, v)
	return v
}

func (g *gen) gatherInt8Rows() {
	g.open("gatherInt8Rows", "(n, dim int, ids *int32, ahead int, table *byte, dst *float32, stride int)",
		"gatherInt8Rows: dst[r*stride+i] = scale*q[i] of row ids[r] of table, for r < n, i < dim; n > 0. It reads ids[r+ahead].")
	n, dim, ids, ahead := g.gp("n"), g.gp("dim"), g.gp("ids"), g.gp("ahead")
	table, dst, stride := g.gp("table"), g.gp("dst"), g.gp("stride")
	g.SHLQ(operand.U8(2), stride)
	size := g.GP64() // of a row, in bytes
	g.LEAQ(operand.Mem{Base: dim, Disp: 4}, size)
	g.Label("next")
	from, later, to := g.GP64(), g.GP64(), g.GP64()
	g.MOVLQSX(operand.Mem{Base: ids}, from)
	g.IMULQ(size, from)
	g.MOVLQSX(operand.Mem{Base: ids, Index: ahead, Scale: 4}, later)
	g.IMULQ(size, later)
	g.SUBQ(from, later)
	g.ADDQ(table, from)
	g.MOVQ(dst, to)
	g.PREFETCHT0(operand.Mem{Base: from, Index: later, Scale: 1})
	scale := g.YMM()
	g.VBROADCASTSS(operand.Mem{Base: from}, scale)
	g.ADDQ(operand.I32(4), from)
	g.pieces(dim, func(p part) {
		g.PREFETCHT0(operand.Mem{Base: from, Index: later, Scale: 1, Disp: int(p) - 1}) // a row lies across two lines of the cache, or in one
		v := g.getInt8(p, from)
		g.VMULPS(p.reg(scale), v, v)
		g.put(p, v, to)
		g.ADDQ(operand.I32(uint32(p)), from)
		g.ADDQ(operand.I32(4*uint32(p)), to)
	})
	g.ADDQ(operand.I32(4), ids)
	g.ADDQ(stride, dst)
	g.SUBQ(operand.I32(1), n)
	g.JNZ(operand.LabelRef("next"))
	g.end()
}

func (g *gen) scatterAdd() {
	g.open("scatterAdd", "(n, dim int, slots *int32, ahead int, dst, src *float32, stride int)",
		"scatterAdd: dst[slots[r]*dim+i] += src[r*stride+i] for r < n with slots[r] >= 0, i < dim; n > 0. It reads slots[r+ahead].")
	n, dim, slots, ahead := g.gp("n"), g.gp("dim"), g.gp("slots"), g.gp("ahead")
	dst, src, stride := g.gp("dst"), g.gp("src"), g.gp("stride")
	g.SHLQ(operand.U8(2), stride)
	further := g.GP64() // from a row of src to the one to fetch
	g.MOVQ(ahead, further)
	g.IMULQ(stride, further)
	g.Label("next")
	to, from := g.offset(operand.Mem{Base: slots}, dim), g.GP64()
	g.TESTQ(to, to)
	g.JLT(operand.LabelRef("skip"))
	later := g.offset(operand.Mem{Base: slots, Index: ahead, Scale: 4}, dim)
	g.SUBQ(to, later)
	g.ADDQ(dst, to)
	g.MOVQ(src, from)
	g.row(dim, []reg.GPVirtual{from, to}, func(p part) {
		g.PREFETCHT0(operand.Mem{Base: to, Index: later, Scale: 1})
		g.PREFETCHT0(operand.Mem{Base: from, Index: further, Scale: 1})
		v := g.get(p, to)
		g.VADDPS(g.get(p, from), v, v)
		g.put(p, v, to)
	})
	g.Label("skip")
	g.ADDQ(operand.I32(4), slots)
	g.ADDQ(stride, src)
	g.SUBQ(operand.I32(1), n)
	g.JNZ(operand.LabelRef("next"))
	g.end()
}

func (g *gen) adamRows() {
	g.open("adamRows", "(n, dim int, ids *int32, ahead int, w, m, v, grad, s *float32)",
		"adamRows: one update of the rows ids[r] by row r of grad, r < n; n > 0; see AdamRowsRef. It reads ids[r+ahead].")
	n, dim, ids, ahead := g.gp("n"), g.gp("dim"), g.gp("ids"), g.gp("ahead")
	w, grad := g.gp("w"), g.gp("grad")
	m, v, s := g.gp("m"), g.gp("v"), g.gp("s")
	arg := g.vecs(9) // keep, a1, b2, a2, c2, eps, step, scale, l2
	for i, x := range arg {
		g.VBROADCASTSS(operand.Mem{Base: s, Disp: 4 * i}, x)
	}
	l2 := s // 0 if there is no such term
	g.MOVL(operand.Mem{Base: s, Disp: 4 * 8}, l2.As32())
	// Distances from w to the state: the three lie at one place relative to their starts.
	g.SUBQ(w, m)
	g.SUBQ(w, v)
	g.Label("next")
	wp := g.offset(operand.Mem{Base: ids}, dim)
	later := g.offset(operand.Mem{Base: ids, Index: ahead, Scale: 4}, dim)
	g.ADDQ(w, wp)
	g.ADDQ(w, later)
	mp, vp := g.GP64(), g.GP64()
	g.LEAQ(operand.Mem{Base: wp, Index: m, Scale: 1}, mp)
	g.LEAQ(operand.Mem{Base: wp, Index: v, Scale: 1}, vp)
	g.row(dim, []reg.GPVirtual{wp, mp, vp, grad, later}, func(p part) {
		g.PREFETCHT0(operand.Mem{Base: later})
		g.PREFETCHT0(operand.Mem{Base: later, Index: m, Scale: 1})
		g.PREFETCHT0(operand.Mem{Base: later, Index: v, Scale: 1})
		a := func(i int) reg.Register { return p.reg(arg[i]) }
		x, gr, t := g.get(p, wp), g.get(p, grad), p.reg(g.YMM())
		g.VMULPS(a(7), gr, gr)
		plain := map[part]string{8: "eightPlain", 4: "fourPlain", 1: "onePlain"}[p]
		g.TESTQ(l2, l2)
		g.JZ(operand.LabelRef(plain))
		g.VMULPS(a(8), x, t)
		g.VADDPS(t, gr, gr)
		g.Label(plain)
		first, second := g.get(p, mp), g.get(p, vp)
		g.VSUBPS(first, gr, t)
		g.VMULPS(a(1), t, t)
		g.VADDPS(t, first, first)
		g.VMULPS(a(2), second, second)
		g.VMULPS(a(3), gr, t)
		g.VMULPS(gr, t, t)
		g.VADDPS(t, second, second)
		g.put(p, first, mp)
		g.put(p, second, vp)
		g.VSQRTPS(second, second)
		g.VDIVPS(a(4), second, second)
		g.VADDPS(a(5), second, second)
		g.VMULPS(a(6), first, first)
		g.VDIVPS(second, first, first)
		g.VMULPS(a(0), x, x)
		g.VSUBPS(first, x, x)
		g.put(p, x, wp)
	})
	g.ADDQ(operand.I32(4), ids)
	g.SUBQ(operand.I32(1), n)
	g.JNZ(operand.LabelRef("next"))
	g.end()
}
