package atomicfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// started is when this process was there at the latest.
var started = time.Now()

// temporaryName returns the name of the n-th temporary file of this process for a file.
func temporaryName(base string, n int) string {
	return fmt.Sprintf(".%s.%d-%d.tmp", base, os.Getpid(), n)
}

// Final returns the name that a temporary file gets when it is committed. It reports false for the names of all other files.
func Final(name string) (base string, ok bool) {
	base, _, ok = parse(name)
	return base, ok
}

// parse splits the name of a temporary file into the name it is to get and the process that made it.
func parse(name string) (base string, pid int, ok bool) {
	rest, dot := strings.CutPrefix(name, ".")
	rest, tmp := strings.CutSuffix(rest, ".tmp")
	i := strings.LastIndexByte(rest, '.')
	if !dot || !tmp || i <= 0 {
		return "", 0, false
	}
	process, n, ok := strings.Cut(rest[i+1:], "-")
	pid, err := strconv.Atoi(process)
	if _, bad := strconv.Atoi(n); !ok || err != nil || bad != nil || pid <= 0 {
		return "", 0, false
	}
	return rest[:i], pid, true
}

// Left reports whether a path is that of a temporary file whose process has ended, so that nobody will commit or abort it. A process
// of another machine that writes into the same directory cannot be seen: callers hold a lock of the directory, or know that the file
// has not changed for long.
func Left(path string) bool {
	_, pid, ok := parse(filepath.Base(path))
	if !ok {
		return false
	}
	if pid != os.Getpid() {
		return !alive(pid)
	}
	// An earlier process had the same number, as in a container. Clocks of file systems are coarse.
	info, err := os.Lstat(path)
	return err == nil && info.ModTime().Before(started.Add(-time.Second))
}

// Sweep removes the temporary files of processes that have ended from a directory: those for files whose names want accepts. What cannot
// be removed stays. A directory that is not there has none.
func Sweep(dir string, want func(base string) bool) {
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		if base, ok := Final(f.Name()); ok && f.Type()&fs.ModeType == 0 && want(base) && Left(path) {
			_ = os.Remove(path)
		}
	}
}
