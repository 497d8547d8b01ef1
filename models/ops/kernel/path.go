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
	amx // avx512 with products on tiles
)

func (l level) String() string { return [...]string{"generic", "avx2", "avx512", "amx"}[l] }

var chosen, pathErr = choose(os.Getenv("SPLICE_KERNEL"), supported())

// path and tiles are the set in use. Only tests change them after init.
var path, tiles = sets(chosen)

// tileSet is what multiplies on tiles.
type tileSet uint8

const (
	noTiles  tileSet = iota
	refTiles         // the scalar twins, for tests
	amxTiles
)

func sets(l level) (level, tileSet) {
	if l == amx {
		return avx512, amxTiles
	}
	return l, noTiles
}

// Path returns the name of the kernels in use: amx, avx512, avx2 or generic. They are the best that the processor and the
// operating system support, unless the environment variable SPLICE_KERNEL names one of them.
func Path() string { return chosen.String() }

// Err returns an error if SPLICE_KERNEL names kernels that are unknown or that this machine cannot run. The generic ones
// are used then.
func Err() error { return pathErr }

// Tiles returns nil if products are computed on AMX's tiles, else an error that says why not.
func Tiles() error {
	switch {
	case chosen == amx:
		return nil
	case supported() == amx:
		return fmt.Errorf("SPLICE_KERNEL is %s", chosen)
	}
	return errors.New(noTilesHere())
}

func choose(name string, best level) (level, error) {
	if name == "" {
		return best, nil
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
	return generic, fmt.Errorf("kernel: SPLICE_KERNEL=%q: want generic, avx2, avx512 or amx, or leave it unset", name)
}
