package cmd_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splice-ml/splice/train/run"
)

// filesOf returns the files of a run's directory, trainings of a merge included, and fails the test for one that is not in exactly
// one place of the table of names.
func filesOf(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if owners := run.Owners(path); len(owners) != 1 {
			t.Errorf("%s of %s has %d owners in the table of package train/run, want one: %v", path, dir, len(owners), owners)
		}
		out = append(out, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// kinds returns the kinds of a directory's files.
func kinds(files []string) (all []run.Kind) {
	for _, f := range files {
		for _, e := range run.Owners(f) {
			if first, _, nested := strings.Cut(f, "/"); nested && (first == "parents" || first == "rows") {
				e.Kind = run.OfTrainings
			}
			if !slices.Contains(all, e.Kind) {
				all = append(all, e.Kind)
			}
		}
	}
	slices.Sort(all)
	return all
}

// TestOneDirectory trains, finetunes and merges into one directory, in turn: after each command the directory has the files that the
// command leaves in a fresh one, and nothing of the command before.
func TestOneDirectory(t *testing.T) {
	dir := workspace(t, 1500)
	small := []string{"--set", "train.epochs=2", "--set", "model.hidden_units=[8]", "--set", "train.checkpoint_steps=0"}
	for _, p := range []struct{ name, seed string }{{"a", "1"}, {"b", "2"}} {
		if o := execute(t, dir, "train", append(small, "--config", "run.yaml", "--run", p.name, "--quiet", "--set", "seed="+p.seed)...); o.code != 0 {
			t.Fatalf("parent %s: exit %d\n%s", p.name, o.code, o.stderr)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "text"), 0o777); err != nil {
		t.Fatal(err)
	}
	writeTextspace(t, filepath.Join(dir, "text"))
	write(t, dir, "made.yaml", config+"merge: {regime: {type: shared_init}, report: true, controls: true, finetune: {epochs: 1}}\n")
	write(t, dir, "given.yaml", "merge: {parents: [a, b], report: false, finetune: {epochs: 0}}\n")
	write(t, dir, "bare.yaml", "merge: {parents: [a.safetensors, b.safetensors]}\n")
	for _, p := range []string{"a", "b"} {
		write(t, dir, p+".safetensors", string(read(t, dir, p, "model.safetensors")))
	}
	words := []string{
		"--config", filepath.Join("text", "run.yaml"), "--set", "data.path=" + filepath.Join("text", "rows.tsv"),
		"--set", "train.epochs=1",
	}
	steps := []struct {
		name, command string
		args          []string
		want          []run.Kind
	}{
		{"a training", "train", append(small, "--config", "run.yaml"), []run.Kind{run.OfRun, run.OfTraining}},
		{
			"a merge with parents of its own and a report", "cki", append(small, "--config", "made.yaml"),
			[]run.Kind{run.OfMerge, run.OfReport, run.OfRun, run.OfTrainings},
		},
		{
			"a training with averages", "train",
			append(small, "--config", "run.yaml", "--set", "train.ema=0.9", "--set", "train.swa_start=1", "--set", "train.keep_epochs=true"),
			[]run.Kind{run.OfRun, run.OfTraining},
		},
		{"a merge of files", "cki", []string{"--config", "bare.yaml"}, []run.Kind{run.OfMerge, run.OfRun}},
		{"a training of texts", "train", words, []run.Kind{run.OfRun, run.OfText, run.OfTraining}},
		{"a merge of given parents", "cki", []string{"--config", "given.yaml"}, []run.Kind{run.OfMerge, run.OfRun, run.OfTrainings}},
		{"a finetuning", "finetune", []string{"--from", "a"}, []run.Kind{run.OfRun, run.OfTraining}},
		{"the merge of given parents again", "cki", []string{"--config", "given.yaml"}, []run.Kind{run.OfMerge, run.OfRun, run.OfTrainings}},
		{"the first training again", "train", append(small, "--config", "run.yaml"), []run.Kind{run.OfRun, run.OfTraining}},
	}
	names := func(files []string) (out []string) {
		for _, f := range files {
			if strings.HasPrefix(f, "events.") {
				f = "events" // the name has the time
			}
			out = append(out, f)
		}
		return out
	}
	for i, s := range steps {
		if i > 0 {
			before := filesOf(t, filepath.Join(dir, "one"))
			if o := execute(t, dir, s.command, append(s.args, "--run", "one", "--quiet")...); o.code != 2 ||
				!strings.Contains(o.stderr, "--overwrite") {
				t.Errorf("%s, without --overwrite: exit %d\n%s", s.name, o.code, o.stderr)
			}
			if after := filesOf(t, filepath.Join(dir, "one")); !slices.Equal(after, before) {
				t.Errorf("%s, refused, leaves\n%v\nof\n%v", s.name, after, before)
			}
		}
		for _, to := range []string{"one", "fresh"} {
			if o := execute(t, dir, s.command, append(s.args, "--run", to, "--quiet", "--overwrite")...); o.code != 0 {
				t.Fatalf("%s into %s: exit %d\n%s", s.name, to, o.code, o.stderr)
			}
		}
		one, fresh := filesOf(t, filepath.Join(dir, "one")), filesOf(t, filepath.Join(dir, "fresh"))
		if !slices.Equal(names(one), names(fresh)) {
			t.Errorf("%s leaves\n%v\nand in a fresh directory\n%v", s.name, one, fresh)
		}
		if got := kinds(one); !slices.Equal(got, s.want) {
			t.Errorf("%s leaves files of the kinds %v, want %v:\n%v", s.name, got, s.want, one)
		}
		for _, f := range []string{"model.safetensors", "merge.json"} {
			if _, err := os.Stat(filepath.Join(dir, "fresh", f)); err != nil {
				continue
			}
			if string(read(t, dir, "one", f)) != string(read(t, dir, "fresh", f)) {
				t.Errorf("%s: %s is another one than in a fresh directory", s.name, f)
			}
		}
		if err := os.RemoveAll(filepath.Join(dir, "fresh")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTwoCommandsOneDirectory: while a command writes into a directory others that would, too, are refused with who it is, and it ends
// as if they had not been. A command that was killed holds nobody off.
func TestTwoCommandsOneDirectory(t *testing.T) {
	dir := workspace(t, 3000)
	long := []string{"--set", "train.epochs=12", "--set", "train.patience=0"}
	train(t, dir, "alone", long...)
	write(t, dir, "made.yaml", config+"merge: {regime: {type: shared_init}}\n")
	first := command(dir, "train", append([]string{"--config", "run.yaml", "--run", "one"}, long...)...)
	var log bytes.Buffer
	first.Stderr = &log
	begin := func(c *exec.Cmd, file string) {
		t.Helper()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for range 3000 {
			if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
		t.Fatalf("no %s", file)
	}
	begin(first, "one/.splice.lock")
	for _, c := range [][]string{
		{"train", "--config", "run.yaml", "--run", "one"},
		{"train", "--config", "run.yaml", "--run", "one", "--overwrite"},
		{"train", "--config", "run.yaml", "--run", "one", "--resume"},
		{"finetune", "--from", "alone", "--run", "one", "--overwrite"},
		{"cki", "--config", "made.yaml", "--run", "one", "--overwrite"},
	} {
		o := execute(t, dir, c[0], c[1:]...)
		if want := fmt.Sprintf("process %d on ", first.Process.Pid); o.code != 2 || !strings.Contains(o.stderr, want) ||
			!strings.Contains(o.stderr, "train --config run.yaml --run one") {
			t.Errorf("%v beside another command: exit %d, want 2 and %q\n%s", c, o.code, want, o.stderr)
		}
	}
	if o := execute(t, dir, "evaluate", "--run", "alone"); o.code != 0 {
		t.Errorf("a command that reads another run: exit %d\n%s", o.code, o.stderr)
	}
	if err := first.Wait(); err != nil {
		t.Fatalf("the first command: %v\n%s", err, log.String())
	}
	if !bytes.Equal(read(t, dir, "one", "model.safetensors"), read(t, dir, "alone", "model.safetensors")) {
		t.Error("the first command made another model than alone")
	}
	filesOf(t, filepath.Join(dir, "one"))
	if _, err := os.Stat(filepath.Join(dir, "one", ".splice.lock")); err == nil {
		t.Error("the lock's file stays behind")
	}
	second := command(dir, "cki", "--config", "made.yaml", "--run", "m")
	begin(second, "m/parents/digest")
	if o := execute(t, dir, "train", "--config", "run.yaml", "--run", "m/parents/base"); o.code != 2 ||
		!strings.Contains(o.stderr, fmt.Sprintf("process %d on ", second.Process.Pid)) {
		t.Errorf("a training within a merge that is being made: exit %d\n%s", o.code, o.stderr)
	}
	if err := second.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = second.Wait() // it was killed
	if _, err := os.Stat(filepath.Join(dir, "m", ".splice.lock")); err != nil {
		t.Error("the lock's file of the killed command is not there, so that nothing is tested")
	}
	train(t, dir, "m", "--overwrite")
	for _, f := range filesOf(t, filepath.Join(dir, "m")) {
		if strings.HasPrefix(f, "parents/") || f == ".splice.lock" {
			t.Errorf("the training over the killed merge leaves %s", f)
		}
	}
	for _, c := range [][]string{ // bad input leaves no directory behind
		{"train", "--config", "run.yaml", "--run", "new/x", "--set", "data.path=none.tsv"},
		{"cki", "--config", "made.yaml", "--run", "new/y", "--set", "data.path=none.tsv"},
	} {
		if o := execute(t, dir, c[0], c[1:]...); o.code != 2 {
			t.Errorf("%v: exit %d\n%s", c, o.code, o.stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("commands that failed leave an empty directory")
	}
}
