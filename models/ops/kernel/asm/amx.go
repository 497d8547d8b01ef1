package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Go's assembler does not know AMX, nor AVX512-BF16. Their instructions go through register allocation and the
// interpreter under their own names, and are printed as bytes (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2,
// chapters 2.3 to 2.7: VEX and EVEX prefixes, ModRM, SIB).

// lacking adds an instruction that Go's assembler lacks. Reads and writes are of general and vector registers; tiles are numbers.
func lacking(c *build.Context, name, set string, writes []operand.Op, operands ...operand.Op) {
	i := &ir.Instruction{Opcode: name, ISA: []string{set}, Operands: operands, Outputs: writes}
	for _, o := range operands {
		switch o := o.(type) {
		case operand.Mem:
			i.Inputs = append(i.Inputs, o)
		case reg.Register:
			if len(writes) == 0 || o != writes[0] || name == "VDPBF16PS" { // which adds to what it writes
				i.Inputs = append(i.Inputs, o)
			}
		}
	}
	c.Instruction(i)
}

const (
	amxTile = "AMX-TILE"
	amxBF16 = "AMX-BF16"
)

// tile is the operand of a tile register.
func tile(n int) operand.U8 { return operand.U8(n) }

// configure sets up the tiles as the 64 bytes at base, which must be RAX, say.
func configure(c *build.Context, base reg.Register) {
	lacking(c, "LDTILECFG", amxTile, nil, operand.Mem{Base: base})
}

func releaseTiles(c *build.Context) { lacking(c, "TILERELEASE", amxTile, nil) }

func zeroTile(c *build.Context, t int) { lacking(c, "TILEZERO", amxTile, nil, tile(t)) }

// loadTile reads the rows of t, stride bytes apart.
func loadTile(c *build.Context, base, stride reg.Register, disp, t int) {
	lacking(c, "TILELOADD", amxTile, nil, operand.Mem{Base: base, Index: stride, Scale: 1, Disp: disp}, tile(t))
}

func storeTile(c *build.Context, t int, base, stride reg.Register, disp int) {
	lacking(c, "TILESTORED", amxTile, nil, tile(t), operand.Mem{Base: base, Index: stride, Scale: 1, Disp: disp})
}

// multiplyTiles adds to the tile sum the product of the tiles a and b.
func multiplyTiles(c *build.Context, b, a, sum int) {
	lacking(c, "TDPBF16PS", amxBF16, nil, tile(b), tile(a), tile(sum))
}

// toBF16 rounds the 32 floats of low and high, both ZMM registers, to the halves of dst.
func toBF16(c *build.Context, low, high, dst reg.Register) {
	lacking(c, "VCVTNE2PS2BF16", "AVX512_BF16", []operand.Op{dst}, low, high, dst)
}

// Bits of the VEX and EVEX prefixes that stand for the legacy prefixes none, 66, F3 and F2.
const (
	none = iota
	p66
	pF3
	pF2
)

// vex is the prefix of three bytes with opcode map 0F38, W0 and L0; all but pp are register numbers.
func vex(pp, r, index, base, v int) []byte {
	return []byte{0xc4, byte(^r>>3&1<<7 | ^index>>3&1<<6 | ^base>>3&1<<5 | 2), byte(^v&15<<3 | pp)}
}

// sib is ModRM, SIB and displacement of base+index+disp.
func sib(r, base, index, disp int) []byte {
	b := []byte{byte(r&7<<3 | 4), byte(index&7<<3 | base&7)}
	switch {
	case disp == 0 && base&7 != 5:
	case disp >= -128 && disp < 128:
		b[0] |= 0x40
		b = append(b, byte(disp))
	default:
		b[0] |= 0x80
		b = append(b, byte(disp), byte(disp>>8), byte(disp>>16), byte(disp>>24))
	}
	return b
}

// encode returns the bytes of an instruction that the assembler lacks, its registers being allocated, and nil for others.
func encode(i *ir.Instruction) []byte {
	o := i.Operands
	number := func(k int) int { return int(o[k].(operand.U8)) }
	memory := func(op byte, pp, t int, m operand.Mem) []byte {
		base, idx := index(m.Base), index(m.Index)
		return append(append(vex(pp, t, idx, base, 0), op), sib(t, base, idx, m.Disp)...)
	}
	switch i.Opcode {
	case "LDTILECFG":
		base := index(o[0].(operand.Mem).Base)
		if base&7 == 4 || base&7 == 5 {
			panic("LDTILECFG: this base needs another form")
		}
		return append(vex(none, 0, 0, base, 0), 0x49, byte(base&7))
	case "TILERELEASE":
		return append(vex(none, 0, 0, 0, 0), 0x49, 0xc0)
	case "TILEZERO":
		return append(vex(pF2, number(0), 0, 0, 0), 0x49, byte(0xc0|number(0)<<3))
	case "TILELOADD":
		return memory(0x4b, pF2, number(1), o[0].(operand.Mem))
	case "TILESTORED":
		return memory(0x4b, pF3, number(0), o[1].(operand.Mem))
	case "TDPBF16PS":
		b, a, sum := number(0), number(1), number(2)
		return append(vex(pF3, sum, 0, a, b), 0x5c, byte(0xc0|sum<<3|a))
	case "VCVTNE2PS2BF16":
		return evex(pF2, 0x72, o)
	case "VDPBF16PS":
		return evex(pF3, 0x52, o)
	}
	return nil
}

// evex is an instruction on three ZMM registers in opcode map 0F38 with W0.
func evex(pp int, op byte, o []operand.Op) []byte {
	m, v, d := index(o[0].(reg.Register)), index(o[1].(reg.Register)), index(o[2].(reg.Register))
	return []byte{
		0x62,
		byte(^d>>3&1<<7 | ^m>>4&1<<6 | ^m>>3&1<<5 | ^d>>4&1<<4 | 2),
		byte(^v&15<<3 | 4 | pp),
		byte(2<<5 | ^v>>4&1<<3),
		op, byte(0xc0 | d&7<<3 | m&7),
	}
}

func index(r reg.Register) int { return int(reg.ToPhysical(r).PhysicalIndex()) }

// asBytes returns f as it is printed.
func asBytes(f *ir.File) *ir.File {
	out := *f
	out.Sections = nil
	for _, s := range f.Sections {
		fn, ok := s.(*ir.Function)
		if !ok {
			out.Sections = append(out.Sections, s)
			continue
		}
		c := *fn
		c.Nodes = nil
		for _, n := range fn.Nodes {
			i, ok := n.(*ir.Instruction)
			if !ok {
				c.Nodes = append(c.Nodes, n)
				continue
			}
			b := encode(i)
			if b == nil {
				c.Nodes = append(c.Nodes, n)
				continue
			}
			text := make([]string, len(b))
			for k, x := range b {
				text[k] = fmt.Sprintf("BYTE $0x%02x", x)
			}
			var args []string
			for _, o := range i.Operands {
				args = append(args, strings.TrimPrefix(o.Asm(), "$0x0"))
			}
			line := strings.TrimSpace(i.Opcode + " " + strings.Join(args, ", "))
			c.Nodes = append(c.Nodes, &ir.Instruction{Opcode: strings.Join(text, "; ") + " // " + line})
		}
		out.Sections = append(out.Sections, &c)
	}
	return &out
}
