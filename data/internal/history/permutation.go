package history

import (
	"math/bits"

	"github.com/splice-ml/splice/data/rng"
)

// permutation is a random order of the numbers 0 to n-1 that takes no memory: a Feistel network over the next power of 4, applied
// until the result is below n (Black and Rogaway 2002, cycle walking).
type permutation struct {
	n    int64
	half uint // bits of each half
	keys [6]uint64
}

func newPermutation(n int64, key uint64) *permutation {
	p := &permutation{n: n, half: uint(max(1, (bits.Len64(uint64(max(n, 1)-1))+1)/2))}
	for i := range p.keys {
		p.keys[i] = rng.Key(key, "round", i)
	}
	return p
}

// at returns the number at place i.
func (p *permutation) at(i int64) int64 {
	mask := uint64(1)<<p.half - 1
	for {
		l, r := uint64(i)>>p.half, uint64(i)&mask
		for _, k := range p.keys {
			l, r = r, l^rng.Mix(r^k)&mask
		}
		if i = int64(l<<p.half | r); i < p.n {
			return i
		}
	}
}
