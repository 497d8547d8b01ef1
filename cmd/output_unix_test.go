//go:build unix

package cmd_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPredictOut: predictions are written to what the user named, whatever it is, and to nothing that is read.
func TestPredictOut(t *testing.T) {
	dir := workspace(t, 1500)
	train(t, dir, "r", "--set", "train.epochs=1")
	in := string(read(t, dir, "rows.tsv"))
	if o := execute(t, dir, "predict", "--run", "r", "--in", "rows.tsv", "--out", "want.txt"); o.code != 0 {
		t.Fatalf("exit %d\n%s", o.code, o.stderr)
	}
	want := string(read(t, dir, "want.txt"))
	if err := os.MkdirAll(filepath.Join(dir, "far"), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "far/old.txt", "old")
	if err := os.Chmod(filepath.Join(dir, "far", "old.txt"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"soft.txt": "far/old.txt", "null": "/dev/null", "same": "rows.tsv", "model": "r/model.safetensors"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "rows.tsv"), filepath.Join(dir, "hard")); err != nil {
		t.Fatal(err)
	}
	predict := func(out string) out {
		return execute(t, dir, "predict", "--run", "r", "--in", "rows.tsv", "--out", out)
	}
	for _, out := range []string{"/dev/null", "null", "soft.txt"} {
		if o := predict(out); o.code != 0 {
			t.Errorf("--out %s: exit %d\n%s", out, o.code, o.stderr)
		}
	}
	if o := predict("/dev/stdout"); o.code != 0 || o.stdout != want {
		t.Errorf("--out /dev/stdout: exit %d, %d bytes, want %d\n%s", o.code, len(o.stdout), len(want), o.stderr)
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Fatalf("/dev/null is %v, %v", info.Mode(), err)
	}
	if got := string(read(t, dir, "far", "old.txt")); got != want {
		t.Errorf("the file that a link names has %d bytes, want %d", len(got), len(want))
	}
	if info, err := os.Stat(filepath.Join(dir, "far", "old.txt")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if info, err := os.Lstat(filepath.Join(dir, "soft.txt")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	model := read(t, dir, "r", "model.safetensors")
	for out, want := range map[string]string{
		"rows.tsv": "is the same file as the input", "./far/../rows.tsv": "is the same file as the input", "same": "is the same file as the input",
		"hard": "is the same file as the input", "far": "is a directory", "none/x.txt": "there is no directory none",
		"r/model.safetensors": "belongs to the run", "model": "belongs to the run", "r/last/x.txt": "belongs to the run",
	} {
		o := predict(out)
		if o.code != 2 || !strings.Contains(o.stderr, want) {
			t.Errorf("--out %s: exit %d, want 2 and %q\n%s", out, o.code, want, o.stderr)
		}
	}
	if string(read(t, dir, "rows.tsv")) != in || !bytes.Equal(read(t, dir, "r", "model.safetensors"), model) {
		t.Error("an input or the model was changed")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp")); len(left) > 0 {
		t.Errorf("temporary files stay: %v", left)
	}
	o := execute(t, dir, "evaluate", "--run", "r", "--cpuprofile", "r/model.safetensors")
	if o.code != 2 || !bytes.Equal(read(t, dir, "r", "model.safetensors"), model) {
		t.Errorf("--cpuprofile over a run's model: exit %d\n%s", o.code, o.stderr)
	}
	o = execute(t, dir, "evaluate", "--run", "r", "--cpuprofile", "profile")
	if o.code != 0 || len(read(t, dir, "profile")) == 0 {
		t.Errorf("--cpuprofile: exit %d\n%s", o.code, o.stderr)
	}
}

// TestPredictPipe: a FIFO gets the predictions, and a reader that goes early ends the command quietly.
func TestPredictPipe(t *testing.T) {
	dir := workspace(t, 3000)
	train(t, dir, "r", "--set", "train.epochs=1")
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		t.Skip(err)
	}
	for _, whole := range []bool{true, false} {
		c := command(dir, "predict", "--run", "r", "--in", "rows.tsv", "--out", "fifo", "--quiet")
		var log bytes.Buffer
		c.Stderr = &log
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(fifo)
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		if whole {
			b, err := io.ReadAll(f)
			if err != nil {
				t.Fatal(err)
			}
			lines = bytes.Count(b, []byte("\n"))
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		code := c.ProcessState.ExitCode()
		if whole && (code != 0 || lines != 3000) {
			t.Errorf("exit %d, %d lines\n%s", code, lines, log.String())
		}
		if !whole && (code != 141 || log.Len() > 0) {
			t.Errorf("the reader has gone: exit %d, want 141 and not a word:\n%s", code, log.String())
		}
	}
	if info, err := os.Lstat(fifo); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the FIFO is gone: %v", err)
	}
}

// gone removes a directory in which a file may come while others go.
func gone(dir string) (err error) {
	for range 100 {
		if err = os.RemoveAll(dir); err == nil {
			break
		}
	}
	return err
}

// TestVanishedRun: a run whose directory, or a part of it, goes while it is trained ends with exit code 1 and says so, or is whole.
func TestVanishedRun(t *testing.T) {
	dir := workspace(t, 3000)
	for name, take := range map[string]func(r string) error{
		"removed":  gone,
		"moved":    func(r string) error { return os.Rename(r, r+"-moved") },
		"replaced": func(r string) error { return replaced(r) },
		"last":     func(r string) error { return gone(filepath.Join(r, "last")) },
		"config":   func(r string) error { return os.Remove(filepath.Join(r, "config.yaml")) },
		"features": func(r string) error { return os.Remove(filepath.Join(r, "features.json.zst")) },
		"model":    func(r string) error { return os.Remove(filepath.Join(r, "model.safetensors")) },
	} {
		t.Run(name, func(t *testing.T) {
			r := "r-" + name
			c := command(dir, "train", "--config", "run.yaml", "--run", r, "--set", "train.epochs=8", "--set", "train.patience=0", "--quiet")
			var log bytes.Buffer
			c.Stderr = &log
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			for range 5000 { // until it has evaluated once
				if _, err := os.Stat(filepath.Join(dir, r, "model.safetensors")); err == nil {
					break
				}
				time.Sleep(2 * time.Millisecond)
			}
			if err := take(filepath.Join(dir, r)); err != nil {
				t.Fatal(err)
			}
			_ = c.Wait()
			switch code := c.ProcessState.ExitCode(); code {
			case 0:
				if o := execute(t, dir, "evaluate", "--run", r); o.code != 0 || name == "removed" || name == "moved" || name == "replaced" {
					t.Errorf("exit 0 and a run that evaluates with exit %d\n%s%s", o.code, o.stderr, log.String())
				}
			case 1:
				if !strings.Contains(log.String(), r) || name == "config" || name == "features" { // "last" may go between two steps of one write
					t.Errorf("exit 1\n%s", log.String())
				}
			default:
				t.Errorf("exit %d\n%s", code, log.String())
			}
			if name == "replaced" {
				if left := fmt.Sprint(os.ReadDir(filepath.Join(dir, r))); strings.Contains(left, "model") {
					t.Errorf("the directory in its place has %s", left)
				}
			}
		})
	}
}

// replaced moves a directory and makes another one in its place.
func replaced(dir string) error {
	if err := os.Rename(dir, dir+"-moved"); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o777)
}
