//go:build !amd64

package kernel

func supported() level { return generic }

func noTilesHere() string { return "the processor has no AMX" }
