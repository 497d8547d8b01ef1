package rng

import (
	"math"
	"math/bits"
)

// Alias draws from a discrete distribution in constant time (Walker 1977; tables after Vose 1991).
type Alias struct {
	keep  []uint64 // probability, in units of 2^-64, to keep the column drawn
	other []int32  // what to take instead
}

// NewAlias builds the tables of the distribution p/sum.
func NewAlias(p []float64, sum float64) Alias {
	n := len(p)
	a := Alias{keep: make([]uint64, n), other: make([]int32, n)}
	q := make([]float64, n)
	var small, large []int32
	for i, v := range p {
		q[i] = v / sum * float64(n)
		if q[i] < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for i := range a.keep {
		a.keep[i], a.other[i] = math.MaxUint64, int32(i)
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.keep[s], a.other[s] = uint64(q[s]*(1<<63))<<1, l
		if q[l] -= 1 - q[s]; q[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	return a
}

// At returns the index that a random word draws.
func (a Alias) At(word uint64) int {
	i, frac := bits.Mul64(word, uint64(len(a.keep)))
	if frac < a.keep[i] {
		return int(i)
	}
	return int(a.other[i])
}

// Word returns the random 64 bits of element i of the stream named by key, without drawing those before it.
func Word(key uint64, i int64) uint64 { return Mix(key + uint64(i)*golden + golden) }
