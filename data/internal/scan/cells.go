package scan

import (
	"encoding/binary"
	"math/bits"
)

// SplitAt appends the end of each cell of data[lo:hi] to ends. Delim separates the cells, so these are the places of delim, and hi. It
// is
//
//	for i := lo; i < hi; i++ { if data[i] == delim { ends = append(ends, i) } }
//	ends = append(ends, hi)
//
// eight bytes at a time.
func SplitAt(ends []uint32, data []byte, lo, hi int, delim byte) []uint32 {
	const low = 0x7f7f7f7f7f7f7f7f
	pattern := uint64(delim) * 0x0101010101010101
	i := lo
	for ; i+8 <= hi; i += 8 {
		x := binary.LittleEndian.Uint64(data[i:]) ^ pattern
		// The top bit of each byte of m is set where the byte of x is 0 (exact, unlike the shorter x-1 &^ x).
		m := ^((x&low + low) | x | low)
		for ; m != 0; m &= m - 1 {
			ends = append(ends, uint32(i+bits.TrailingZeros64(m)>>3))
		}
	}
	for ; i < hi; i++ {
		if data[i] == delim {
			ends = append(ends, uint32(i))
		}
	}
	return append(ends, uint32(hi))
}
