package text

import (
	"encoding/binary"
	"math"
)

// A file of texts is cache.Magic, a record for each row, and the end of each record as 8 bytes. A record is the label, the
// number of ids before the second segment, and the ids, of 2 bytes if the vocabulary allows it. All is little-endian.
const recordHead = 8 // bytes of a record before its ids

// idWidth returns the bytes of an id.
func idWidth(vocab int) int {
	if vocab <= 1<<16 {
		return 2
	}
	return 4
}

// appendRecord appends a row.
func appendRecord(dst []byte, label float32, split int, ids []int32, width int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(label))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(split))
	for _, id := range ids {
		if width == 2 {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(id))
		} else {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(id))
		}
	}
	return dst
}
