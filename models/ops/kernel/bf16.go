package kernel

import (
	"math"
	"unsafe"
)

// A bf16 number is the upper half of a float32. Three of them, the largest first, hold a float32's 24 bits: x is about hi, nearly
// hi+mid, and hi+mid+lo. Products of bf16 numbers are exact in float32 but for the smallest, so that sums of such products come as close
// to the product of the float32 matrices as one wants (Henry, Tang and Heinecke 2019, "Leveraging the bfloat16 Artificial Intelligence
// Datatype For Higher-Precision Computations", doi:10.1109/ARITH.2019.00019).
//
// What follows defines, bit for bit, what the kernels on AMX's tiles compute, and those of AVX512-BF16.

// ToBF16 rounds x to the nearest bf16, ties to even. Subnormal numbers become zero, NaNs quiet.
func ToBF16(x float32) uint16 {
	u := math.Float32bits(x)
	switch u >> 23 & 0xff {
	case 0:
		return uint16(u>>16) & 0x8000
	case 0xff:
		if u<<9 != 0 {
			return uint16(u>>16) | 0x40
		}
		return uint16(u >> 16)
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// fromBF16 is the value of a factor: subnormal numbers count as zero.
func fromBF16(x uint16) float32 {
	if x&0x7f80 == 0 {
		x &= 0x8000
	}
	return math.Float32frombits(uint32(x) << 16)
}

// splitBF16 is x as parts, the largest first.
func splitBF16(x float32, parts int) (p [3]uint16) {
	for i := range parts {
		p[i] = ToBF16(x)
		x -= math.Float32frombits(uint32(p[i]) << 16)
	}
	return p
}

// RoundBF16 sets dst to x rounded to the sum of parts bf16 numbers, 1 or 2, for len(dst) elements. What is not finite becomes NaN.
func RoundBF16(dst, x []float32, parts int) {
	x = x[:len(dst)]
	i := 0
	if parts == 1 {
		i = roundPartVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(x))
	} else {
		i = roundPartsVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(x))
	}
	RoundBF16Ref(dst[i:], x[i:], parts)
}

// RoundBF16Ref is the definition of [RoundBF16].
func RoundBF16Ref(dst, x []float32, parts int) {
	round := func(v float32) float32 {
		u := math.Float32bits(v)
		return math.Float32frombits((u+0x7fff+u>>16&1)&0xffff0000) + (v - v)
	}
	for i, v := range x[:len(dst)] {
		high := round(v)
		if parts == 2 {
			high += round(v - high)
		}
		dst[i] = high
	}
}

// tinyAdd is p + c, p exact, rounded once to the nearest float32. Subnormal c and results count as zero.
func tinyAdd(p float64, c float32) float32 {
	const smallest = 0x1p-126
	if u := math.Float32bits(c); u&0x7f800000 == 0 {
		c = math.Float32frombits(u & 0x80000000)
	}
	z := float64(c)
	s := p + z
	if math.IsNaN(s) || math.IsInf(s, 0) {
		return float32(s)
	}
	t := s - p
	rest := (p - (s - t)) + (z - t)
	if bits := math.Float64bits(s); rest != 0 && bits&1 == 0 { // rounded to odd, so that the next rounding does not see the first
		if (rest > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
		s = math.Float64frombits(bits)
	}
	switch a := math.Abs(s); {
	case a < smallest-0x1p-151:
		return float32(math.Copysign(0, s))
	case a < smallest:
		return float32(math.Copysign(smallest, s))
	}
	return float32(s)
}

// DotBF16 is an element of a tile product: c plus the products of 16 pairs. Those at even and at odd places are added up apart.
func DotBF16(c float32, a, b *[32]uint16) float32 {
	var even, odd float32
	for i := 0; i < len(a); i += 2 {
		even = tinyAdd(float64(fromBF16(a[i]))*float64(fromBF16(b[i])), even)
		odd = tinyAdd(float64(fromBF16(a[i+1]))*float64(fromBF16(b[i+1])), odd)
	}
	return tinyAdd(float64(tinyAdd(float64(even), odd)), c)
}

// PairBF16 is c plus the product of a pair of numbers with another, as VDPBF16PS adds them: first that of the numbers at the odd place, each
// sum rounded. Intel documents this order, and AMD's Zen 4 has it.
func PairBF16(c float32, a, b *[2]uint16) float32 {
	c = tinyAdd(float64(fromBF16(a[1]))*float64(fromBF16(b[1])), c)
	return tinyAdd(float64(fromBF16(a[0]))*float64(fromBF16(b[0])), c)
}

// partProducts are the parts of A and B that are multiplied for each number of parts, in the order in which their products are added: all
// whose size is at least that of the last part.
var partProducts = [4][][2]int{
	1: {{0, 0}},
	2: {{0, 1}, {0, 0}, {1, 0}},
	3: {{2, 0}, {0, 2}, {0, 1}, {1, 1}, {1, 0}, {0, 0}},
}

// The memory of tiles: a tile is 16 rows of 32 numbers, a panel of A or B for a step of 32 along k has two tiles of each part. A row of
// an A tile is a row of A; of a B tile, pairs of rows of B below each other.
const (
	tileStep  = 32
	tileRows  = 16
	tileSize  = tileRows * tileStep
	panelRows = 2 * tileRows // of A, and columns of B
	partSize  = 2 * tileSize
)

// The scalar twins of the kernels on tiles.

// SplitRowsRef makes rows of A rows of tiles: rows <= 16 of steps times 32 numbers and of tail < 32 more.
func SplitRowsRef(parts, rows, steps, tail int, src []float32, ld int, dst []uint16) {
	for i := range rows {
		for p := range ceil(steps*tileStep+tail, tileStep) * tileStep {
			var x float32
			if p < steps*tileStep+tail {
				x = src[i*ld+p]
			}
			for t, v := range splitBF16(x, parts) {
				if t < parts {
					dst[(p/tileStep*parts+t)*partSize+i*tileStep+p%tileStep] = v
				}
			}
		}
	}
}

// SplitRowsTRef makes the columns of src, 32 rows, rows of tiles of A, two to a panel. Panels lie stride apart.
func SplitRowsTRef(parts, tiles int, src []float32, ld int, dst []uint16, stride int) {
	for i := range tiles * tileRows {
		for p := range tileStep {
			for t, v := range splitBF16(src[p*ld+i], parts) {
				if t < parts {
					dst[i/panelRows*stride+i%panelRows/tileRows*tileSize+t*partSize+i%tileRows*tileStep+p] = v
				}
			}
		}
	}
}

// SplitPairsRef makes pairs of rows of B, of panels times 32 columns and of tail < 32 more, rows of tiles of each panel. A pair lies 2*ld
// behind the one before.
func SplitPairsRef(parts, pairs, panels, tail int, top, bottom []float32, ld int, dst []uint16, stride int) {
	for i := range pairs {
		for j := range ceil(panels*panelRows+tail, panelRows) * panelRows {
			var x, y float32
			if j < panels*panelRows+tail {
				x, y = top[2*i*ld+j], bottom[2*i*ld+j]
			}
			a, b := splitBF16(x, parts), splitBF16(y, parts)
			for t := range parts {
				at := dst[j/panelRows*stride+t*partSize+j%panelRows/tileRows*tileSize+i*tileStep+j%tileRows*2:]
				at[0], at[1] = a[t], b[t]
			}
		}
	}
}

// SplitPairsTRef makes 16 rows of src, of steps times 32 numbers and of tail < 32 more, columns of tiles of B.
func SplitPairsTRef(parts, steps, tail int, src []float32, ld int, dst []uint16) {
	for j := range tileRows {
		for p := range ceil(steps*tileStep+tail, tileStep) * tileStep {
			var x float32
			if p < steps*tileStep+tail {
				x = src[j*ld+p]
			}
			for t, v := range splitBF16(x, parts) {
				if t < parts {
					dst[(p/tileStep*parts+t)*partSize+p%tileStep/2*tileStep+2*j+p%2] = v
				}
			}
		}
	}
}

// TilesRef is C (+)= A·B for panels of 16*ta rows, one below the other, and 16*tb columns.
func TilesRef(parts, ta, tb, panels, steps int, a, b []uint16, c []float32, ldc int, acc bool) {
	for i := range panels * ta * tileRows {
		panel, row := i/(ta*tileRows), i%(ta*tileRows)
		for j := range tb * tileRows {
			var sum float32
			if acc {
				sum = c[i*ldc+j]
			}
			for s := range steps {
				for _, p := range partProducts[parts] {
					x := a[((panel*steps+s)*parts+p[0])*partSize+row/tileRows*tileSize+row%tileRows*tileStep:]
					y := b[(s*parts+p[1])*partSize+j/tileRows*tileSize:]
					var column [tileStep]uint16
					for k := range column {
						column[k] = y[k/2*tileStep+j%tileRows*2+k%2]
					}
					sum = DotBF16(sum, (*[tileStep]uint16)(x), &column)
				}
			}
			c[i*ldc+j] = sum
		}
	}
}

// PairsRef is C (+)= A·B, element by element a sum in order of pairs along k, for rows of a panel of A and 16*tb columns, over eighths times 8
// numbers: the twin of the kernels that use VDPBF16PS on the memory of tiles.
func PairsRef(rows, tb, eighths int, a, b []uint16, c []float32, ldc int, acc bool) {
	for i := range rows {
		for j := range tb * tileRows {
			var sum float32
			if acc {
				sum = c[i*ldc+j]
			}
			for p := range eighths * 4 {
				step, pair := p/tileRows*partSize, p%tileRows
				x := a[step+i*tileStep+2*pair:]
				y := b[step+j/tileRows*tileSize+pair*tileStep+j%tileRows*2:]
				sum = PairBF16(sum, (*[2]uint16)(x), (*[2]uint16)(y))
			}
			c[i*ldc+j] = sum
		}
	}
}

// rowPanels are the panels of B that a single row is multiplied with at once.
const rowPanels = 4

func pairsRowRef(eighths int, a, b []uint16, stride int, c []float32, acc bool) {
	for q := range rowPanels {
		PairsRef(1, 2, eighths, a, b[q*stride:], c[q*panelRows:], panelRows, acc)
	}
}
