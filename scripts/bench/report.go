package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"

	"github.com/splice-ml/splice/data/bound"
)

// result is what a row came to, pair by pair.
type result struct {
	Row     string               `json:"row"`
	What    string               `json:"what"`
	Measure string               `json:"measure"` // step, epoch, inference or single
	Ours    map[string][]measure `json:"splice"`  // by precision
	Torch   map[string][]measure `json:"torch"`
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

// medianOf returns the median of f of some.
func medianOf[T any](some []T, f func(T) float64) float64 {
	x := make([]float64, len(some))
	for i, v := range some {
		x[i] = f(v)
	}
	slices.Sort(x)
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// median returns the median of f of some measures.
func median(m []measure, f func(measure) float64) float64 { return medianOf(m, f) }

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

// tables say how each measure is told.
var tables = map[string]struct {
	title, head string
	cell        func(r *result, m []measure) string
}{
	step: {"", "Milliseconds a step, medians of %d pairs in turns; ratios are those of the pairs.", func(_ *result, m []measure) string {
		return fmt.Sprintf("%.1f", median(m, millis))
	}},
	epoch: {"Epochs of training with their rows read and shuffled", "Seconds an epoch, medians of %d pairs in turns; ratios are those of the pairs.", func(_ *result, m []measure) string {
		return fmt.Sprintf("%.2f", median(m, millis)/1e3)
	}},
	inference: {"Inference in batches", "Rows a second, medians of %d pairs in turns; ratios are those of Splice's rate to PyTorch's in the pairs.", func(r *result, m []measure) string {
		return fmt.Sprintf("%.0f", 1e3*float64(r.batch())/median(m, millis))
	}},
	single: {"Inference of single rows", "Milliseconds, the median and the 99th percentile of a turn, medians of %d pairs in turns; ratios are those of the medians in the pairs.", func(_ *result, m []measure) string {
		return fmt.Sprintf("%.3f, %.3f", median(m, millis), median(m, func(m measure) float64 { return m.P99 }))
	}},
}

// batch is the rows of a batch of the row.
func (r *result) batch() int {
	if strings.HasPrefix(r.Row, "bert") || strings.HasPrefix(r.Row, "minilm") {
		return 32
	}
	return 4096
}

// markdown writes the tables of a report.
func (r *report) markdown(w io.Writer) error {
	var s strings.Builder
	fmt.Fprintf(&s, "%s; %d threads.", r.Machine, r.Threads)
	for _, what := range measures {
		var some []*result
		for i := range r.Rows {
			if r.Rows[i].Measure == what {
				some = append(some, &r.Rows[i])
			}
		}
		if len(some) > 0 {
			r.table(&s, what, some)
		}
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// table writes the rows of a measure.
func (r *report) table(s *strings.Builder, what string, some []*result) {
	t := tables[what]
	if t.title != "" {
		fmt.Fprintf(s, "\n## %s\n\n", t.title)
	} else {
		s.WriteString(" ")
	}
	fmt.Fprintf(s, t.head+"\n\n", r.Pairs)
	s.WriteString("| | precision | Splice | PyTorch fp32, its faster mode | ratio | its fastest mode | ratio | peak memory, MB: Splice, PyTorch fp32 |\n|---|---|---|---|---|---|---|---|\n")
	for _, row := range some {
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
				return fmt.Sprintf("%s %s | %s", mode, t.cell(row, row.Torch[mode]), row.ratio(p, mode))
			}
			ours := row.Ours[p]
			fmt.Fprintf(s, "| %s | %s | %s | %s | %s | %.0f%s |\n", row.What, p, t.cell(row, ours), cell(fp32), cell(any), median(ours, memory), theirs)
		}
	}
	for _, row := range some {
		if len(row.Failed) > 0 {
			fmt.Fprintf(s, "\n%s: PyTorch does not run in %s.\n", row.What, strings.Join(row.Failed, ", "))
		}
	}
}

// jobResult is what a job came to, program by program.
type jobResult struct {
	Job      string          `json:"job"`
	What     string          `json:"what"`
	Programs []programResult `json:"programs"`
}

// programResult is what a program came to, turn by turn.
type programResult struct {
	Program  string    `json:"program"`
	Outcomes []outcome `json:"outcomes"`
}

// jobReport is the result of jobs.
type jobReport struct {
	Machine string      `json:"machine"`
	Threads int         `json:"threads"`
	Turns   int         `json:"turns"`
	Jobs    []jobResult `json:"jobs"`
}

// markdown writes the table of jobs.
func (r *jobReport) markdown(w io.Writer) error {
	var s strings.Builder
	fmt.Fprintf(&s, "%s; %d threads. Medians of %d turns; ratios are those of a turn's whole commands to its first program, with the least and the greatest.\n\n", r.Machine, r.Threads, r.Turns)
	s.WriteString("| | program | seconds of the command | ratio | seconds of training | peak memory, MB: largest process, all | metrics |\n|---|---|---|---|---|---|---|\n")
	for _, j := range r.Jobs {
		for k, p := range j.Programs {
			ratio := ""
			if k > 0 {
				ratio = ratios(p.Outcomes, j.Programs[0].Outcomes)
			}
			last := map[string]float64{}
			for name := range p.Outcomes[0].Scores {
				last[name] = medianOf(p.Outcomes, func(o outcome) float64 { return o.Scores[name] })
			}
			fmt.Fprintf(&s, "| %s | %s | %.1f | %s | %.1f | %.0f, %.0f | %s |\n", j.What, p.Program, medianOf(p.Outcomes, func(o outcome) float64 { return o.Seconds }), ratio,
				medianOf(p.Outcomes, func(o outcome) float64 { return o.Training }), medianOf(p.Outcomes, func(o outcome) float64 { return o.PeakMB }),
				medianOf(p.Outcomes, func(o outcome) float64 { return o.AllMB }), scores(last))
		}
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// ratios returns the median, the least and the greatest ratio of the seconds of turns.
func ratios(of, to []outcome) string {
	x := make([]float64, len(of))
	for i := range of {
		x[i] = of[i].Seconds / to[i].Seconds
	}
	same := func(v float64) float64 { return v }
	return fmt.Sprintf("%.2f (%.2f to %.2f)", medianOf(x, same), slices.Min(x), slices.Max(x))
}

// scores lists metrics by name.
func scores(m map[string]float64) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s %.4f", name, m[name]))
	}
	return strings.Join(out, ", ")
}
