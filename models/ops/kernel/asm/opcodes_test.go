package main

import (
	"encoding/binary"
	"math"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func f32(x uint32) float32 { return math.Float32frombits(x) }
func u32(x float32) uint32 { return math.Float32bits(x) }

// lanes32 are the instructions that compute each 32-bit lane as f(second source, first source), in the order in which Go
// writes the operands, and those of three that also take the destination.
var lanes32 = map[string]func(b, a, d uint32) uint32{
	"VADDPS": func(b, a, _ uint32) uint32 { return u32(f32(a) + f32(b)) },
	"VSUBPS": func(b, a, _ uint32) uint32 { return u32(f32(a) - f32(b)) },
	"VMULPS": func(b, a, _ uint32) uint32 { return u32(f32(a) * f32(b)) },
	"VDIVPS": func(b, a, _ uint32) uint32 { return u32(f32(a) / f32(b)) },
	"VMAXPS": func(b, a, _ uint32) uint32 {
		if f32(a) > f32(b) {
			return a
		}
		return b
	},
	"VMINPS": func(b, a, _ uint32) uint32 {
		if f32(a) < f32(b) {
			return a
		}
		return b
	},
	"VPADDD":       func(b, a, _ uint32) uint32 { return a + b },
	"VPSUBD":       func(b, a, _ uint32) uint32 { return a - b },
	"VPMULLD":      func(b, a, _ uint32) uint32 { return a * b },
	"VPMAXUD":      func(b, a, _ uint32) uint32 { return max(a, b) },
	"VPAND":        func(b, a, _ uint32) uint32 { return a & b },
	"VPOR":         func(b, a, _ uint32) uint32 { return a | b },
	"VPXOR":        func(b, a, _ uint32) uint32 { return a ^ b },
	"VPANDN":       func(b, a, _ uint32) uint32 { return ^a & b },
	"VFMADD231PS":  func(b, a, d uint32) uint32 { return u32(fma32(f32(a), f32(b), f32(d))) },
	"VFNMADD231PS": func(b, a, d uint32) uint32 { return u32(fma32(-f32(a), f32(b), f32(d))) },
	"VFMADD213PS":  func(b, a, d uint32) uint32 { return u32(fma32(f32(a), f32(d), f32(b))) },
}

func init() {
	for _, op := range []string{"VPAND", "VPOR", "VPXOR", "VPANDN"} {
		lanes32[op+"D"] = lanes32[op]
	}
}

// fma32 is a*b + c, rounded once: the product is exact in float64, and the sum is rounded to odd there.
func fma32(a, b, c float32) float32 {
	p, z := float64(a)*float64(b), float64(c)
	s := p + z
	if math.IsInf(s, 0) || math.IsNaN(s) {
		return float32(s)
	}
	t := s - p
	rest := (p - (s - t)) + (z - t)
	if bits := math.Float64bits(s); rest != 0 && bits&1 == 0 {
		if (rest > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
		s = math.Float64frombits(bits)
	}
	return float32(s)
}

// step runs one instruction that is no branch.
func (m *machine) step(i *ir.Instruction) {
	o := i.Operands
	last := o[max(len(o), 1)-1:]
	size := 0
	for _, x := range o {
		if r, ok := x.(reg.Register); ok && r.Kind() == reg.KindVector {
			size = max(size, int(r.Size()))
		}
	}
	each := func(from []byte, width int, f func(x []byte)) []byte {
		for j := 0; j+width <= len(from); j += width {
			f(from[j : j+width])
		}
		return from
	}
	if f, ok := lanes32[i.Opcode]; ok {
		b, a, d := m.read(o[0], size), m.read(o[1], size), m.read(o[2], size)
		le := binary.LittleEndian
		for j := 0; j < size; j += 4 {
			le.PutUint32(d[j:], f(le.Uint32(b[j:]), le.Uint32(a[j:]), le.Uint32(d[j:])))
		}
		m.write(o[2], d)
		return
	}
	le := binary.LittleEndian
	switch i.Opcode {
	case "VZEROUPPER":
		for j := range 16 {
			clear(m.vec[j][16:])
		}
	case "PREFETCHT0":
	case "VMOVUPS", "VMOVUPD":
		if len(o) == 3 { // with a mask
			m.masked(o[0].(operand.Mem), m.masks[index(o[1].(reg.Register))], o[2])
			return
		}
		m.write(o[1], m.read(o[0], size))
	case "VBROADCASTSS", "VPBROADCASTD":
		x := m.read(o[0], 4)
		m.write(o[1], each(make([]byte, o[1].(reg.Register).Size()), 4, func(d []byte) { copy(d, x) }))
	case "VMOVSS":
		m.write(o[1], m.read(o[0], 4))
	case "VMOVD":
		m.write(o[1], m.read(o[0], 4))
	case "VEXTRACTF64X4", "VEXTRACTF128": // the upper part
		half := int(o[2].(reg.Register).Size())
		m.write(o[2], m.read(o[1], 2*half)[half:])
	case "VPERMILPD": // imm 1: lane 0 gets the upper double, lane 1 the lower
		x := m.read(o[1], 16)
		if o[0].(operand.U8) != 1 {
			m.fail("VPERMILPD by %d", o[0])
		}
		m.write(o[2], append(append([]byte{}, x[8:]...), x[:8]...))
	case "VMOVSHDUP":
		x := m.read(o[0], 16)
		copy(x, x[4:8])
		copy(x[8:], x[12:16])
		m.write(o[1], x)
	case "VADDSS":
		b, a := m.read(o[0], 4), m.read(o[1], 16)
		le.PutUint32(a, u32(f32(le.Uint32(a))+f32(le.Uint32(b))))
		m.write(o[2], a)
	case "VSQRTPS":
		m.write(o[1], each(m.read(o[0], size), 4, func(x []byte) {
			le.PutUint32(x, u32(float32(math.Sqrt(float64(f32(le.Uint32(x)))))))
		}))
	case "VPMOVSXBD":
		size = int(o[1].(reg.Register).Size())
		x := m.read(o[0], size/4)
		at := 0
		m.write(o[1], each(make([]byte, size), 4, func(d []byte) {
			le.PutUint32(d, uint32(int32(int8(x[at]))))
			at++
		}))
	case "VCVTDQ2PS":
		m.write(o[1], each(m.read(o[0], size), 4, func(x []byte) { le.PutUint32(x, u32(float32(int32(le.Uint32(x))))) }))
	case "VPSLLD", "VPSRLD", "VPSRAD":
		n := int(o[0].(operand.U8))
		m.write(o[2], each(m.read(o[1], size), 4, func(x []byte) {
			v := le.Uint32(x)
			switch i.Opcode {
			case "VPSLLD":
				v <<= n
			case "VPSRLD":
				v >>= n
			default:
				v = uint32(int32(v) >> n)
			}
			le.PutUint32(x, v)
		}))
	case "VCVTPS2PD":
		size = int(o[1].(reg.Register).Size())
		x := m.read(o[0], size/2)
		at := 0
		m.write(o[1], each(make([]byte, size), 8, func(d []byte) {
			le.PutUint64(d, math.Float64bits(float64(f32(le.Uint32(x[at:])))))
			at += 4
		}))
	case "VADDPD", "VFMADD231PD":
		b, a, d := m.read(o[0], size), m.read(o[1], size), m.read(o[2], size)
		for j := 0; j < size; j += 8 {
			number := func(bytes []byte) float64 { return math.Float64frombits(le.Uint64(bytes)) }
			x, y, z := number(a[j:]), number(b[j:]), number(d[j:])
			if i.Opcode == "VADDPD" {
				z = x + y
			} else {
				z = math.FMA(x, y, z)
			}
			le.PutUint64(d[j:], math.Float64bits(z))
		}
		m.write(o[2], d)
	case "VMOVDQU64":
		m.write(o[1], m.read(o[0], size))
	default:
		if !m.words(i, size) && !m.tile(i) {
			m.general(i, last[0])
		}
	}
}

// general runs an instruction on general registers.
func (m *machine) general(i *ir.Instruction, to operand.Op) {
	o := i.Operands
	if i.Opcode == "TESTB" {
		m.result = int64(m.integer(o[0], 1) & m.integer(o[1], 1) & 0xff)
		return
	}
	if i.Opcode == "TESTQ" {
		m.result = int64(m.integer(o[0], 8) & m.integer(o[1], 8))
		return
	}
	dst, ok := to.(reg.Register)
	if !ok {
		m.fail("%s to %s", i.Opcode, to.Asm())
	}
	d := &m.gp[index(dst)]
	switch i.Opcode {
	case "MOVQ":
		*d = m.integer(o[0], 8)
	case "MOVL":
		*d = m.integer(o[0], 4) & 0xffffffff
	case "MOVLQSX":
		*d = uint64(int64(int32(m.integer(o[0], 4))))
	case "MOVBLSX":
		*d = uint64(uint32(int32(int8(m.integer(o[0], 1)))))
	case "IMULQ":
		*d *= m.integer(o[0], 8)
	case "MOVB":
		*d = *d&^0xff | m.integer(o[0], 1)&0xff
	case "LEAQ":
		*d = m.address(o[0].(operand.Mem))
	case "ADDQ":
		*d += m.integer(o[0], 8)
		m.result = int64(*d)
	case "SUBQ":
		*d -= m.integer(o[0], 8)
		m.result = int64(*d)
	case "XORQ":
		*d ^= m.integer(o[0], 8)
		m.result = int64(*d)
	case "SHLQ":
		*d <<= m.integer(o[0], 1)
	case "SHRQ":
		*d >>= m.integer(o[0], 1)
	default:
		m.fail("instruction %s", i.OpcodeWithSuffixes())
	}
}
