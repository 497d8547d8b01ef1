//go:build !windows

package run

import "syscall"

// machineErrors are the operating system's errors that are the machine's, whatever the user gave.
var machineErrors = []error{
	syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EIO, syscall.ESTALE, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
}
