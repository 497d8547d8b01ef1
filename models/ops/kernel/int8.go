package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Tables of int8. A row x of dim numbers is held as one scale and dim whole numbers q from -127 to 127,
//
//	scale = max|x| / 127,  q[i] = x[i]/scale rounded to the nearest, to even if two are as near,  x[i] ≈ scale·q[i]
//
// which is the row-wise uniform quantization of embedding tables with symmetric bounds of Guan et al., Post-Training 4-bit Quantization on
// Embedding Tables (arXiv:1911.02079), with 8 bits. A number is off by at most half a scale, and by what float32 rounds. As in FBGEMM's
// fused rows, the scale lies with its row, so that a look-up reads one place of the memory: row id is the 4+dim bytes from id·(4+dim) on, the scale as a
// little-endian float32 before the numbers. FBGEMM's rows have an offset beside the scale, which this format does not need, since
// embeddings lie around zero.

// int8Scale is the number of bytes of a row's scale.
const int8Scale = 4

// Int8RowBytes is the number of bytes of a row of dim numbers in a table of int8.
func Int8RowBytes(dim int) int { return int8Scale + dim }

// QuantizeInt8 sets dst, rows of a table of int8, to the rows of src, [rows, dim]. It returns the index of the first number of src that is
// NaN or infinite, where it stops, or -1 if there is none. It panics if dst has not the bytes of the rows.
func QuantizeInt8(dst []byte, src []float32, dim int) int {
	size := Int8RowBytes(dim)
	if dim < 1 || len(src)%dim != 0 || len(dst) != len(src)/dim*size {
		panic(fmt.Sprintf("kernel: QuantizeInt8: %d numbers in rows of %d do not fill %d bytes", len(src), dim, len(dst)))
	}
	for r := range len(src) / dim {
		x, row := src[r*dim:(r+1)*dim], dst[r*size:(r+1)*size]
		if i := quantizeRow(row, x); i >= 0 {
			return r*dim + i
		}
	}
	return -1
}

// quantizeRow sets one row, and returns the index of the first number that is not finite, or -1.
func quantizeRow(row []byte, x []float32) int {
	most := float32(0)
	for i, v := range x {
		if v-v != 0 {
			return i
		}
		most = max(most, v, -v)
	}
	scale := most / 127
	binary.LittleEndian.PutUint32(row, math.Float32bits(scale))
	q := row[int8Scale:]
	if scale == 0 { // zeros, and numbers so small that float32 has no scale for them
		clear(q)
		return -1
	}
	for i, v := range x {
		k := math.RoundToEven(float64(v) / float64(scale))
		q[i] = byte(int8(max(-127, min(127, k)))) // more only where scale has lost bits, below float32's normal numbers
	}
	return -1
}

// GatherInt8Rows is
//
//	for r, id := range ids { for i := range dim { dst[r*stride+i] = scale(id) * q(id, i) } }
//
// of a table of int8. It panics if an id is outside of the table.
func GatherInt8Rows(dst []float32, stride int, table []byte, dim int, ids []int32) {
	if len(ids) == 0 || dim == 0 {
		return
	}
	checkIDs("GatherInt8Rows", ids, len(table), Int8RowBytes(dim))
	checkRows("GatherInt8Rows: dst", len(dst), stride, dim, len(ids))
	if path == generic {
		GatherInt8RowsRef(dst, stride, table, dim, ids)
		return
	}
	n := max(0, len(ids)-rowsAhead)
	if n > 0 {
		gatherInt8Rows(n, dim, &ids[0], rowsAhead, &table[0], &dst[0], stride)
	}
	gatherInt8Rows(len(ids)-n, dim, &ids[n], 0, &table[0], &dst[n*stride], stride)
}

// AxpyInt8 is
//
//	for i := range dst { dst[i] += a * (scale(id) * q(id, i)) }
//
// of row id of a table of int8 whose rows have as many numbers as dst. Each product is rounded, as [Axpy] does it with the row in float32.
// It panics if id is outside of the table.
func AxpyInt8(dst []float32, a float32, table []byte, id int32) {
	size := Int8RowBytes(len(dst))
	row := table[int(id)*size : (int(id)+1)*size]
	scale, q := int8Row(row)
	for i, v := range q {
		dst[i] += float32(a * float32(scale*float32(int8(v))))
	}
}

// int8Row returns the parts of a row.
func int8Row(row []byte) (scale float32, q []byte) {
	return math.Float32frombits(binary.LittleEndian.Uint32(row)), row[int8Scale:]
}
