//go:build !linux

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// detach does nothing.
func detach(*exec.Cmd) {}

// stop asks the ranks to end.
func stop(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
