//go:build unix

package cmd_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splice-ml/splice/train/ckpt"
)

// TestVanishedMerge: a merge whose directory, or the parents that it makes, go while it is made ends with exit code 1 and says so.
func TestVanishedMerge(t *testing.T) {
	dir := workspace(t, 3000)
	write(t, dir, "made.yaml", config+"merge: {regime: {type: shared_init}, report: false, finetune: {epochs: 8}}\n")
	for name, take := range map[string]func(m string) error{
		"moved":    func(m string) error { return os.Rename(m, m+"-moved") },
		"replaced": replaced,
		"parents":  func(m string) error { return os.Rename(filepath.Join(m, "parents"), m+"-parents") },
		"a parent": func(m string) error { return os.Rename(filepath.Join(m, "parents", "parent-a"), m+"-parent") },
	} {
		t.Run(name, func(t *testing.T) {
			m := "m-" + strings.ReplaceAll(name, " ", "-")
			c := command(dir, "cki", "--config", "made.yaml", "--run", m, "--quiet")
			var log bytes.Buffer
			c.Stderr = &log
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			for range 5000 { // until the parents are made and the comparison trains
				if files, _ := filepath.Glob(filepath.Join(dir, m, "rows", "*", "*")); len(files) > 0 {
					break
				}
				time.Sleep(2 * time.Millisecond)
			}
			if err := take(filepath.Join(dir, m)); err != nil {
				t.Fatal(err)
			}
			_ = c.Wait()
			if code := c.ProcessState.ExitCode(); code != 1 || !strings.Contains(log.String(), m) {
				t.Errorf("exit %d, want 1 and what is lost\n%s", code, log.String())
			}
			if _, err := os.Stat(filepath.Join(dir, m, "table.json")); err == nil {
				t.Error("the merge says that it is done")
			}
		})
	}
}

// TestRefusedMerge: a merge that is refused leaves no directory, and says what is wrong with the parents before anything else.
func TestRefusedMerge(t *testing.T) {
	dir := workspace(t, 1500)
	train(t, dir, "a", "--set", "train.epochs=1")
	train(t, dir, "b", "--set", "train.epochs=1", "--set", "seed=2")
	write(t, dir, "merge.yaml", "run: m\nmerge: {parents: [a, b], guard: false, report: false, finetune: {epochs: 0}}\n")
	if o := execute(t, dir, "cki", "--config", "merge.yaml", "--quiet"); o.code != 0 {
		t.Fatalf("exit %d\n%s", o.code, o.stderr)
	}
	o := execute(t, dir, "cki", "--config", "merge.yaml", "--set", "merge.parents=[a, a]")
	if o.code != 2 || !strings.Contains(o.stderr, "is the same run as parent") || strings.Contains(o.stderr, "another config") {
		t.Errorf("one parent twice: exit %d\n%s", o.code, o.stderr)
	}
	c, err := ckpt.Load(filepath.Join(dir, "b", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Tensors {
		for k := range c.Tensors[i].Data {
			c.Tensors[i].Data[k] = float32(math.NaN())
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "nan"), os.DirFS(filepath.Join(dir, "b"))); err != nil {
		t.Fatal(err)
	}
	if err := ckpt.Save(filepath.Join(dir, "nan", "model.safetensors"), c); err != nil {
		t.Fatal(err)
	}
	o = execute(t, dir, "cki", "--config", "merge.yaml", "--run", "refused", "--set", "merge.parents=[a, nan]")
	if _, err := os.Stat(filepath.Join(dir, "refused")); o.code == 0 || err == nil {
		t.Errorf("a parent of NaN: exit %d, and a directory is there: %v\n%s", o.code, err == nil, o.stderr)
	}
}

// TestVanishedOutput: predictions whose directory goes while they are made are an error.
func TestVanishedOutput(t *testing.T) {
	dir := workspace(t, 1500)
	train(t, dir, "r", "--set", "train.epochs=1")
	if err := os.Mkdir(filepath.Join(dir, "out"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "rows"), 0o666); err != nil {
		t.Skip(err)
	}
	c := command(dir, "predict", "--run", "r", "--in", "rows", "--out", "out/p.txt", "--quiet")
	var log bytes.Buffer
	c.Stderr = &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "rows"), os.O_WRONLY, 0) // once the command reads
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(read(t, dir, "rows.tsv")); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != 1 || !strings.Contains(log.String(), "out/p.txt") {
		t.Errorf("exit %d, want 1 and the file\n%s", code, log.String())
	}
}
