//go:build amd64 && !linux

package kernel

// permitTiles is false: only Linux has been tried.
func permitTiles() bool { return false }
