// Package rng derives independent random streams from one seed.
//
// A stream is named by what it is for, not by when it is drawn: (seed, purpose, name, step). Adding a parameter, a
// feature or a thread therefore moves no other stream, and the same configuration gives the same numbers anywhere.
package rng

import (
	"fmt"
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"
)

// golden is 2^64 divided by the golden ratio, the increment of SplitMix64 (Steele et al. 2014).
const golden = 0x9e3779b97f4a7c15

// Mix is the finaliser of SplitMix64: a bijection on 64-bit words in which every input bit reaches every output bit.
func Mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// Key names a stream: a 64-bit word that depends on the seed and on every part, its kind and its place. Parts are
// string, int, int64 or uint64; the integers 3, int64(3) and uint64(3) are the same part. It panics on another type,
// which is a mistake in the calling code.
func Key(seed uint64, parts ...any) uint64 {
	k := Mix(seed + golden)
	for _, part := range parts {
		switch v := part.(type) {
		case string:
			k = Mix(k+golden) ^ xxhash.Sum64String(v)
		case int:
			k = Mix(Mix(k+golden)+uint64(v)) + golden
		case int64:
			k = Mix(Mix(k+golden)+uint64(v)) + golden
		case uint64:
			k = Mix(Mix(k+golden)+v) + golden
		default:
			panic(fmt.Sprintf("rng: key part %v is a %T, want string, int, int64 or uint64", part, part))
		}
		k = Mix(k)
	}
	return k
}

// New returns the generator of the stream named by key: PCG-DXSM with both halves of its state taken from key.
func New(key uint64) *rand.Rand {
	return rand.New(rand.NewPCG(Mix(key+golden), Mix(^key)))
}

// Float returns the number in [0, 1) of element i of the stream named by key, without drawing those before it.
func Float(key uint64, i int64) float64 {
	return float64(Mix(key+uint64(i)*golden+golden)>>11) / (1 << 53)
}
