package kernel

import "golang.org/x/sys/cpu"

// supported asks the processor and, through XCR0, the operating system.
func supported() level {
	x := &cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA:
		return generic
	case !x.HasAVX512F || !x.HasAVX512DQ || !x.HasAVX512BW || !x.HasAVX512VL:
		return avx2
	case !x.HasAMXTile || !x.HasAMXBF16 || !x.HasAVX512BF16 || !permitTiles():
		return avx512
	}
	return amx
}

// noTilesHere says why there are none.
func noTilesHere() string {
	if x := &cpu.X86; x.HasAMXTile && x.HasAMXBF16 && x.HasAVX512BF16 {
		return "the operating system does not allow AMX, as Linux does from 5.16 on"
	}
	return "the processor has no AMX"
}
