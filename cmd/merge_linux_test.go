package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/splice-ml/splice/train/ckpt"
)

// light makes this process small: the kernel counts the most memory that a process had when it started another one as the other one's.
func light() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o666) // forgets what it had; where it may not, more is counted
}

// TestMerge: two runs become one that the other commands take, and what it came to is printed.
func TestMerge(t *testing.T) {
	dir := workspace(t, 1500)
	train(t, dir, "a", "--set", "train.epochs=1")
	train(t, dir, "b", "--set", "train.epochs=1", "--set", "seed=2")
	write(t, dir, "merge.yaml", "run: m\nmerge: {parents: [a, b], select: [embedding.*], guard: false, finetune: {epochs: 0}}\n")
	if o := execute(t, dir, "cki", "--config", "merge.yaml", "--check"); o.code != 0 || !strings.HasSuffix(o.stdout, "the parents fit together\n") {
		t.Fatalf("--check: exit %d, %s%s", o.code, o.stdout, o.stderr)
	}
	first := execute(t, dir, "cki", "--config", "merge.yaml", "--quiet")
	if first.code != 0 {
		t.Fatalf("exit %d\n%s", first.code, first.stderr)
	}
	for _, text := range []string{
		"base", "other", "best parent", "ensemble", "merge", "The 2 parents: the better parent on validation rows has test auc (synthetic) 0.",
		"The model passed on: merge", "`go run ./cmd/predict --run m --in ROWS --out -`.\n",
	} {
		if !strings.Contains(first.stdout, text) {
			t.Errorf("the output lacks %q:\n%s", text, first.stdout)
		}
	}
	if again := execute(t, dir, "cki", "--config", "merge.yaml", "--quiet"); again.code != 0 || again.stdout != first.stdout {
		t.Errorf("the same merge again: exit %d\n%s%s", again.code, again.stdout, again.stderr)
	}
	for _, c := range [][]string{
		{"evaluate", "--run", "m"},
		{"predict", "--run", "m", "--in", "rows.tsv", "--out", "p.txt"},
		{"finetune", "--from", "m", "--run", "f", "--quiet"},
	} {
		if o := execute(t, dir, c[0], c[1:]...); o.code != 0 {
			t.Errorf("%v: exit %d\n%s", c, o.code, o.stderr)
		}
	}
	for set, want := range map[string]string{
		"merge.method=slerp": "--overwrite", "merge.parents=[a, none]": "parent none: there is no such run",
		"merge.parents=[m, b]": "would be written over parent m",
	} {
		o := execute(t, dir, "cki", "--config", "merge.yaml", "--set", set)
		if o.code != 2 || !strings.Contains(o.stderr, want) || strings.Contains(o.stderr, "goroutine ") {
			t.Errorf("%s: exit %d, want 2 and %q\n%s", set, o.code, want, o.stderr)
		}
	}
	if o := execute(t, dir, "cki", "--config", "merge.yaml", "--check", "--set", "merge.parents=[a, none]"); o.code != 2 {
		t.Errorf("--check of a run that there is not: exit %d\n%s", o.code, o.stderr)
	}
}

// TestMergeMemory: an average of two checkpoints of 200 MB takes less than 100 MB and the largest tensor.
func TestMergeMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("short: writes 600 MB")
	}
	if runtime.GOOS != "linux" {
		t.Skip("the peak of a process's memory is read as Linux reports it")
	}
	dir := t.TempDir()
	const tensors, rows, dim = 5, 100_000, 100 // 40 MB each
	data := make([]float32, rows*dim)
	for k, name := range []string{"a", "b"} {
		for i := range data {
			data[i] = float32(i%1000) * float32(k+1)
		}
		c := &ckpt.Checkpoint{}
		for i := range tensors {
			c.Tensors = append(c.Tensors, ckpt.Tensor{Name: fmt.Sprintf("t%d", i), Shape: []int{rows, dim}, Data: data})
		}
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := ckpt.Save(filepath.Join(dir, name, "model.safetensors"), c); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "merge.yaml", "merge: {parents: [a, b], method: average}\n")
	c := command(dir, "cki", "--config", "merge.yaml", "--run", "m")
	light()
	if o := do(t, c); o.code != 0 {
		t.Fatalf("exit %d\n%s", o.code, o.stderr)
	}
	u, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		t.Fatal("no usage")
	}
	if mb := float64(u.Maxrss) / 1024; mb > 140 {
		t.Errorf("peak memory %.0f MB, want at most 100 MB and the largest tensor's 40 MB", mb)
	} else {
		t.Logf("peak memory %.0f MB", mb)
	}
	f, err := ckpt.Open(filepath.Join(dir, "m", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	row := make([]float32, dim)
	if err := f.ReadRows("t4", 7, 8, row); err != nil || row[3] != float32(703%1000)*1.5 {
		t.Errorf("row %v, %v", row[:4], err)
	}
}
