package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// detach gives the launcher a process group of its own, so that Ctrl-C on a terminal does not reach it and the ranks, and ends it if this
// process ends.
func detach(c *exec.Cmd) {
	runtime.LockOSThread() // the end of the thread that has started it counts
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// stop asks the ranks to write a checkpoint and end.
func stop(p *os.Process) error { return p.Signal(syscall.SIGUSR1) }
