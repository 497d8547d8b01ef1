package dist

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/splice-ml/splice/data/bound"
)

// Threads returns how many threads each rank of a host may use: its processors, divided among the ranks that share them. Ranks that a
// launcher has bound to processors of their own share none.
func Threads(g Group) (threads, local int, err error) {
	host, err := os.Hostname()
	if err != nil {
		return 0, 0, fmt.Errorf("dist: %w", err)
	}
	place := host + "\x1f" + allowed()
	all, err := Gather(g, place)
	if err != nil {
		return 0, 0, err
	}
	sharing := 0
	for _, p := range all {
		if p == place {
			sharing++
		}
		if strings.HasPrefix(p, host+"\x1f") {
			local++
		}
	}
	return max(1, runtime.NumCPU()/sharing), local, nil
}

// allowed returns the processors that this process may run on, "" if the system does not say.
func allowed() string {
	b, err := bound.ReadFile("/proc/self/status", bound.Config)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return strings.TrimSpace(list)
		}
	}
	return ""
}
