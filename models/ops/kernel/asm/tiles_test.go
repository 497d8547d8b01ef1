package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/splice-ml/splice/models/ops/kernel"
)

var tileCode, tileErr = compileTiles()

func tileFunction(t *testing.T, name string, parts int) *ir.Function {
	t.Helper()
	if tileErr != nil {
		t.Fatal(tileErr)
	}
	for _, f := range tileCode.Functions() {
		if f.Name == fmt.Sprintf("%s%d", name, parts) || f.Name == name {
			return f
		}
	}
	t.Fatalf("no function %s%d", name, parts)
	return nil
}

func words(x []uint16) []byte {
	b := make([]byte, 2*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint16(b[2*i:], v)
	}
	return b
}

// wild are floats of all kinds: of any size, tiny, not finite.
func wild(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		switch r.IntN(8) {
		case 0:
			x[i] = f32(r.Uint32())
		case 1:
			x[i] = special[r.IntN(len(special))]
		case 2:
			x[i] = float32(r.NormFloat64()) * 0x1p-120
		default:
			x[i] = float32(r.NormFloat64())
		}
	}
	return x
}

const unwritten = 0xa5a5

// TestSplit interprets the kernels that pack, over whole and partial steps, rows and panels. What lies behind a slice is out of bounds.
func TestSplit(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	const part = 1024 // numbers of a part of a panel
	check := func(name string, parts, size int, want []uint16, args func(m *machine, out uint64) []any) {
		t.Helper()
		m := newMachine(tileCode)
		out := words(want)
		for i := range out {
			out[i] = 0xa5
		}
		if err := m.call(tileFunction(t, name, parts), args(m, m.place(out))...); err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			got := binary.LittleEndian.Uint16(out[2*i:])
			nan := got&0x7f80 == 0x7f80 && got&0x7f != 0 && w&0x7f80 == 0x7f80 && w&0x7f != 0 // which NaN a subtraction makes is not ours to say
			if got != w && !nan {
				t.Fatalf("%s%d, size %d: [%d] is %#x, want %#x", name, parts, size, i, got, w)
			}
		}
	}
	fill := func(n int) []uint16 {
		x := make([]uint16, n)
		for i := range x {
			x[i] = unwritten
		}
		return x
	}
	for parts := 1; parts <= 3; parts++ {
		for _, k := range []int{1, 15, 16, 17, 31, 32, 33, 64, 95} {
			steps, tail := k/32, k%32
			ld := k + 3
			for _, rows := range []int{1, 7, 16} {
				src := wild(r, (rows-1)*ld+k)
				want := fill((steps + 1) * parts * part)
				kernel.SplitRowsRef(parts, rows, steps, tail, src, ld, want)
				check("splitRows", parts, k, want, func(m *machine, out uint64) []any {
					return []any{rows, steps, tail, m.place(toBytes(src)), ld, out}
				})
			}
			src := wild(r, 15*ld+k)
			want := fill((steps + 1) * parts * part)
			kernel.SplitPairsTRef(parts, steps, tail, src, ld, want)
			check("splitPairsT", parts, k, want, func(m *machine, out uint64) []any {
				return []any{steps, tail, m.place(toBytes(src)), ld, out}
			})
			for _, pairs := range []int{1, 3, 16} {
				top, bottom := wild(r, 2*(pairs-1)*ld+k), wild(r, 2*(pairs-1)*ld+k)
				stride := 2*parts*part + 64
				want = fill((steps + 1) * stride)
				kernel.SplitPairsRef(parts, pairs, steps, tail, top, bottom, ld, want, stride)
				check("splitPairs", parts, k, want, func(m *machine, out uint64) []any {
					return []any{pairs, steps, tail, m.place(toBytes(top)), m.place(toBytes(bottom)), ld, out, stride}
				})
			}
		}
		for tiles := 1; tiles <= 5; tiles++ {
			ld, stride := 16*tiles+5, 2*parts*part
			src := wild(r, 31*ld+16*tiles)
			want := fill((tiles + 1) / 2 * stride)
			kernel.SplitRowsTRef(parts, tiles, src, ld, want, stride)
			check("splitRowsT", parts, tiles, want, func(m *machine, out uint64) []any {
				return []any{tiles, m.place(toBytes(src)), ld, out, stride}
			})
		}
	}
}

// TestTiles interprets the micro-kernels.
func TestTiles(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	config := make([]byte, 64)
	config[0] = 1
	for i := range 8 {
		config[16+2*i], config[48+i] = 64, 16
	}
	for parts := 1; parts <= 3; parts++ {
		for _, tl := range [][2]int{{1, 1}, {1, 2}, {2, 1}, {2, 2}} {
			for _, acc := range []bool{false, true} {
				ta, tb, panels, steps := tl[0], tl[1], 1+r.IntN(2), 1+r.IntN(3)
				a, b := make([]uint16, panels*steps*parts*1024), make([]uint16, steps*parts*1024)
				for _, x := range [][]uint16{a, b} {
					for i := range x {
						x[i] = kernel.ToBF16(float32(r.NormFloat64()))
					}
				}
				ldc := 16*tb + 5
				c := make([]float32, (panels*ta*16-1)*ldc+16*tb)
				for i := range c {
					c[i] = float32(r.NormFloat64())
				}
				m := newMachine(tileCode)
				out := toBytes(c)
				name := fmt.Sprintf("tiles%dx%d%d", parts, ta, tb)
				err := m.call(tileFunction(t, name, 0), m.place(config), panels, steps, m.place(words(a)), m.place(words(b)), m.place(out), ldc, acc)
				if err != nil {
					t.Fatal(err)
				}
				kernel.TilesRef(parts, ta, tb, panels, steps, a, b, c, ldc, acc)
				if !bytes.Equal(out, toBytes(c)) {
					t.Fatalf("%s: %d panels, %d steps, acc %v: not the bits of its twin", name, panels, steps, acc)
				}
			}
		}
	}
}

// TestPairs interprets the micro-kernels of AVX512-BF16, over parts of a row of a tile and more. What lies behind the last pairs is out of bounds.
func TestPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for i, heights := range pairRows {
		for _, rows := range heights {
			for _, eighths := range []int{1, 2, 3, 4, 5, 8, 11} {
				tb, acc := i+1, eighths%2 == 0
				last := (eighths - 1) / 4 * 1024 // the last step
				quarter := (eighths-1)%4 + 1
				a, b := make([]uint16, last+(rows-1)*32+quarter*8), make([]uint16, last+(tb-1)*512+quarter*4*32)
				for _, x := range [][]uint16{a, b} {
					for i, v := range wild(r, len(x)) {
						x[i] = kernel.ToBF16(v)
					}
				}
				ldc := 16*tb + 5
				c := wild(r, (rows-1)*ldc+16*tb)
				m := newMachine(tileCode)
				out := toBytes(c)
				name := fmt.Sprintf("pairs%dx%d", rows, tb)
				if err := m.call(tileFunction(t, name, 0), eighths, m.place(words(a)), m.place(words(b)), m.place(out), ldc, acc); err != nil {
					t.Fatal(err)
				}
				kernel.PairsRef(rows, tb, eighths, a, b, c, ldc, acc)
				for j, got := range toFloats[float32](out) {
					if !same(got, c[j]) {
						t.Fatalf("%s: %d eighths, acc %v: [%d] is %v, its twin's %v", name, eighths, acc, j, got, c[j])
					}
				}
			}
		}
	}
}

// TestPairsRow interprets the micro-kernel of one row.
func TestPairsRow(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for _, eighths := range []int{1, 3, 4, 6} {
		acc := eighths%2 == 0
		steps := (eighths + 3) / 4
		stride := steps*1024 + 64
		a, b, c := make([]uint16, steps*1024), make([]uint16, rowPanels*stride-64), wild(r, 32*rowPanels)
		for _, x := range [][]uint16{a, b} {
			for i, v := range wild(r, len(x)) {
				x[i] = kernel.ToBF16(v)
			}
		}
		m := newMachine(tileCode)
		out := toBytes(c)
		if err := m.call(tileFunction(t, "pairsRow", 0), eighths, m.place(words(a)), m.place(words(b)), stride, m.place(out), acc); err != nil {
			t.Fatal(err)
		}
		for q := range rowPanels {
			kernel.PairsRef(1, 2, eighths, a, b[q*stride:], c[32*q:], 32, acc)
		}
		for j, got := range toFloats[float32](out) {
			if !same(got, c[j]) {
				t.Fatalf("%d eighths, acc %v: [%d] is %v, its twin's %v", eighths, acc, j, got, c[j])
			}
		}
	}
}

// TestEncode compares with what GNU as 2.40 makes of the same instructions.
func TestEncode(t *testing.T) {
	for _, tc := range []struct {
		want string
		i    ir.Instruction
	}{
		{"c4e2784900", ir.Instruction{Opcode: "LDTILECFG", Operands: []operand.Op{operand.Mem{Base: reg.RAX}}}},
		{"c4e27849c0", ir.Instruction{Opcode: "TILERELEASE"}},
		{"c4e27b49c8", ir.Instruction{Opcode: "TILEZERO", Operands: []operand.Op{tile(1)}}},
		{"c4a27b4b2409", load(reg.RCX, reg.R9, 0, 4)},
		{"c4e27b4b4c1a40", load(reg.RDX, reg.RBX, 64, 1)},
		{"c4c27b4bb43100080000", load(reg.R9, reg.RSI, 0x800, 6)},
		{"c4827b4b6c1580", load(reg.R13, reg.R10, -128, 5)},
		{"c4e27b4b7c0500", load(reg.RBP, reg.RAX, 0, 7)},
		{"c4a27a4b0406", ir.Instruction{Opcode: "TILESTORED", Operands: []operand.Op{tile(0), operand.Mem{Base: reg.RSI, Index: reg.R8, Scale: 1}}}},
		{"c4e24a5cc4", ir.Instruction{Opcode: "TDPBF16PS", Operands: []operand.Op{tile(6), tile(4), tile(0)}}},
		{"c4e2425cdd", ir.Instruction{Opcode: "TDPBF16PS", Operands: []operand.Op{tile(7), tile(5), tile(3)}}},
		{"62f2774872d0", convert(reg.Z0, reg.Z1, reg.Z2)},
		{"62a2774072d0", convert(reg.Z16, reg.Z17, reg.Z18)},
		{"6242174072cc", convert(reg.Z12, reg.Z29, reg.Z25)},
		{"62f2764852d0", pairs(reg.Z0, reg.Z1, reg.Z2)},
		{"62a2764052d0", pairs(reg.Z16, reg.Z17, reg.Z18)},
		{"6242164052cc", pairs(reg.Z12, reg.Z29, reg.Z25)},
	} {
		if got := fmt.Sprintf("%x", encode(&tc.i)); got != tc.want {
			t.Errorf("%s %v: %s, want %s", tc.i.Opcode, tc.i.Operands, got, tc.want)
		}
	}
}

func load(base, index reg.Register, disp, t int) ir.Instruction {
	return ir.Instruction{Opcode: "TILELOADD", Operands: []operand.Op{operand.Mem{Base: base, Index: index, Scale: 1, Disp: disp}, tile(t)}}
}

func pairs(b, a, sum reg.Register) ir.Instruction {
	return ir.Instruction{Opcode: "VDPBF16PS", Operands: []operand.Op{b, a, sum}}
}

func convert(low, high, to reg.Register) ir.Instruction {
	return ir.Instruction{Opcode: "VCVTNE2PS2BF16", Operands: []operand.Op{low, high, to}}
}
