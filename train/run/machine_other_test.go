//go:build !windows

package run_test

import "syscall"

var fullDisk = syscall.ENOSPC
