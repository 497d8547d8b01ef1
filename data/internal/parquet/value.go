package parquet

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go/format"

	"github.com/splice-ml/splice/data/internal/scan"
)

// julianEpoch is the Julian day of 1970-01-01.
const julianEpoch = 2440588

// daySeconds is how many seconds a day has.
const daySeconds = 24 * 60 * 60

// text appends a value, as PLAIN has it, as the cell of a CSV file. NaN is a blank. bad says what is wrong with the value.
func (c *Column) text(dst, raw []byte) (text []byte, bad string) {
	switch c.kind {
	case kindText:
		return append(dst, raw...), ""
	case kindBool:
		return append(dst, '0'+raw[0]), ""
	case kindInt:
		return strconv.AppendInt(dst, c.integer(raw), 10), ""
	case kindUint:
		return strconv.AppendUint(dst, c.unsigned(raw), 10), ""
	case kindFloat, kindHalf:
		v, bits := c.float(raw)
		if math.IsNaN(v) {
			return dst, ""
		}
		if math.IsInf(v, 0) {
			return dst, fmt.Sprintf("%g is not a finite number", v)
		}
		return scan.AppendFloat(dst, v, bits)
	case kindDate:
		return time.Unix(c.integer(raw)*daySeconds, 0).UTC().AppendFormat(dst, time.DateOnly), ""
	case kindTime:
		v, unit := c.integer(raw), c.unit()
		if v < 0 || v >= daySeconds*unit {
			return dst, fmt.Sprintf("%d is no time of a day", v)
		}
		return time.Unix(v/unit, v%unit*(1e9/unit)).UTC().AppendFormat(dst, "15:04:05.999999999"), ""
	case kindTimestamp, kindLegacyTimestamp:
		seconds, nanos, bad := c.instant(raw)
		layout := "2006-01-02 15:04:05.999999999"
		if c.zoned {
			layout += "Z07:00"
		}
		return time.Unix(seconds, nanos).UTC().AppendFormat(dst, layout), bad
	case kindDecimal:
		if len(raw) > mostDecimal {
			return dst, fmt.Sprintf("a decimal of %d bytes", len(raw))
		}
		return c.decimalText(dst, raw), ""
	case kindUUID:
		for i, b := range raw {
			if i == 4 || i == 6 || i == 8 || i == 10 {
				dst = append(dst, '-')
			}
			dst = hex.AppendEncode(dst, []byte{b})
		}
	}
	return dst, ""
}

// number returns the value of a number as the decimal digits of a CSV file have it, or the seconds since 1970 of a time. NaN is a
// blank.
func (c *Column) number(raw []byte) (v float64, ok bool) {
	switch c.kind {
	case kindBool:
		return float64(raw[0]), true
	case kindInt:
		v = float64(c.integer(raw))
	case kindUint:
		v = float64(c.unsigned(raw))
	case kindFloat, kindHalf:
		f, bits := c.float(raw)
		switch {
		case math.IsNaN(f):
			return math.NaN(), true
		case bits == 64 || f == math.Trunc(f) && math.Abs(f) < 1<<24:
			v = f + 0 // -0 is 0
		default: // 0.1 of 32 bits is the 0.1 of 64 bits that its digits mean
			var digits [32]byte
			v, _ = strconv.ParseFloat(string(strconv.AppendFloat(digits[:0], f, 'g', -1, 32)), 64)
		}
	case kindDate:
		return float64(c.integer(raw) * daySeconds), true
	case kindTimestamp, kindLegacyTimestamp:
		seconds, nanos, bad := c.instant(raw)
		return float64(seconds) + float64(nanos)/1e9, bad == ""
	case kindDecimal:
		if len(raw) > mostDecimal {
			return 0, false
		}
		var digits [96]byte
		return scan.ParseNumber(c.decimalText(digits[:0], raw))
	default:
		return 0, false
	}
	return v, math.Abs(v) <= math.MaxFloat32
}

func (c *Column) integer(raw []byte) int64 {
	if c.width == 4 {
		return int64(int32(binary.LittleEndian.Uint32(raw)))
	}
	return int64(binary.LittleEndian.Uint64(raw))
}

func (c *Column) unsigned(raw []byte) uint64 {
	if c.width == 4 {
		return uint64(binary.LittleEndian.Uint32(raw))
	}
	return binary.LittleEndian.Uint64(raw)
}

// float returns a floating point number and how many bits decide its digits.
func (c *Column) float(raw []byte) (v float64, bits int) {
	switch {
	case c.kind == kindHalf:
		return half(binary.LittleEndian.Uint16(raw)), 32
	case c.width == 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))), 32
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(raw)), 64
}

// half returns the value of a float16 (IEEE 754 binary16).
func half(h uint16) float64 {
	sign, exponent, fraction := 1.0, int(h>>10&31), float64(h&1023)
	if h>>15 == 1 {
		sign = -1
	}
	switch {
	case exponent == 31 && fraction != 0:
		return math.NaN()
	case exponent == 31:
		return math.Inf(int(sign))
	case exponent == 0:
		return sign * math.Ldexp(fraction, -24)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// unit returns how many units a second has.
func (c *Column) unit() int64 {
	switch c.scale {
	case 3:
		return 1e3
	case 6:
		return 1e6
	}
	return 1e9
}

// instant returns a time as seconds since 1970 and nanoseconds.
func (c *Column) instant(raw []byte) (seconds, nanos int64, bad string) {
	if c.kind == kindLegacyTimestamp {
		day, of := int64(binary.LittleEndian.Uint32(raw[8:])), binary.LittleEndian.Uint64(raw)
		if of >= daySeconds*1e9 {
			return 0, 0, fmt.Sprintf("%d nanoseconds are no time of a day", of)
		}
		return (day-julianEpoch)*daySeconds + int64(of/1e9), int64(of % 1e9), ""
	}
	v, unit := c.integer(raw), c.unit()
	seconds, nanos = v/unit, v%unit
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+unit
	}
	return seconds, nanos * (1e9 / unit), ""
}

// decimalText appends a decimal with all digits of its scale.
func (c *Column) decimalText(dst, raw []byte) []byte {
	var unscaled []byte
	if c.physical == format.Int32 || c.physical == format.Int64 {
		unscaled = strconv.AppendInt(nil, c.integer(raw), 10)
	} else { // two's complement, big endian
		v := new(big.Int).SetBytes(raw)
		if len(raw) > 0 && raw[0]&0x80 != 0 {
			v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
		}
		unscaled = v.Append(nil, 10)
	}
	if unscaled[0] == '-' {
		dst, unscaled = append(dst, '-'), unscaled[1:]
	}
	for len(unscaled) <= c.scale {
		unscaled = append([]byte{'0'}, unscaled...)
	}
	point := len(unscaled) - c.scale
	dst = append(dst, unscaled[:point]...)
	if c.scale > 0 {
		dst = append(append(dst, '.'), unscaled[point:]...)
	}
	return dst
}
