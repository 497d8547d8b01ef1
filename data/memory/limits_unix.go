//go:build unix

package memory

import (
	"bufio"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// limits returns the limits that are known: of the machine's memory and the control group, on Linux, and of ulimit -v.
func limits() []Limit {
	list := []Limit{{total("/proc/meminfo"), "the machine"}, {group("/proc/self/cgroup", "/sys/fs/cgroup"), "the control group"}}
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_AS, &r) == nil && float64(r.Cur) < most {
		list = append(list, Limit{max(1, float64(r.Cur)-mapped("/proc/self/statm")), "ulimit -v"})
	}
	return list
}

// few is as much of a system's file as is read.
const few = 1 << 16

func read(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, few)
	n, _ := io.ReadFull(f, b)
	return string(b[:n])
}

// total returns the machine's memory as /proc/meminfo says, 0 if it does not.
func total(file string) float64 {
	for line := range strings.Lines(read(file)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			n, _ := strconv.ParseFloat(f[1], 64)
			return n * 1024
		}
	}
	return 0
}

// mapped returns the addresses that the process has in use already, most of which the runtime reserves and never touches.
func mapped(file string) float64 {
	if f := strings.Fields(read(file)); len(f) > 0 {
		n, _ := strconv.ParseFloat(f[0], 64)
		return n * float64(os.Getpagesize())
	}
	return 0
}

// group returns the least memory limit of the process's control group and those above it, 0 if there is none. file is
// /proc/self/cgroup, root where the groups are mounted, in version 2 or 1.
func group(file, root string) float64 {
	least := 0.0
	see := func(file string) {
		if n, err := strconv.ParseFloat(strings.TrimSpace(read(file)), 64); err == nil && n > 0 && n < most && (least == 0 || n < least) {
			least = n // version 2 says max, version 1 a number near 2^63 for no limit
		}
	}
	lines := bufio.NewScanner(strings.NewReader(read(file)))
	for lines.Scan() {
		part := strings.SplitN(lines.Text(), ":", 3)
		if len(part) != 3 {
			continue
		}
		base, name := root, "memory.max"
		switch {
		case part[1] == "":
		case strings.Contains(","+part[1]+",", ",memory,"):
			base, name = path.Join(root, "memory"), "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := path.Clean("/" + part[2]); ; dir = path.Dir(dir) {
			see(path.Join(base, dir, name))
			if dir == "/" {
				break
			}
		}
	}
	return least
}
