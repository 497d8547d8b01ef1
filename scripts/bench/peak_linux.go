package main

import (
	"os/exec"
	"syscall"
)

// peak is the most memory that a process held, in MB.
func peak(c *exec.Cmd) float64 {
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return float64(u.Maxrss) / 1024
	}
	return 0
}
