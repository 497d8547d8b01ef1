package kernel

import (
	"syscall"
	"unsafe"
)

// permitTiles asks Linux for the use of tiles by this process, which it grants since 5.16, and reports whether they may be used. Without
// leave the first instruction on a tile's data ends the process.
func permitTiles() bool {
	const (
		getLeave = 0x1022
		askLeave = 0x1023
		tileData = 18 // the number of the tiles' data in XCR0
	)
	if _, _, err := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, askLeave, tileData, 0); err != 0 {
		return false
	}
	var mask uint64
	_, _, err := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, getLeave, uintptr(unsafe.Pointer(&mask)), 0)
	return err == 0 && mask>>tileData&1 == 1
}
