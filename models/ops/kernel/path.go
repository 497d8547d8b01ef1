package kernel

import (
	"errors"
	"fmt"
	"os"
)

// level is a set of kernels.
type level uint8

const (
	generic level = iota
	avx2
	avx512
	avx512bf16 // avx512 with products of pairs of bf16 numbers
	amx        // avx512 with products on tiles
)

func (l level) String() string {
	return [...]string{"generic", "avx2", "avx512", "avx512bf16", "amx"}[l]
}

var chosen, pathErr = choose(os.Getenv("SPLICE_KERNEL"), supported(), fastest())

// path and tiles are the set in use. Only tests change them after init.
var path, tiles = sets(chosen)

// tileSet is what multiplies bf16 numbers in the memory of tiles.
type tileSet uint8

const (
	noTiles  tileSet = iota
	refTiles         // the scalar twins, for tests
	amxTiles
	refPairs  // the scalar twins, for tests
	pairTiles // AVX512-BF16
)

// inPairs reports whether sums are those of VDPBF16PS.
func (t tileSet) inPairs() bool { return t == refPairs || t == pairTiles }

func sets(l level) (level, tileSet) {
	switch l {
	case amx:
		return avx512, amxTiles
	case avx512bf16:
		return avx512, pairTiles
	}
	return l, noTiles
}

// fastest is the best set of kernels that is faster than those below it. AVX512-BF16 is where AMD made the processor: Zen 4 does as many
// VDPBF16PS in a cycle as multiply-adds of float32, for twice the products; Intel's do half as many. A measurement could not decide this: the
// sets differ in their bits.
func fastest() level {
	best := supported()
	if best == avx512bf16 && !byAMD() {
		return avx512
	}
	return best
}

// Path returns the name of the kernels in use: amx, avx512bf16, avx512, avx2 or generic. They are the fastest that the processor and the
// operating system support, unless the environment variable SPLICE_KERNEL names one of them.
func Path() string { return chosen.String() }

// Err returns an error if SPLICE_KERNEL names kernels that are unknown or that this machine cannot run. The generic ones
// are used then.
func Err() error { return pathErr }

// Native returns nil if the processor multiplies in this precision, as it does in [Highest] always, else an error that says why products are
// float32's, of rounded factors.
func (p Precision) Native() error { return p.native(chosen, fastest(), notNative) }

func (p Precision) native(chosen, fastest level, why func(p Precision) string) error {
	has := func(l level) bool { return p == Highest || l == amx || l == avx512bf16 && p == Medium }
	switch {
	case has(chosen):
		return nil
	case has(fastest):
		return fmt.Errorf("SPLICE_KERNEL is %s", chosen)
	}
	return errors.New(why(p))
}

// choose returns the set of a name, or the fastest one if there is none.
func choose(name string, best, fastest level) (level, error) {
	if name == "" {
		return fastest, nil
	}
	for l := generic; l <= amx; l++ {
		if l.String() != name {
			continue
		}
		if l > best {
			return generic, fmt.Errorf("kernel: SPLICE_KERNEL=%s: this machine supports %s at best", name, best)
		}
		return l, nil
	}
	return generic, fmt.Errorf("kernel: SPLICE_KERNEL=%q: want generic, avx2, avx512, avx512bf16 or amx, or leave it unset", name)
}
