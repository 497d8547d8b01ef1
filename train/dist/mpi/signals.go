//go:build mpi && linux

package mpi

import (
	"syscall"
	"unsafe"
)

// action is the kernel's struct sigaction of amd64 and arm64.
type action struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// signals are the handlers of all signals. MPI libraries and what they load take some: UCX takes SIGSEGV, of which Go makes panics; MPICH
// takes SIGUSR1, on a stack for which Go ends the program. Go's are put back.
type signals [32]action

func (s *signals) each(set bool) {
	for i := 1; i < len(s); i++ { // 32 and 33 are the C library's own
		if i == int(syscall.SIGKILL) || i == int(syscall.SIGSTOP) {
			continue
		}
		to, from := uintptr(unsafe.Pointer(&s[i])), uintptr(0)
		if !set {
			to, from = from, to
		}
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(i), to, from, 8, 0, 0)
	}
}
