package parquet

import (
	"encoding/binary"
	"errors"
)

var errDelta = errors.New("the page's differences are damaged")

// deltas appends the numbers of a DELTA_BINARY_PACKED text (parquet-format, "Encodings.md"), want of them at most, and returns the rest.
func deltas(dst []int64, b []byte, want int) (numbers []int64, rest []byte, err error) {
	w := walker{b: b}
	block, err := w.uvarint()
	if err != nil {
		return nil, nil, errDelta
	}
	minis, _ := w.uvarint()
	total, _ := w.uvarint()
	v, err := w.varint()
	if err != nil || block == 0 || minis == 0 || block > 1<<20 || minis > block || block%minis != 0 || block/minis%8 != 0 || total > uint64(want) {
		return nil, nil, errDelta
	}
	per := int(block / minis)
	left := int(total)
	if left > 0 {
		dst, left = append(dst, v), left-1
	}
	for left > 0 {
		least, err := w.varint()
		if err != nil || len(w.b)-w.at < int(minis) {
			return nil, nil, errDelta
		}
		widths := w.b[w.at : w.at+int(minis)]
		w.at += int(minis)
		for _, width := range widths {
			if left == 0 {
				break // the widths of what is left out
			}
			size := per * int(width) / 8
			if width > 64 || size > len(w.b)-w.at {
				return nil, nil, errDelta
			}
			text := w.b[w.at : w.at+size]
			w.at += size
			for i := 0; i < per && left > 0; i++ {
				v += least + int64(unpack64(text, i*int(width), int(width)))
				dst, left = append(dst, v), left-1
			}
		}
	}
	return dst, w.b[w.at:], nil
}

// unpack64 returns the number of width bits that begins at a bit of b.
func unpack64(b []byte, at, width int) uint64 {
	if width == 0 {
		return 0
	}
	var text [16]byte
	copy(text[:], b[at/8:])
	lo, hi, shift := binary.LittleEndian.Uint64(text[:]), binary.LittleEndian.Uint64(text[8:]), at&7
	return (lo>>shift | hi<<(64-shift)) & (^uint64(0) >> (64 - width))
}

// plainNumbers writes numbers of differences as PLAIN has them.
func plainNumbers(dst, b []byte, want, width int) ([]byte, error) {
	numbers, _, err := deltas(nil, b, want)
	if err != nil {
		return nil, err
	}
	for _, v := range numbers {
		if width == 4 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(v))
		} else {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
		}
	}
	return dst, nil
}

// plainTexts writes the texts of DELTA_LENGTH_BYTE_ARRAY, or with prefixes of DELTA_BYTE_ARRAY, as PLAIN has them: each behind its
// length, or if they are fixed bytes long, without it.
func plainTexts(dst, b []byte, want, fixed int, prefixed bool) ([]byte, error) {
	var prefixes []int64
	var err error
	if prefixed {
		if prefixes, b, err = deltas(nil, b, want); err != nil {
			return nil, err
		}
	}
	lengths, b, err := deltas(nil, b, want)
	if err != nil || prefixed && len(prefixes) != len(lengths) {
		return nil, errDelta
	}
	lo, hi := 0, 0 // the last text in dst
	for i, n := range lengths {
		prefix := int64(0)
		if prefixed {
			prefix = prefixes[i]
		}
		if n < 0 || n > int64(len(b)) || prefix < 0 || prefix > int64(hi-lo) || fixed > 0 && prefix+n != int64(fixed) {
			return nil, errDelta
		}
		if int64(len(dst))+4+prefix+n > largestPage {
			return nil, errLarge
		}
		if fixed == 0 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(prefix+n))
		}
		last := lo
		lo = len(dst)
		dst = append(dst, dst[last:last+int(prefix)]...)
		dst = append(dst, b[:n]...)
		hi, b = len(dst), b[n:]
	}
	return dst, nil
}

// plainStreams writes the values of BYTE_STREAM_SPLIT, of width bytes each, as PLAIN has them.
func plainStreams(dst, b []byte, width int) ([]byte, error) {
	if width == 0 || len(b)%width != 0 {
		return nil, errors.New("the page's streams of bytes are not equally long")
	}
	n := len(b) / width
	for i := range n {
		for k := range width {
			dst = append(dst, b[k*n+i])
		}
	}
	return dst, nil
}
