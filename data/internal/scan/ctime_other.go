//go:build !darwin && !linux

package scan

import "io/fs"

// inodeTime returns 0: the system does not tell when an inode was changed, or not in a way that is known here.
func inodeTime(fs.FileInfo) int64 { return 0 }
