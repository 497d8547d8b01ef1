// Package origin says where results come from: dates, machines, and the contents of files.
package origin

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Origin says when and on what something was made.
type Origin struct {
	Date    string `json:"date"` // UTC
	Go      string `json:"go"`
	Splice  string `json:"splice,omitempty"` // revision of the sources, where the build knows it
	System  string `json:"system"`
	CPU     string `json:"cpu,omitempty"`
	Cores   int    `json:"cores"`
	Kernel  string `json:"kernel"`  // instruction set of the kernels
	Threads int    `json:"threads"` // of the cell
	Jobs    int    `json:"jobs"`    // cells that were made at once
}

// Here describes this machine, today. threads are those of one cell, and jobs the cells that are made at once.
func Here(threads, jobs int) Origin {
	m := Origin{
		Date: time.Now().UTC().Format(time.DateOnly), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, CPU: cpu(),
		Cores: runtime.NumCPU(), Kernel: kernel.Path(), Threads: threads, Jobs: jobs,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				m.Splice = s.Value
			}
		}
	}
	return m
}

// cpu returns the name of the processor, where Linux tells it.
func cpu() string {
	text, err := bound.ReadFile("/proc/cpuinfo", bound.JSON)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// String is the date and the machine on a line.
func (o Origin) String() string {
	if o.System == "" {
		return o.Date + " (machine not recorded)"
	}
	on := fmt.Sprintf("%s, %d cores, %s", o.System, o.Cores, o.Kernel)
	if o.CPU != "" {
		on = o.CPU + ", " + on
	}
	return o.Date + " (" + on + ")"
}

// Line joins distinct origins.
func Line(list []Origin) string {
	var out []string
	for _, o := range list {
		if text := o.String(); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		return "date and machine not recorded"
	}
	return strings.Join(out, ", ")
}
