package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// standIn is a Python that answers as modes_torch.py does: 10 ms more at each turn.
func standIn(t *testing.T, answer string) string {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh")
	}
	file := filepath.Join(t.TempDir(), "python")
	text := "#!/bin/sh\nfor last; do :; done\ncase $* in *autocast*) ms=20 ;; *) ms=40 ;; esac\necho ready\nwhile read line; do " + answer + "; ms=$((ms + 10)); done\n"
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// steps are steps of ours that come to what f says of a precision.
func steps(f func(precision string) measure) map[string]start {
	return map[string]start{step: func(_ context.Context, _ *bench, precision string) (side, error) {
		return once(func(context.Context) (measure, error) { return f(precision), nil }), nil
	}}
}

func TestTurns(t *testing.T) {
	b := &bench{python: standIn(t, `echo "$ms.5 300"`), root: t.TempDir(), pairs: 3, steps: 4, threads: 2, precisions: []string{"highest", "medium"}}
	ours := 0.0
	r := row{name: "x", what: "a model", torch: []string{"models_torch.py", "x"}, ours: steps(func(precision string) measure {
		if precision == "medium" {
			return measure{Millis: ours / 2, PeakMB: 90}
		}
		ours += 10
		return measure{Millis: ours, PeakMB: 100}
	})}
	var log, out bytes.Buffer
	got, err := b.time(t.Context(), r, step, []string{"eager", "autocast"}, &log)
	if err != nil {
		t.Fatal(err)
	}
	if want := "x, pair 2: splice highest 20 medium 10, eager 50.5, autocast 30.5 ms\n"; !strings.Contains(log.String(), want) {
		t.Errorf("log\n%s\nwithout %q", log.String(), want)
	}
	if err := (&report{Machine: "a machine", Threads: 2, Pairs: 3, Precisions: b.precisions, Rows: []result{*got}}).markdown(&out); err != nil {
		t.Fatal(err)
	}
	// Pairs of 40.5/10, 50.5/20 and 60.5/30, and of 20.5/10, 30.5/20 and 40.5/30.
	if want := "| a model | highest | 20.0 | eager 50.5 | 2.52 (2.02 to 4.05) | autocast 30.5 | 1.52 (1.35 to 2.05) | 100, 300 |\n" +
		"| a model | medium | 10.0 | eager 50.5 | 5.05 (4.03 to 8.10) | autocast 30.5 | 3.05 (2.70 to 4.10) | 90, 300 |\n"; !strings.Contains(out.String(), want) {
		t.Errorf("got\n%s\nwant the line\n%s", out.String(), want)
	}
}

func TestWorkerFails(t *testing.T) {
	// A mode that does not begin is left out; one that breaks off ends the run.
	b := &bench{python: standIn(t, `case $* in *eager*) echo 7 8 ;; *) echo "no module" >&2; exit 1 ;; esac`), root: t.TempDir(), pairs: 1, steps: 1, threads: 1, precisions: []string{"highest"}}
	r := row{name: "x", what: "a model", torch: []string{"x"}, ours: steps(func(string) measure { return measure{Millis: 1, PeakMB: 1} })}
	if _, err := b.time(t.Context(), r, step, []string{"eager", "compile"}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "torch compile: unexpected EOF: no module") {
		t.Errorf("error %v", err)
	}
	b.python = standIn(t, "echo what")
	if _, err := b.time(t.Context(), r, step, []string{"eager"}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), `torch eager: "what"`) {
		t.Errorf("error %v", err)
	}
	broken := strings.Replace(string(must(os.ReadFile(standIn(t, "echo 7 8")))), "echo ready\n", "case $* in *compile*) echo no; exit 1 ;; esac\necho ready\n", 1)
	b.python = filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(b.python, []byte(broken), 0o755); err != nil {
		t.Fatal(err)
	}
	var log, out bytes.Buffer
	got, err := b.time(t.Context(), r, step, []string{"eager", "compile"}, &log)
	if err != nil || !strings.Contains(log.String(), `x without compile: torch compile: "no" instead of ready`) {
		t.Fatalf("error %v, log %s", err, log.String())
	}
	if err := (&report{Rows: []result{*got}}).markdown(&out); err != nil || !strings.Contains(out.String(), "a model: PyTorch does not run in compile.\n") {
		t.Errorf("error %v, %s", err, out.String())
	}
	if _, err := b.time(t.Context(), r, step, []string{"compile"}, &log); err == nil || !strings.Contains(err.Error(), "in no mode") {
		t.Errorf("error %v", err)
	}
	b.python = filepath.Join(t.TempDir(), "none")
	if _, err := b.start(t.Context(), r, step, "eager"); err == nil {
		t.Error("no Python, and no error")
	}
}

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-rows", "deepfm"}, `unknown row "deepfm": want some of deepfm_lazy`},
		{[]string{"-modes", "fast"}, `-modes: unknown "fast": want some of eager`},
		{[]string{"-measure", "step,speed"}, `-measure: unknown "speed": want some of step, epoch, inference, single`},
		{[]string{"-jobs", "fuxictr,sst2"}, `-jobs: unknown job "sst2": want some of fuxictr, mrpc`},
		{[]string{"-jobs", "fuxictr", "-fuxictr", filepath.Join(t.TempDir(), "python")}, "make bench-jobs makes it"},
		{[]string{"-jobs", "mrpc", "-mrpc", t.TempDir()}, "scripts/get_glue.sh gets it"},
		{[]string{"-job-rows", "10"}, "1000 or more"},
		{[]string{"-epochs", "0"}, "above 0"},
		{[]string{"deepfm"}, `unknown argument "deepfm"`},
		{[]string{"-precisions", "fp32"}, `"fp32" is no precision`},
		{[]string{"-pairs", "0"}, "above 0"},
		{nil, "folder of the repository"}, // which this is not
	} {
		if err := run(t.Context(), c.args, &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one with %q", c.args, err, c.want)
		}
	}
	if got, err := choose("din,deepfm_lazy"); err != nil || got[0].name != "din" || got[1].name != "deepfm_lazy" {
		t.Errorf("chosen %v, %v", got, err)
	}
}

// The modes are those of the Python side, and what the rows run is there.
func TestPythonSide(t *testing.T) {
	text, err := os.ReadFile("modes_torch.py")
	if err != nil {
		t.Fatal(err)
	}
	if want := `MODES = ["` + strings.Join(modes, `", "`) + `"]`; !strings.Contains(string(text), want) {
		t.Errorf("modes_torch.py has not %s", want)
	}
	if want := `MEASURES = ["` + strings.Join(measures, `", "`) + `"]`; !strings.Contains(string(text), want) {
		t.Errorf("modes_torch.py has not %s", want)
	}
	steps, err := os.ReadFile(filepath.Join("..", "..", "train", "bench_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for what, f := range functions {
		for _, want := range []string{"func " + f.name + "(", `"` + f.metric + `"`, f.p99} {
			if !strings.Contains(string(steps), want) {
				t.Errorf("%s: bench_test.go has not %s", what, want)
			}
		}
	}
	for _, r := range rows() {
		if _, err := os.Stat(r.torch[0]); err != nil {
			t.Error(err)
		}
		for what := range r.ours {
			if !slices.Contains(measures, what) {
				t.Errorf("%s: %s is no measure", r.name, what)
			}
		}
		if r.needs == "" && !bytes.Contains(steps, []byte(`"`+r.torch[1])) {
			t.Errorf("BenchmarkStep has no %s", r.torch[1])
		}
	}
	if !slices.Contains(modes, exact[0]) || !slices.Contains(modes, exact[1]) {
		t.Errorf("%v are not all modes", exact)
	}
}
