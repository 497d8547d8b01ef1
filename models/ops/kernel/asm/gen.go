package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gen writes code for vectors of a given number of float32 lanes. The methods below hide the few instructions whose names
// differ between the two widths; AVX-512 code uses instructions of AVX512F alone and no mask registers.
type gen struct {
	*build.Context
	lanes int // 8 (AVX2) or 16 (AVX-512)
}

func (g *gen) suffix() string {
	if g.lanes == 16 {
		return "AVX512"
	}
	return "AVX2"
}

// bytes is the size of a vector.
func (g *gen) bytes() int { return 4 * g.lanes }

func (g *gen) vec() reg.VecVirtual {
	if g.lanes == 16 {
		return g.ZMM()
	}
	return g.YMM()
}

func (g *gen) vecs(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = g.vec()
	}
	return v
}

// half is a vector of half the size.
func (g *gen) half() reg.VecVirtual {
	if g.lanes == 16 {
		return g.YMM()
	}
	return g.XMM()
}

func (g *gen) zero(v reg.VecVirtual) {
	if g.lanes == 16 {
		g.VPXORD(v, v, v)
	} else {
		g.VPXOR(v, v, v)
	}
}

func (g *gen) and(a, b, dst operand.Op) {
	if g.lanes == 16 {
		g.VPANDD(a, b, dst)
	} else {
		g.VPAND(a, b, dst)
	}
}

// andNot is dst = a & ^b.
func (g *gen) andNot(a, b, dst operand.Op) {
	if g.lanes == 16 {
		g.VPANDND(a, b, dst)
	} else {
		g.VPANDN(a, b, dst)
	}
}

func (g *gen) or(a, b, dst operand.Op) {
	if g.lanes == 16 {
		g.VPORD(a, b, dst)
	} else {
		g.VPOR(a, b, dst)
	}
}

func (g *gen) xor(a, b, dst operand.Op) {
	if g.lanes == 16 {
		g.VPXORD(a, b, dst)
	} else {
		g.VPXOR(a, b, dst)
	}
}

// bits returns a vector with x in every lane.
func (g *gen) bits(x uint32) reg.VecVirtual {
	v, r, t := g.vec(), g.GP32(), g.XMM()
	g.MOVL(operand.U32(x), r)
	g.VMOVD(r, t)
	g.VPBROADCASTD(t, v)
	return v
}

// num returns a vector with x in every lane.
func (g *gen) num(x float32) reg.VecVirtual { return g.bits(math.Float32bits(x)) }

// begin opens a function of the kernel's name.
func (g *gen) begin(name, signature, doc string) {
	g.Function(name + g.suffix())
	g.Pragma("noescape")
	g.SignatureExpr("func" + signature)
	g.Doc(fmt.Sprintf("%s%s: %s", name, g.suffix(), doc))
}

func (g *gen) end() {
	g.VZEROUPPER()
	g.RET()
}

// gp loads a parameter into a general register.
func (g *gen) gp(name string) reg.GPVirtual {
	r := g.GP64()
	g.Load(g.Param(name), r)
	return r
}

// broadcast loads a 32-bit parameter into every lane.
func (g *gen) broadcast(name string) reg.VecVirtual {
	v, r, t := g.vec(), g.GP32(), g.XMM()
	a, err := g.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	g.MOVL(a.Addr, r)
	g.VMOVD(r, t)
	g.VPBROADCASTD(t, v)
	return v
}

// loop runs body over n elements, a multiple of the lanes and greater than 0: unroll vectors at a time, then one at a time.
// body addresses its operands with at(base), which is base plus the current position; u is the vector's number in the
// unrolled body.
func (g *gen) loop(n reg.GPVirtual, unroll int, body func(u int, at func(base reg.Register) operand.Mem)) {
	pos := g.GP64()
	g.XORQ(pos, pos)
	at := func(u int) func(base reg.Register) operand.Mem {
		return func(base reg.Register) operand.Mem {
			return operand.Mem{Base: base, Index: pos, Scale: 4, Disp: u * g.bytes()}
		}
	}
	if unroll > 1 {
		g.SUBQ(operand.I32(unroll*g.lanes), n)
		g.JLT(operand.LabelRef("rest"))
		g.Label("block")
		for u := range unroll {
			body(u, at(u))
		}
		g.ADDQ(operand.I32(unroll*g.lanes), pos)
		g.SUBQ(operand.I32(unroll*g.lanes), n)
		g.JGE(operand.LabelRef("block"))
		g.Label("rest")
		g.ADDQ(operand.I32(unroll*g.lanes), n)
		g.JZ(operand.LabelRef("done"))
	}
	g.Label("one")
	body(0, at(0))
	g.ADDQ(operand.I32(g.lanes), pos)
	g.SUBQ(operand.I32(g.lanes), n)
	g.JNZ(operand.LabelRef("one"))
	g.Label("done")
}
