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
	case !x.HasAVX512BF16:
		return avx512
	case !x.HasAMXTile || !x.HasAMXBF16 || !permitTiles():
		return avx512bf16
	}
	return amx
}

func byAMD() bool {
	var name [12]byte
	vendor(&name)
	return string(name[:]) == "AuthenticAMD"
}

// notNative says why the processor does not multiply in a precision.
func notNative(p Precision) string {
	x := &cpu.X86
	switch {
	case x.HasAMXTile && x.HasAMXBF16 && x.HasAVX512BF16:
		return "the operating system does not allow AMX, as Linux does from 5.16 on"
	case p == High:
		return "the processor has no AMX"
	case x.HasAVX512BF16:
		return "the processor has no AMX, and its AVX512-BF16 is slower than float32"
	}
	return "the processor has neither AMX nor AVX512-BF16"
}
