package main

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// machine interprets the instructions that the kernels use, so that AVX-512 code can be tested on any processor. Memory
// is made of segments with gaps between them: an access that is not inside one segment is an error.
type machine struct {
	gp       [16]uint64
	vec      [32][64]byte
	masks    [8]uint16
	tiles    [8][1024]byte
	ready    bool // the tiles are configured
	segments []segment
	globals  map[string]uint64
	result   int64 // of the last instruction that set the flags
	steps    int
}

type segment struct {
	base uint64
	mem  []byte
}

// fault is what an instruction panics with.
type fault struct{ msg string }

func (m *machine) fail(format string, args ...any) {
	panic(fault{fmt.Sprintf(format, args...)})
}

func newMachine(f *ir.File) *machine {
	m := &machine{globals: map[string]uint64{}}
	for _, s := range f.Sections {
		g, ok := s.(*ir.Global)
		if !ok {
			continue
		}
		mem := make([]byte, g.Size)
		for _, d := range g.Data {
			binary.LittleEndian.PutUint32(mem[d.Offset:], uint32(d.Value.(operand.U32)))
		}
		m.globals[g.Symbol.Name] = m.place(mem)
	}
	return m
}

// place adds memory and returns its address, which is a multiple of 4 and of nothing more.
func (m *machine) place(mem []byte) uint64 {
	base := uint64(1<<20 + 4)
	if n := len(m.segments); n > 0 {
		last := m.segments[n-1]
		base = last.base + uint64(len(last.mem)+1<<12)&^3
	}
	m.segments = append(m.segments, segment{base, mem})
	return base
}

func (m *machine) at(addr uint64, size int) []byte {
	for _, s := range m.segments {
		if addr >= s.base && addr+uint64(size) <= s.base+uint64(len(s.mem)) {
			return s.mem[addr-s.base:][:size]
		}
	}
	m.fail("access to %d bytes at %#x, outside of all slices", size, addr)
	return nil
}

// call runs f with arguments int, uint32, float32, bool, or uint64 for a pointer.
func (m *machine) call(f *ir.Function, args ...any) (err error) {
	var frame []byte
	grow := func(align int) {
		for len(frame)%align != 0 {
			frame = append(frame, 0)
		}
	}
	for _, a := range args {
		switch a := a.(type) {
		case int:
			grow(8)
			frame = binary.LittleEndian.AppendUint64(frame, uint64(a))
		case uint64:
			grow(8)
			frame = binary.LittleEndian.AppendUint64(frame, a)
		case uint32:
			grow(4)
			frame = binary.LittleEndian.AppendUint32(frame, a)
		case float32:
			grow(4)
			frame = binary.LittleEndian.AppendUint32(frame, math.Float32bits(a))
		case bool:
			b := byte(0)
			if a {
				b = 1
			}
			frame = append(frame, b)
		}
	}
	if want := f.ArgumentBytes(); len(frame) != want {
		return fmt.Errorf("%s takes %d bytes of arguments, have %d", f.Name, want, len(frame))
	}
	for i := range m.vec { // stale values must not matter
		for j := range m.vec[i] {
			m.vec[i][j] = 0xa5
		}
	}
	m.globals["FP"] = m.place(frame)
	labels := map[string]int{}
	for i, n := range f.Nodes {
		if l, ok := n.(ir.Label); ok {
			labels[string(l)] = i
		}
	}
	pc := 0
	defer func() {
		m.segments = m.segments[:len(m.segments)-1]
		if r := recover(); r != nil {
			x, ok := r.(fault)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("%s: node %d: %s", f.Name, pc, x.msg)
		}
	}()
	for ; ; pc++ {
		if pc >= len(f.Nodes) {
			m.fail("no RET")
		}
		i, ok := f.Nodes[pc].(*ir.Instruction)
		if !ok {
			continue
		}
		if m.steps++; m.steps > 1<<24 {
			m.fail("endless loop")
		}
		switch {
		case i.Opcode == "RET":
			if m.ready {
				m.fail("the tiles are not released")
			}
			return nil
		case i.IsBranch:
			if m.taken(i.Opcode) {
				pc = labels[string(*i.TargetLabel())]
			}
		default:
			m.step(i)
		}
	}
}

func (m *machine) taken(op string) bool {
	switch op {
	case "JMP":
		return true
	case "JZ":
		return m.result == 0
	case "JNZ":
		return m.result != 0
	case "JLT":
		return m.result < 0
	case "JGE":
		return m.result >= 0
	}
	m.fail("branch %s", op)
	return false
}

func (m *machine) address(a operand.Mem) uint64 {
	addr := uint64(int64(a.Disp))
	switch {
	case a.Base == reg.FramePointer:
		addr += m.globals["FP"]
	case a.Base == reg.StaticBase:
		base, ok := m.globals[a.Symbol.Name]
		if !ok {
			m.fail("symbol %s", a.Symbol.Name)
		}
		addr += base
	default:
		addr += m.gp[index(a.Base)]
	}
	if a.Index != nil {
		addr += m.gp[index(a.Index)] * uint64(a.Scale)
	}
	return addr
}

// read returns size bytes of an operand of a vector instruction.
func (m *machine) read(o operand.Op, size int) []byte {
	switch o := o.(type) {
	case operand.Mem:
		return append([]byte(nil), m.at(m.address(o), size)...)
	case reg.Register:
		if o.Kind() == reg.KindVector {
			if int(o.Size()) < size {
				m.fail("operand %s has less than %d bytes", o.Asm(), size)
			}
			return append([]byte(nil), m.vec[index(o)][:size]...)
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], m.gp[index(o)])
		return b[:size]
	}
	m.fail("operand %s", o.Asm())
	return nil
}

// write stores to memory, or to a register whose other bytes become 0, as VEX and EVEX instructions do it.
func (m *machine) write(o operand.Op, b []byte) {
	switch o := o.(type) {
	case operand.Mem:
		copy(m.at(m.address(o), len(b)), b)
	case reg.Register:
		if o.Kind() != reg.KindVector {
			m.fail("destination %s", o.Asm())
		}
		if o.Size() < 64 && index(o) > 15 {
			m.fail("register %s does not exist in AVX2", o.Asm())
		}
		var v [64]byte
		copy(v[:], b)
		m.vec[index(o)] = v
	default:
		m.fail("destination %s", o.Asm())
	}
}

// integer returns the value of an operand of a general instruction.
func (m *machine) integer(o operand.Op, size int) uint64 {
	switch o := o.(type) {
	case operand.I32:
		return uint64(int64(o))
	case operand.U32:
		return uint64(o)
	case operand.U8:
		return uint64(o)
	}
	var b [8]byte
	copy(b[:], m.read(o, size))
	return binary.LittleEndian.Uint64(b[:])
}
