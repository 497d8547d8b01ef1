package run_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/run"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// link makes a symbolic link, or skips the test where the user may not.
func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, path); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip(err)
		}
		t.Fatal(err)
	}
}

func TestIsRun(t *testing.T) {
	merged := `{"__metadata__":{"format":"pt","splice.merge":"{}"}}`
	header := func(text string) string {
		return string(binary.LittleEndian.AppendUint64(nil, uint64(len(text)))) + text
	}
	for _, tc := range []struct {
		name, file, text string
		want             bool
	}{
		{"a run that has come to nothing yet", "config.yaml", someConfig, true},
		{"another tool's config", "config.yaml", "data: {path: x}\nmodel: {name: y}\ntrain: {}\nseed: 1\nthreads: 2\ntask: {}\n", false},
		{"a config of an experiment", "config.yaml", "data: {type: csv}\nmodel: {type: lr}\n", false},
		{"a list", "config.yaml", "- a\n", false},
		{"no YAML", "config.yaml", "seed: [1\n", false},
		{"an empty config", "config.yaml", "", false},
		{"a merge of files", "merge.json", contents("merge.json"), true},
		{"another merge.json", "merge.json", `{"parents": []}`, false},
		{"a truncated merge.json", "merge.json", contents("merge.json")[:40], false},
		{"a merge that was begun", "parents/digest", contents("digest"), true},
		{"a comparison that was begun", "rows/digest", contents("digest"), true},
		{"another digest", "rows/digest", "of the rows, by hand", false},
		{"a merged model alone", "model.safetensors", header(merged), true},
		{"a published model", "model.safetensors", header(`{"__metadata__":{"format":"pt"}}`), false},
		{"a model of no header", "model.safetensors", "abc", false},
		{"a state alone", "last/state.json", "{}", false},
		{"results", "result.json", "{}", false},
		{"a Hugging Face directory", "config.json", "{}", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, tc.file), tc.text)
			if got := run.IsRun(dir); got != tc.want {
				t.Errorf("IsRun = %v, want %v", got, tc.want)
			}
		})
	}
	if run.IsRun(filepath.Join(t.TempDir(), "none")) {
		t.Error("a directory that is not there is a run")
	}
}

// TestClearLinks: of symbolic links, nothing but the link is removed, wherever it lies; the directory itself may be one.
func TestClearLinks(t *testing.T) {
	base := t.TempDir()
	far, dir := filepath.Join(base, "far"), filepath.Join(base, "r")
	put(t, far, "model.safetensors", "last/state.json", "last/model-1.safetensors", "epochs/model-1.safetensors", "parents/digest",
		"parents/parent-a/model.safetensors", "rows/digest", "rows/x/metrics.jsonl", "one/model.safetensors", "state.json")
	want := tree(t, far)
	put(t, dir, "config.yaml", "rows/digest", "rows/x/config.yaml", "rows/x/notes.txt", "last/state.json", "rows/y/last/mine.txt")
	for _, name := range []string{"model.safetensors", "epochs", "parents"} {
		link(t, filepath.Join(far, name), filepath.Join(dir, name))
	}
	link(t, filepath.Join(far, "one"), filepath.Join(dir, "rows", "linked"))
	link(t, filepath.Join(far, "last"), filepath.Join(dir, "rows", "x", "last"))
	link(t, filepath.Join(far, "state.json"), filepath.Join(dir, "rows", "x", "mine"))
	link(t, filepath.Join(far, "one", "model.safetensors"), filepath.Join(dir, "last", "model-7.safetensors"))
	link(t, dir, filepath.Join(base, "alias"))
	if err := run.Prepare(filepath.Join(base, "alias"), run.PrepareOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, far); !slices.Equal(got, want) {
		t.Errorf("what links name has\n%v\nwant\n%v", got, want)
	}
	if got, want := tree(t, dir), []string{"rows/x/mine", "rows/x/notes.txt", "rows/y/last/mine.txt"}; !slices.Equal(got, want) {
		t.Errorf("left\n%v\nwant\n%v", got, want)
	}
	if _, err := os.Lstat(filepath.Join(base, "alias")); err != nil {
		t.Errorf("the link that names the run: %v", err)
	}
}

// TestSweepLast: earlier states go, and nothing that a run does not write.
func TestSweepLast(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "state.json", "model-1.safetensors", "model-2.safetensors", "optimizer-1.safetensors", "notes.txt", "model.bin",
		".model-3.safetensors.1-0.tmp", "model-5.safetensors/x")
	run.SweepLast(dir, "state.json", "model-2.safetensors")
	if got, want := tree(t, dir), []string{"model-2.safetensors", "model-5.safetensors/x", "model.bin", "notes.txt", "state.json"}; !slices.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
}

// TestInputs: what a run reads is never where its own files are.
func TestInputs(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "r")
	put(t, dir, "config.yaml", "rows.csv", "vocab.txt", "metrics.jsonl", "rows/part.csv", "parents/a/model.safetensors", "data/model.safetensors",
		"epochs/model-1.safetensors")
	put(t, base, "outside.csv")
	link(t, filepath.Join(dir, "vocab.txt"), filepath.Join(base, "link.csv"))
	link(t, filepath.Join(base, "outside.csv"), filepath.Join(dir, "swa.safetensors"))
	link(t, dir, filepath.Join(base, "alias"))
	for path, bad := range map[string]bool{
		"r/rows.csv": false, "outside.csv": false, "r": false, ".": false, "none.csv": false, "r/data/model.safetensors": false, "r/data": false,
		"r/vocab.txt": true, "r/metrics.jsonl": true, "r/rows/part.csv": true, "r/parents/a": true, "r/parents/a/model.safetensors": true,
		"r/epochs/model-1.safetensors": true, "link.csv": true, "r/swa.safetensors": true, "alias/vocab.txt": true, "r/r*/p*.csv": true,
		"r/../r/vocab.txt": true, "r/*.jsonl": true, "r/rows": true,
	} {
		o := run.PrepareOptions{Overwrite: true, Inputs: []run.Input{{Key: "data.path", Path: filepath.Join(base, path)}}}
		for _, at := range []string{dir, filepath.Join(base, "alias")} {
			err := o.Check(at)
			if (err != nil) != bad || bad && (!strings.Contains(err.Error(), "data.path: "+filepath.Join(base, path[:1])) ||
				!strings.Contains(err.Error(), "choose another directory")) {
				t.Errorf("%s: error %v, want one: %v", path, err, bad)
			}
		}
	}
}

// TestCheckOutput: nobody writes over a run's files by the way.
func TestCheckOutput(t *testing.T) {
	base := t.TempDir()
	put(t, base, "r/config.yaml", "r/parents/digest", "hf/config.json")
	link(t, filepath.Join(base, "r"), filepath.Join(base, "alias"))
	for path, bad := range map[string]bool{
		"r/scores.txt": false, "scores.txt": false, "r/more/model.safetensors": false, "hf/model.safetensors": false, "model.safetensors": false,
		"r/model.safetensors": true, "r/config.yaml": true, "r/last/scores.txt": true, "r/parents/a/scores.txt": true, "alias/result.json": true,
		"r/.splice.lock": true,
	} {
		if err := run.CheckOutput(filepath.Join(base, path)); (err != nil) != bad {
			t.Errorf("%s: %v, want an error: %v", path, err, bad)
		}
	}
}

// ended returns the number of a process that has ended.
func ended(t *testing.T) int {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^$")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid
}

// TestSweep: temporary files that killed commands left in a run go, trainings of a merge included; those of live processes, those for
// other names and what links lead to stay.
func TestSweep(t *testing.T) {
	base := t.TempDir()
	dir, far := filepath.Join(base, "r"), filepath.Join(base, "far")
	dead := ended(t)
	tmp := func(pid int, dir, name string) string { return fmt.Sprintf("%s.%s.%d-0.tmp", dir, name, pid) }
	put(t, dir, "config.yaml", "rows/digest", "last/state.json",
		tmp(dead, "", "model.safetensors"), tmp(dead, "", "metric"), tmp(dead, "last/", "model-7.safetensors"), tmp(dead, "epochs/", "model-1.safetensors"),
		tmp(dead, "rows/", "digest"), tmp(dead, "rows/x/", "model.safetensors"), tmp(dead, "rows/x/y/last/", "state.json"))
	stay := []string{
		"config.yaml", "last/state.json", "rows/digest", tmp(dead, "", "notes.txt"), tmp(os.Getppid(), "", "model.safetensors"),
		tmp(dead, "parents/x/", "model.safetensors"), tmp(dead, "mine/", "model.safetensors"), // no merge has marked it
	}
	put(t, dir, stay...)
	put(t, far, tmp(dead, "", "model.safetensors"))
	link(t, far, filepath.Join(dir, "rows", "linked"))
	stay = append(stay, "rows/linked")
	run.Sweep(dir)
	slices.Sort(stay)
	if got := slices.Sorted(slices.Values(tree(t, dir))); !slices.Equal(got, stay) {
		t.Errorf("left\n%v\nwant\n%v", got, stay)
	}
	if got := tree(t, far); len(got) != 1 {
		t.Errorf("what a link names has %v", got)
	}
}

// TestPlace: a directory that is removed, moved or replaced is told from the one that was held.
func TestPlace(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open directory cannot be removed")
	}
	for _, tc := range []struct {
		name string
		do   func(dir string) error
		want string
	}{
		{"nothing", func(string) error { return nil }, ""},
		{"a file more", func(dir string) error { return os.WriteFile(filepath.Join(dir, "x"), nil, 0o666) }, ""},
		{"removed", os.RemoveAll, "was removed or moved"},
		{"moved", func(dir string) error { return os.Rename(dir, dir+"2") }, "was removed or moved"},
		{"replaced", func(dir string) error {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			return os.Mkdir(dir, 0o777)
		}, "was replaced"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "r")
			put(t, dir, "config.yaml")
			p, err := run.Hold(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if err := tc.do(dir); err != nil {
				t.Fatal(err)
			}
			if err := p.Check(); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := run.Hold(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a directory that is not there is held")
	}
}

// TestReleaseReplaced: a lock whose directory was replaced does not take the lock of a command that writes there now.
func TestReleaseReplaced(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a directory with an open file cannot be moved")
	}
	dir := filepath.Join(t.TempDir(), "r")
	first := acquire(t, dir)
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	second := acquire(t, dir)
	if err := first.Release(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, run.LockFile)); err != nil {
		t.Errorf("the second command's lock: %v", err)
	}
	if err := second.Release(); err != nil {
		t.Error(err)
	}
}

// TestRestore: parts of a description that are gone or changed are written again.
func TestRestore(t *testing.T) {
	dir := t.TempDir()
	d := run.Description{
		Config: []byte(someConfig), Map: &data.FeatureMap{Version: data.MapVersion, Features: []data.MapFeature{{Name: "a", Kind: data.Numeric, Transform: data.Standardize, Std: 1}}}, Extra: map[string][]byte{"config.json": []byte("{}"), "vocab.txt": []byte("a\n")},
	}
	if err := run.Describe(dir, d); err != nil {
		t.Fatal(err)
	}
	if lost, err := run.Restore(dir, d); err != nil || len(lost) > 0 {
		t.Errorf("of a whole run: %v, %v", lost, err)
	}
	want := tree(t, dir)
	for _, name := range []string{"config.yaml", "config.json", "features.json.zst"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(dir, "vocab.txt"), "b\n")
	lost, err := run.Restore(dir, d)
	if want := []string{"config.yaml", "config.json", "vocab.txt", "features.json.zst"}; err != nil || !slices.Equal(lost, want) {
		t.Errorf("lost %v, %v; want %v", lost, err, want)
	}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("restored %v, want %v", got, want)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "vocab.txt")); err != nil || string(b) != "a\n" {
		t.Errorf("vocab.txt is %q, %v", b, err)
	}
}

// TestSpill: temporary files of metrics are in the run's directory, and elsewhere only if that cannot be written.
func TestSpill(t *testing.T) {
	dir, tmp := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp) // Windows
	for _, tc := range []struct{ dir, want string }{{dir, dir}, {filepath.Join(dir, "none"), tmp}} {
		f, err := run.Spill(tc.dir)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Dir(f.Name()) != tc.want {
			t.Errorf("for %s: %s", tc.dir, f.Name())
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRoom: room is tried, and nothing is left of the trial.
func TestRoom(t *testing.T) {
	dir := t.TempDir()
	if err := run.Room(dir, nn.NewParams(1)); err != nil {
		t.Error(err)
	}
	if got := tree(t, dir); len(got) > 0 {
		t.Errorf("left %v", got)
	}
	if err := run.Room(filepath.Join(dir, "none"), nn.NewParams(1)); err == nil {
		t.Error("a directory that is not there has room")
	}
}
