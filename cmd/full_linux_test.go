package cmd_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk limits the size of files, so that writing the model fails part of the way as on a full disk: a clear error,
// and the files of an earlier run of the directory stay as they were.
func TestFullDisk(t *testing.T) {
	dir := workspace(t, 3000)
	train(t, dir, "r")
	model, state := read(t, dir, "r", "model.safetensors"), read(t, dir, "r", "last", "state.json")
	c := exec.Command("sh", "-c", `ulimit -f 20; exec "$0" --config run.yaml --run full`, filepath.Join(bin, "train"))
	c.Dir = dir
	o := do(t, c)
	if o.code != 1 || !strings.Contains(o.stderr, "file too large") || !strings.Contains(o.stderr, "full") {
		t.Errorf("exit %d, want 1 and the cause\n%s", o.code, o.stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "full", "model.safetensors")); err == nil {
		t.Error("half of a model was written")
	}
	c = exec.Command("sh", "-c", `ulimit -f 20; exec "$0" --run r --in rows.tsv --out scores.txt`, filepath.Join(bin, "predict"))
	c.Dir = dir
	write(t, dir, "scores.txt", "earlier\n")
	if o := do(t, c); o.code != 1 || !strings.Contains(o.stderr, "scores.txt") {
		t.Errorf("predict: exit %d\n%s", o.code, o.stderr)
	}
	if got := string(read(t, dir, "scores.txt")); got != "earlier\n" {
		t.Errorf("predict replaced the earlier file by %q", got)
	}
	if !bytes.Equal(model, read(t, dir, "r", "model.safetensors")) || !bytes.Equal(state, read(t, dir, "r", "last", "state.json")) {
		t.Error("the earlier run was changed")
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*.tmp"))
	hidden, _ := filepath.Glob(filepath.Join(dir, ".*.tmp"))
	if len(left)+len(hidden) > 0 {
		t.Errorf("temporary files stay: %v %v", left, hidden)
	}
}

// TestReadOnly runs in a directory where nothing can be written.
func TestReadOnly(t *testing.T) {
	dir := workspace(t, 1500)
	train(t, dir, "r")
	model := read(t, dir, "r", "model.safetensors")
	c := command(dir, "train", "--config", "run.yaml", "--run", "r", "--resume")
	if os.Geteuid() == 0 { // permissions do not bind root: run as nobody
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		for p := dir; p != "/" && p != os.TempDir(); p = filepath.Dir(p) {
			if err := os.Chmod(p, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		for _, p := range []string{dir, filepath.Join(dir, "r"), filepath.Join(dir, ".cache")} {
			if err := os.Chmod(p, 0o555); err != nil {
				t.Fatal(err)
			}
			defer os.Chmod(p, 0o755)
		}
	}
	o := do(t, c)
	if o.code == 0 || !strings.Contains(o.stderr, "permission denied") {
		t.Errorf("exit %d, want an error that says permission denied\n%s", o.code, o.stderr)
	}
	if strings.Contains(o.stderr, "goroutine ") {
		t.Errorf("a panic:\n%s", o.stderr)
	}
	if !bytes.Equal(model, read(t, dir, "r", "model.safetensors")) {
		t.Error("the earlier model was changed")
	}
}
