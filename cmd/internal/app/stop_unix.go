//go:build unix

package app

import (
	"os"
	"syscall"
)

// stops are the signals that end a command; what can go on later is saved. Launchers pass SIGUSR1 on to all ranks, and Slurm can send it
// before a job's time is over.
var stops = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGUSR1}
