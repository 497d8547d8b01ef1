package kernel

import (
	"fmt"
	"os"
)

// level is a set of kernels.
type level uint8

const (
	generic level = iota
	avx2
	avx512
)

func (l level) String() string { return [...]string{"generic", "avx2", "avx512"}[l] }

// path is the set in use. Only tests change it after init.
var path, pathErr = choose(os.Getenv("SPLICE_KERNEL"), supported())

// Path returns the name of the kernels in use: avx512, avx2 or generic. They are the best that the processor and the
// operating system support, unless the environment variable SPLICE_KERNEL names one of them.
func Path() string { return path.String() }

// Err returns an error if SPLICE_KERNEL names kernels that are unknown or that this machine cannot run. The generic ones
// are used then.
func Err() error { return pathErr }

func choose(name string, best level) (level, error) {
	if name == "" {
		return best, nil
	}
	for l := generic; l <= avx512; l++ {
		if l.String() != name {
			continue
		}
		if l > best {
			return generic, fmt.Errorf("kernel: SPLICE_KERNEL=%s: this machine supports %s at best", name, best)
		}
		return l, nil
	}
	return generic, fmt.Errorf("kernel: SPLICE_KERNEL=%q: want generic, avx2 or avx512, or leave it unset", name)
}
