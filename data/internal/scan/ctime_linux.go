package scan

import (
	"io/fs"
	"syscall"
)

// inodeTime returns when the inode of a file was changed last, 0 if that is not known.
func inodeTime(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ctim.Nano()
	}
	return 0
}
