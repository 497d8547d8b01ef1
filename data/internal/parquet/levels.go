package parquet

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

var errLevels = errors.New("the page's levels or indexes end early")

// hybrid reads numbers that are runs of equal ones and packs of bits by turns (parquet-format, "Encodings.md", RLE). It holds a run at a
// time, however long one is.
type hybrid struct {
	b     []byte // behind the run
	width int    // bits of a number
	run   uint64 // numbers of a run of equal ones that are left
	value int32  // of the run
	packs uint64 // numbers of a run of packs that are left
	bits  []byte // of the packs
	at    uint64 // bits of them that are read
}

// widest is how many bits a number may have.
const widest = 31

// newHybrid returns a reader of numbers of some bits.
func newHybrid(b []byte, width int) (hybrid, error) {
	if width > widest {
		return hybrid{}, errors.New("the page's indexes have more than 31 bits")
	}
	return hybrid{b: b, width: width}, nil
}

// widthOf returns how many bits numbers up to most have.
func widthOf(most int) int { return bits.Len(uint(most)) }

// next reads the head of a run.
func (h *hybrid) next() error {
	v, n := binary.Uvarint(h.b)
	if n <= 0 {
		return errLevels
	}
	h.b = h.b[n:]
	if v&1 == 0 {
		k := (h.width + 7) / 8
		if v == 0 || k > len(h.b) {
			return errLevels
		}
		h.run, h.value = v>>1, 0
		for i := range k {
			h.value |= int32(h.b[i]) << (8 * i)
		}
		h.b = h.b[k:]
		return nil
	}
	groups := v >> 1 // of eight numbers, whose last bytes may be left out
	if groups == 0 {
		return errLevels
	}
	if h.width == 0 {
		h.packs, h.bits, h.at = groups*8, nil, 0
		return nil
	}
	there, width := uint64(len(h.b)), uint64(h.width)
	size := min(there, min(groups, there)*width) // groups are cut first, so that the product does not overflow
	if h.packs = min(min(groups, there)*8, size*8/width); h.packs == 0 {
		return errLevels
	}
	h.bits, h.at, h.b = h.b[:size], 0, h.b[size:]
	return nil
}

// read reads the next numbers.
func (h *hybrid) read(dst []int32) error {
	for len(dst) > 0 {
		switch {
		case h.run > 0:
			n := int(min(h.run, uint64(len(dst))))
			for i := range dst[:n] {
				dst[i] = h.value
			}
			h.run -= uint64(n)
			dst = dst[n:]
		case h.packs > 0:
			n := int(min(h.packs, uint64(len(dst))))
			h.unpack(dst[:n])
			h.packs -= uint64(n)
			dst = dst[n:]
		default:
			if err := h.next(); err != nil {
				return err
			}
		}
	}
	return nil
}

// unpack reads numbers of the packs.
func (h *hybrid) unpack(dst []int32) {
	width, mask := uint64(h.width), uint64(1)<<h.width-1
	at, i := h.at, 0
	for ; i < len(dst) && at/8+8 <= uint64(len(h.bits)); i++ {
		dst[i] = int32(binary.LittleEndian.Uint64(h.bits[at/8:]) >> (at & 7) & mask)
		at += width
	}
	for ; i < len(dst); i++ {
		v := uint64(0)
		for k := at / 8; k < min(uint64(len(h.bits)), at/8+5); k++ {
			v |= uint64(h.bits[k]) << (8 * (k - at/8))
		}
		dst[i] = int32(v >> (at & 7) & mask)
		at += width
	}
	h.at = at
}
