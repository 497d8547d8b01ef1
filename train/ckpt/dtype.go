package ckpt

import (
	"encoding/binary"
	"fmt"
	"math"
)

// DType is the element type of a stored tensor, as safetensors spells it.
type DType string

// The element types that can be read. F32 is what is written, unless a [Tensor] carries raw bytes.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U64  DType = "U64"
	U32  DType = "U32"
	U16  DType = "U16"
	U8   DType = "U8"
	Bool DType = "BOOL"
)

// Size returns the number of bytes of one element, or 0 for a type that is not known.
func (d DType) Size() int {
	switch d {
	case F64, I64, U64:
		return 8
	case F32, I32, U32:
		return 4
	case F16, BF16, I16, U16:
		return 2
	case I8, U8, Bool:
		return 1
	}
	return 0
}

// IsFloat reports whether d is a type of floating point numbers.
func (d DType) IsFloat() bool { return d == F64 || d == F32 || d == F16 || d == BF16 }

// AppendFloats appends values as d stores them, little-endian. F16 and BF16 are rounded to the nearest, halves to even. A value that
// becomes infinite is an error, and so is a type that is not of floating point numbers.
func (d DType) AppendFloats(dst []byte, values []float32) ([]byte, error) {
	le := binary.LittleEndian
	switch d {
	case F32:
		if littleEndian {
			return append(dst, bytesOf(values)...), nil
		}
		for _, v := range values {
			dst = le.AppendUint32(dst, math.Float32bits(v))
		}
	case F64:
		for _, v := range values {
			dst = le.AppendUint64(dst, math.Float64bits(float64(v)))
		}
	case F16, BF16:
		for i, v := range values {
			h, infinite := toBF16(v), uint16(0x7f80)
			if d == F16 {
				h, infinite = toF16(v), 0x7c00
			}
			if h&0x7fff == infinite {
				return nil, fmt.Errorf("element %d is %v, which %s cannot hold", i, v, d)
			}
			dst = le.AppendUint16(dst, h)
		}
	default:
		return nil, fmt.Errorf("type %s is not of floating point numbers", d)
	}
	return dst, nil
}

// toBF16 rounds to the upper half of a float32.
func toBF16(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// toF16 rounds to an IEEE 754 half.
func toF16(v float32) uint16 {
	b := math.Float32bits(v)
	sign := uint16(b >> 16 & 0x8000)
	switch a := b & 0x7fffffff; {
	case a > 0x7f800000: // NaN
		return sign | 0x7e00
	case a >= 0x47800000: // 2^16, and infinity
		return sign | 0x7c00
	case a < 0x38800000: // below 2^-14: a multiple of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(a))*(1<<24)))
	default: // the exponent changes its bias from 127 to 15; a carry of the fraction goes into it
		a += 0xfff + a>>13&1
		return sign | uint16((a-(127-15)<<23)>>13)
	}
}

// maxExact is 2^24: every integer up to it is a float32.
const maxExact = 1 << 24

// decode writes the values of src, little-endian and of type d, to dst. F16 and BF16 are exact, and F64 is rounded to the nearest
// float32. An integer that float32 cannot hold is an error, and so is an F64 beyond its range.
func (d DType) decode(dst []float32, src []byte) error {
	le := binary.LittleEndian
	switch d {
	case F32:
		if littleEndian {
			copy(bytesOf(dst), src)
			return nil
		}
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = fromF16(le.Uint16(src[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16)
		}
	case F64:
		for i := range dst {
			v := math.Float64frombits(le.Uint64(src[8*i:]))
			if dst[i] = float32(v); math.IsInf(float64(dst[i]), 0) && !math.IsInf(v, 0) {
				return fmt.Errorf("element %d is %v, which float32 cannot hold", i, v)
			}
		}
	case U64:
		for i := range dst {
			v := le.Uint64(src[8*i:])
			if dst[i] = float32(v); v > maxExact && (v >= math.MaxUint64-1<<39 || uint64(dst[i]) != v) {
				return fmt.Errorf("element %d is %d, which float32 cannot hold", i, v)
			}
		}
	default:
		if d.Size() == 0 {
			return fmt.Errorf("type %s is not supported", d)
		}
		for i := range dst {
			v, _ := d.integer(src, i)
			// 2^63-2^39 is the largest float32 below 2^63: above it the conversion back would overflow.
			if dst[i] = float32(v); v > math.MaxInt64-1<<39 || int64(dst[i]) != v {
				return fmt.Errorf("element %d is %d, which float32 cannot hold", i, v)
			}
		}
	}
	return nil
}

// integer returns element i of src, and whether d is a type of integers that int64 can hold.
func (d DType) integer(src []byte, i int) (int64, bool) {
	le := binary.LittleEndian
	switch d {
	case I64:
		return int64(le.Uint64(src[8*i:])), true
	case I32:
		return int64(int32(le.Uint32(src[4*i:]))), true
	case U32:
		return int64(le.Uint32(src[4*i:])), true
	case I16:
		return int64(int16(le.Uint16(src[2*i:]))), true
	case U16:
		return int64(le.Uint16(src[2*i:])), true
	case I8:
		return int64(int8(src[i])), true
	case U8, Bool:
		return int64(src[i]), true
	}
	return 0, false
}

// fromF16 converts an IEEE 754 half. Every half is a float32.
func fromF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h >> 10 & 0x1f)
	frac := uint32(h & 0x3ff)
	switch exp {
	case 0: // zero and subnormals: frac·2^-24
		v := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(v))
	case 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}
