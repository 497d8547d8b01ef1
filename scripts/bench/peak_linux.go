package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/splice-ml/splice/data/bound"
)

// peak is the most memory that a process held, in MB.
func peak(c *exec.Cmd) float64 {
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return float64(u.Maxrss) / 1024
	}
	return 0
}

// ownPeak is the most memory that this process has held, in MB.
func ownPeak() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Maxrss) / 1024
}

// watched runs c and returns what it printed, and the most memory that it and its descendants held together, in MB: the sum of their proportional shares, looked at
// four times a second.
func watched(c *exec.Cmd) (text string, all float64, err error) {
	done, most := make(chan struct{}), make(chan float64)
	begun := make(chan int, 1)
	go func() {
		m, pid := 0.0, 0
		for {
			select {
			case pid = <-begun:
			case <-done:
				most <- m
				return
			case <-time.After(250 * time.Millisecond):
			}
			if pid > 0 {
				m = max(m, held(pid))
			}
		}
	}()
	text, err = outputOf(c, func() { begun <- c.Process.Pid })
	close(done)
	return text, <-most, err
}

// held is the memory of a process and its descendants, in MB.
func held(pid int) float64 {
	parents := map[int]int{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		text, err := bound.ReadFile(f, bound.JSON)
		if err != nil {
			continue // it ended
		}
		id, parent, ok := lineage(string(text))
		if ok {
			parents[id] = parent
		}
	}
	sum := 0.0
	for id := range parents {
		at := id
		for range len(parents) {
			if at == pid || at <= 1 {
				break
			}
			at = parents[at]
		}
		if at == pid {
			sum += share(id)
		}
	}
	return sum
}

// lineage reads a process and its parent from a line of /proc/PID/stat: id (name) state parent ..., whose name may hold anything.
func lineage(stat string) (id, parent int, ok bool) {
	end := strings.LastIndex(stat, ")")
	if end < 0 {
		return 0, 0, false
	}
	if _, err := fmt.Sscanf(stat, "%d ", &id); err != nil {
		return 0, 0, false
	}
	var state string
	_, err := fmt.Sscan(stat[end+1:], &state, &parent)
	return id, parent, err == nil
}

// share is the memory of a process with shared pages by halves, thirds and so on, in MB.
func share(pid int) float64 {
	text, err := bound.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid), bound.JSON)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "Pss: %f", &kb); err == nil {
			return kb / 1024
		}
	}
	return 0
}
