//go:build !amd64

package kernel

func supported() level { return generic }

func byAMD() bool { return false }

func notNative(Precision) string { return "the processor has neither AMX nor AVX512-BF16" }
