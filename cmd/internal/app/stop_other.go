//go:build !unix

package app

import (
	"os"
	"syscall"
)

// stops are the signals that end a command; what can go on later is saved.
var stops = []os.Signal{os.Interrupt, syscall.SIGTERM}
