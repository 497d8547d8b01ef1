//go:build !unix

package atomicfile

import "os"

// alive reports whether a process is running on this machine. It errs on the side of yes.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	_ = p.Release() // on Windows it is open
	return true
}
