package kernel

import "unsafe"

// DropoutMask sets dst = x/(1-p) with probability 1-p and 0 otherwise, for len(dst) elements. Whether element i is kept depends on
// key and offset+i alone. So a tensor may be done in any pieces, and the same call does the gradient. p is in [0, 1), with a
// resolution of 2^-31.
func DropoutMask(dst, x []float32, key, offset uint64, p float32) {
	x = x[:len(dst)]
	thr, scale := dropScalars(p)
	for len(dst) > 0 { // in pieces whose counters share their upper half
		n := int(min(uint64(len(dst)), 1<<32-offset&(1<<32-1)))
		d, s := dst[:n], x[:n]
		k0, k1 := dropKeys(key, offset)
		i := dropoutVec(n, unsafe.SliceData(d), unsafe.SliceData(s), uint32(offset), k0, k1, thr, scale)
		DropoutMaskRef(d[i:], s[i:], key, offset+uint64(i), p)
		dst, x, offset = dst[n:], x[n:], offset+uint64(n)
	}
}

// dropScalars returns the 31-bit threshold under which a hash drops its element, and the factor of those kept.
func dropScalars(p float32) (thr uint32, scale float32) {
	return uint32(min(float64(p)*(1<<31), 1<<31-1)), float32(1 / (1 - float64(p)))
}

// dropHash mixes the counter with the key in 32-bit steps that vector units have: two rounds of "lowbias32"
// (C. Wellons, hash-prospector), keyed before each.
func dropHash(key, counter uint64) uint32 {
	k0, k1 := dropKeys(key, counter)
	return mix32(mix32(uint32(counter)^k0) + k1)
}

// dropKeys are the two round keys of a counter: they change only every 2^32 elements.
func dropKeys(key, counter uint64) (k0, k1 uint32) {
	hi := mix64(key ^ mix64(counter>>32))
	return uint32(hi), uint32(hi >> 32)
}

func mix32(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	return x ^ x>>16
}

// mix64 is the finalizer of SplitMix64.
func mix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
