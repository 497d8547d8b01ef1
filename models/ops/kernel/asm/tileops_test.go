package main

import (
	"encoding/binary"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// words runs an instruction that moves words and double words, or that uses a mask; false if i is none.
func (m *machine) words(i *ir.Instruction, size int) bool {
	le := binary.LittleEndian
	o := i.Operands
	mask := func(x operand.Op) *uint16 { return &m.masks[index(x.(reg.Register))] }
	// lanes of 128 bits: each of the result is made of one of a and one of b
	unpack := func(width, from int) {
		b, a := m.read(o[0], size), m.read(o[1], size)
		d := make([]byte, 0, size)
		for lane := 0; lane < size; lane += 16 {
			for at := from; at < from+8; at += width {
				d = append(append(d, a[lane+at:lane+at+width]...), b[lane+at:lane+at+width]...)
			}
		}
		m.write(o[2], d)
	}
	switch i.Opcode {
	case "KMOVW":
		*mask(o[1]) = uint16(m.integer(o[0], 4))
	case "VPERMW": // d[i] = table[index[i]]
		table, at := m.read(o[0], size), m.read(o[1], size)
		d := make([]byte, size)
		for j := 0; j < size; j += 2 {
			copy(d[j:j+2], table[int(le.Uint16(at[j:]))%(size/2)*2:])
		}
		m.write(o[2], d)
	case "VPUNPCKLDQ":
		unpack(4, 0)
	case "VPUNPCKHDQ":
		unpack(4, 8)
	case "VPUNPCKLQDQ":
		unpack(8, 0)
	case "VPUNPCKHQDQ":
		unpack(8, 8)
	case "VSHUFI32X4": // two lanes of 128 bits of a, two of b
		pick := int(o[0].(operand.U8))
		b, a := m.read(o[1], 64), m.read(o[2], 64)
		var d []byte
		for j, from := range [][]byte{a, a, b, b} {
			d = append(d, from[pick>>(2*j)&3*16:][:16]...)
		}
		m.write(o[3], d)
	default:
		return false
	}
	return true
}

// masked loads the lanes whose bit is set; memory of the others is not touched, and they become zero.
func (m *machine) masked(from operand.Mem, mask uint16, to operand.Op) {
	d := make([]byte, 64)
	for j := range 16 {
		if mask>>j&1 == 1 {
			copy(d[4*j:], m.at(m.address(from)+uint64(4*j), 4))
		}
	}
	m.write(to, d)
}

// tile runs an instruction of AMX or of AVX512-BF16, or that waits; false if i is none.
func (m *machine) tile(i *ir.Instruction) bool {
	le := binary.LittleEndian
	o := i.Operands
	number := func(k int) int { return int(o[k].(operand.U8)) }
	rows := func(at operand.Mem, f func(row int, mem []byte)) {
		stride := m.gp[index(at.Index)] * uint64(at.Scale)
		base := m.address(operand.Mem{Base: at.Base, Disp: at.Disp})
		for r := range 16 {
			f(r, m.at(base+uint64(r)*stride, 64))
		}
	}
	switch i.Opcode {
	case "PAUSE":
		return true
	case "VCVTNE2PS2BF16":
		low, high := m.read(o[0], 64), m.read(o[1], 64)
		var d []byte
		for _, from := range [][]byte{low, high} {
			for j := 0; j < 64; j += 4 {
				d = le.AppendUint16(d, kernel.ToBF16(f32(le.Uint32(from[j:]))))
			}
		}
		m.write(o[2], d)
		return true
	case "VDPBF16PS":
		b, a, sum := m.read(o[0], 64), m.read(o[1], 64), m.read(o[2], 64)
		for j := 0; j < 64; j += 4 {
			x, y := [2]uint16{le.Uint16(a[j:]), le.Uint16(a[j+2:])}, [2]uint16{le.Uint16(b[j:]), le.Uint16(b[j+2:])}
			le.PutUint32(sum[j:], u32(kernel.PairBF16(f32(le.Uint32(sum[j:])), &x, &y)))
		}
		m.write(o[2], sum)
		return true
	case "LDTILECFG":
		config := m.at(m.address(o[0].(operand.Mem)), 64)
		for t := range 8 {
			if config[0] != 1 || config[1] != 0 || le.Uint16(config[16+2*t:]) != 64 || config[48+t] != 16 {
				m.fail("tile %d is not one of 16 rows of 64 bytes", t)
			}
		}
		m.ready = true
		for t := range m.tiles { // stale values must not matter
			for j := range m.tiles[t] {
				m.tiles[t][j] = 0xa5
			}
		}
		return true
	case "TILERELEASE", "TILEZERO", "TILELOADD", "TILESTORED", "TDPBF16PS":
		if !m.ready {
			m.fail("%s: the tiles are not configured", i.Opcode)
		}
	}
	switch i.Opcode {
	case "TILERELEASE":
		m.ready = false
	case "TILEZERO":
		clear(m.tiles[number(0)][:])
	case "TILELOADD":
		t := &m.tiles[number(1)]
		rows(o[0].(operand.Mem), func(r int, mem []byte) { copy(t[64*r:][:64], mem) })
	case "TILESTORED":
		t := &m.tiles[number(0)]
		rows(o[1].(operand.Mem), func(r int, mem []byte) { copy(mem, t[64*r:][:64]) })
	case "TDPBF16PS":
		b, a, c := &m.tiles[number(0)], &m.tiles[number(1)], &m.tiles[number(2)]
		for r := range 16 {
			for col := range 16 {
				var x, y [32]uint16
				for k := range x {
					x[k] = le.Uint16(a[64*r+2*k:])
					y[k] = le.Uint16(b[k/2*64+4*col+k%2*2:])
				}
				at := c[64*r+4*col:]
				le.PutUint32(at, u32(kernel.DotBF16(f32(le.Uint32(at)), &x, &y)))
			}
		}
	default:
		return false
	}
	return true
}
