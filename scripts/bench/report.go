package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"

	"github.com/splice-ml/splice/data/bound"
)

// result is what a row came to, pair by pair.
type result struct {
	Row   string               `json:"row"`
	What  string               `json:"what"`
	Ours  map[string][]measure `json:"splice"` // by precision
	Torch map[string][]measure `json:"torch"`
	// modes in which PyTorch does not run the row
	Failed []string `json:"failed,omitempty"`
}

// report is the result of a run.
type report struct {
	Machine string   `json:"machine"`
	Threads int      `json:"threads"`
	Pairs   int      `json:"pairs"`
	Rows    []result `json:"rows"`

	Precisions []string `json:"precisions"`
}

// machine names the processor and the instructions that decide how fast products are.
func machine() string {
	name := runtime.GOARCH
	if text, err := bound.ReadFile("/proc/cpuinfo", bound.JSON); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
				break
			}
		}
	}
	for _, f := range []struct {
		has  bool
		name string
	}{{cpu.X86.HasAVX2, "AVX2"}, {cpu.X86.HasAVX512F, "AVX-512"}, {cpu.X86.HasAVX512BF16, "AVX512-BF16"}, {cpu.X86.HasAMXBF16, "AMX"}} {
		if f.has {
			name += ", " + f.name
		}
	}
	return name
}

// median returns the median of f of some measures.
func median(m []measure, f func(measure) float64) float64 {
	x := make([]float64, len(m))
	for i, v := range m {
		x[i] = f(v)
	}
	slices.Sort(x)
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

func millis(m measure) float64 { return m.Millis }
func memory(m measure) float64 { return m.PeakMB }

// best returns the mode of the smallest median among some; "" if none was timed.
func (r *result) best(among []string) string {
	name := ""
	for _, mode := range among {
		if m := r.Torch[mode]; len(m) > 0 && (name == "" || median(m, millis) < median(r.Torch[name], millis)) {
			name = mode
		}
	}
	return name
}

// ratio returns the median, the least and the greatest ratio of a mode's times to ours, pair by pair.
func (r *result) ratio(precision, mode string) string {
	var x []measure
	for i, m := range r.Torch[mode] {
		x = append(x, measure{Millis: m.Millis / r.Ours[precision][i].Millis})
	}
	slices.SortFunc(x, func(a, b measure) int { return cmp.Compare(a.Millis, b.Millis) })
	return fmt.Sprintf("%.2f (%.2f to %.2f)", median(x, millis), x[0].Millis, x[len(x)-1].Millis)
}

// markdown writes the table of a report.
func (r *report) markdown(w io.Writer) error {
	var s strings.Builder
	fmt.Fprintf(&s, "%s; %d threads. Milliseconds a step, medians of %d pairs in turns; ratios are those of the pairs.\n\n", r.Machine, r.Threads, r.Pairs)
	s.WriteString("| | precision | Splice | PyTorch fp32, its faster mode | ratio | its fastest mode | ratio | peak memory, MB: Splice, PyTorch fp32 |\n|---|---|---|---|---|---|---|---|\n")
	for i := range r.Rows {
		row := &r.Rows[i]
		fp32, any := row.best(exact), row.best(modes)
		theirs := ""
		if fp32 != "" {
			theirs = fmt.Sprintf(", %.0f", median(row.Torch[fp32], memory))
		}
		for _, p := range r.Precisions {
			cell := func(mode string) string {
				if mode == "" {
					return " | "
				}
				return fmt.Sprintf("%s %.1f | %s", mode, median(row.Torch[mode], millis), row.ratio(p, mode))
			}
			ours := row.Ours[p]
			fmt.Fprintf(&s, "| %s | %s | %.1f | %s | %s | %.0f%s |\n", row.What, p, median(ours, millis), cell(fp32), cell(any), median(ours, memory), theirs)
		}
	}
	for _, row := range r.Rows {
		if len(row.Failed) > 0 {
			fmt.Fprintf(&s, "\n%s: PyTorch does not run in %s.\n", row.What, strings.Join(row.Failed, ", "))
		}
	}
	_, err := io.WriteString(w, s.String())
	return err
}
