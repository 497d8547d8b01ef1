// The generator of the kernels' assembly, a module of its own so that programs do not depend on it.
module github.com/splice-ml/splice/models/ops/kernel/asm

go 1.26.0

require (
	github.com/mmcloughlin/avo v0.5.0
	github.com/splice-ml/splice v0.0.0
)

require (
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
)

// the tests compare with the package's scalar kernels
replace github.com/splice-ml/splice => ../../../..
