package cmd_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// snapshot returns the files below a directory with their contents, links with what they name.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			fmt.Fprintln(&b, path, "->", to)
			return err
		case !d.IsDir():
			text, err := os.ReadFile(path)
			fmt.Fprintf(&b, "%s %x\n", path, text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestOverwriteForeign: neither --overwrite nor --resume nor a plain command touches a directory that is no run, an input that lies in
// the run's directory, or an earlier run if the new one cannot begin.
func TestOverwriteForeign(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("makes symbolic links")
	}
	dir := workspace(t, 1500)
	small := []string{"--set", "train.epochs=1", "--set", "model.hidden_units=[8]"}
	for _, name := range []string{"a", "b", "old"} {
		train(t, dir, name, append(small, "--quiet", "--set", fmt.Sprintf("seed=%d", len(name)+int(name[0])))...)
	}
	rows, model := string(read(t, dir, "rows.tsv")), string(read(t, dir, "a", "model.safetensors"))
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, dir, name, text)
	}
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	put("hf/config.json", "{}")
	put("hf/model.safetensors", model)
	put("hf/tokenizer.json", "{}")
	put("bin/config.json", "{}")
	put("bin/pytorch_model.bin", "x")
	put("tool/config.yaml", "data: {path: x}\nmodel: {name: y}\n")
	put("tool/last/notes.txt", "x")
	put("tool/last/model-1.safetensors", "x")
	put("far/model-1.safetensors", "x")
	put("far/notes.txt", "x")
	put("linked/config.yaml", "mine: 1\n")
	link("../far", "linked/last")
	link("tool", "alias")
	for _, name := range []string{"in", "under", "given"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(dir, "old"))); err != nil {
			t.Fatal(err)
		}
	}
	put("in/vocab.txt", rows)
	put("under/rows/part.tsv", rows)
	for _, p := range []string{"a", "b"} {
		if err := os.CopyFS(filepath.Join(dir, "given", "parents", p), os.DirFS(filepath.Join(dir, p))); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(dir, "begun", "parents", p), os.DirFS(filepath.Join(dir, p))); err != nil {
			t.Fatal(err)
		}
	}
	put("begun/parents/digest", "0123456789abcdef\n")
	put("given.yaml", "merge: {parents: [given/parents/a, given/parents/b], finetune: {epochs: 0}, report: false}\n")
	put("begun.yaml", "merge: {parents: [begun/parents/a, begun/parents/b], finetune: {epochs: 0}, report: false}\n")
	put("fine.yaml", "merge: {parents: [a, b], finetune: {epochs: 0}, report: false}\n")
	put("bare.yaml", "merge: {parents: [hf/model.safetensors, far/b.safetensors]}\n")
	put("far/b.safetensors", string(read(t, dir, "b", "model.safetensors")))
	put("made.yaml", config+"merge: {regime: {type: shared_init}}\n")
	fit := func(more ...string) []string { return append([]string{"train", "--config", "run.yaml"}, more...) }
	for _, tc := range []struct {
		name string
		args []string
		want string
		code int
	}{
		{"a Hugging Face directory", fit("--run", "hf"), "is no run", 2},
		{"a Hugging Face directory, overwritten", fit("--run", "hf", "--overwrite"), "choose another --run", 2},
		{"a Hugging Face directory, resumed", fit("--run", "hf", "--resume"), "is no run", 2},
		{"an older Hugging Face directory", fit("--run", "bin", "--overwrite"), "is no run", 2},
		{"another tool's directory", fit("--run", "tool", "--overwrite"), "is no run", 2},
		{"another tool's directory, resumed", fit("--run", "tool", "--resume"), "is no run", 2},
		{"through a link", fit("--run", "alias", "--resume"), "is no run", 2},
		{"a link to checkpoints, resumed", fit("--run", "linked", "--resume"), "is no run", 2},
		{"a link to checkpoints, overwritten", fit("--run", "linked", "--overwrite"), "is no run", 2},
		{"finetuned into", []string{"finetune", "--from", "a", "--run", "tool", "--overwrite"}, "is no run", 2},
		{"finetuned into, resumed", []string{"finetune", "--from", "a", "--run", "tool", "--resume"}, "is no run", 2},
		{"merged into", []string{"cki", "--config", "fine.yaml", "--run", "tool", "--overwrite"}, "is no run", 2},
		{"merged into, made", []string{"cki", "--config", "made.yaml", "--run", "hf", "--overwrite"}, "is no run", 2},
		{"files merged into", []string{"cki", "--config", "bare.yaml", "--run", "hf", "--overwrite"}, "hf", 2},
		{"rows in the run", fit("--run", "in", "--overwrite", "--set", "data.path=in/vocab.txt"), "data.path: in/vocab.txt", 2},
		{"rows in the run, by a glob", fit("--run", "in", "--overwrite", "--set", "data.path=in/v*.txt"), "data.path: in/vocab.txt", 2},
		{"rows below the run", fit("--run", "under", "--overwrite", "--set", "data.path=under/rows/part.tsv"), "data.path", 2},
		{"weights in the run", fit("--run", "old", "--overwrite", "--set", "init.from=old/last/model-9.safetensors"), "", 2},
		{"a teacher in the run", fit("--run", "given", "--overwrite", "--set", "teacher.from=[given/parents/a]"), "teacher.from", 2},
		{"finetuned onto itself", []string{"finetune", "--from", "old", "--run", "old", "--overwrite"}, "", 2},
		{"given parents", []string{"cki", "--config", "given.yaml", "--run", "given", "--overwrite"}, "choose another --run", 2},
		{"given parents where a merge began", []string{"cki", "--config", "begun.yaml", "--run", "begun", "--overwrite"}, "merge.parents: begun/parents/a", 2},
		{"no data", fit("--run", "old", "--overwrite", "--set", "data.path=none.tsv"), "none.tsv", 2},
		{"a config that is wrong", fit("--run", "old", "--overwrite", "--set", "train.epochs=-1"), "epochs", 2},
		{"a model that does not compile", fit("--run", "old", "--overwrite", "--set", "train.freeze=[nothing.*]"), "freeze", 2},
		{"a merge without data", []string{"cki", "--config", "made.yaml", "--run", "old", "--overwrite", "--set", "data.path=none.tsv"}, "none.tsv", 2},
		{
			"a parent twice",
			[]string{"cki", "--config", "fine.yaml", "--run", "old", "--overwrite", "--set", "merge.parents=[a, a]"},
			"is the same run as parent", 2,
		},
	} {
		before := snapshot(t, dir)
		o := execute(t, dir, tc.args[0], tc.args[1:]...)
		if o.code != tc.code || !strings.Contains(o.stderr, tc.want) {
			t.Errorf("%s: exit %d, want %d and %q\n%s", tc.name, o.code, tc.code, tc.want, o.stderr)
		}
		if after := snapshot(t, dir); after != before {
			t.Fatalf("%s: files were changed", tc.name)
		}
	}
}

// TestOverwriteWhole: a disk that is too full for the new run leaves the old one as it was.
func TestOverwriteWhole(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("limits the size of files by a shell")
	}
	dir := workspace(t, 1500)
	train(t, dir, "r", "--set", "train.epochs=1")
	before := snapshot(t, filepath.Join(dir, "r"))
	c := exec.Command("sh", "-c", `ulimit -f 40; exec "$0" --config run.yaml --run r --overwrite --set seed=2`, filepath.Join(bin, "train"))
	c.Dir = dir
	if o := do(t, c); o.code != 1 || !strings.Contains(o.stderr, "file too large") {
		t.Errorf("exit %d, want 1 and the cause\n%s", o.code, o.stderr)
	}
	if after := snapshot(t, filepath.Join(dir, "r")); after != before {
		t.Error("the old run was changed")
	}
	train(t, dir, "r", "--overwrite", "--set", "train.epochs=1")
	if after := snapshot(t, filepath.Join(dir, "r")); after == before {
		t.Error("with room, it was not replaced")
	}
}

// TestTemporaryFiles: the next command on a directory sweeps what killed ones left, also if it goes on with the run.
func TestTemporaryFiles(t *testing.T) {
	dir := workspace(t, 1500)
	train(t, dir, "r", "--set", "train.epochs=1")
	dead := exec.Command(filepath.Join(bin, "train"), "--defaults", "lr")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	tmp := func(name string, pid int) string {
		return filepath.Join("r", filepath.Dir(name), fmt.Sprintf(".%s.%d-0.tmp", filepath.Base(name), pid))
	}
	names := []string{"model.safetensors", "metric", "last/state.json", "last/model-1.safetensors"}
	for _, name := range names {
		write(t, dir, tmp(name, dead.Process.Pid), "x")
	}
	write(t, dir, tmp("model.safetensors", os.Getpid()), "alive")
	train(t, dir, "r", "--set", "train.epochs=1", "--resume")
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, tmp(name, dead.Process.Pid))); err == nil {
			t.Errorf("%s stays", tmp(name, dead.Process.Pid))
		}
	}
	if got := read(t, dir, tmp("model.safetensors", os.Getpid())); !bytes.Equal(got, []byte("alive")) {
		t.Errorf("the temporary file of a live process has %q", got)
	}
}
