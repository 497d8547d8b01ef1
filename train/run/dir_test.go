package run_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/run"
)

// someConfig is what tells a run's config from other files of its name.
const someConfig = "seed: 1\nthreads: 0\ndata: {type: csv}\nmodel: {type: lr}\ntask: {type: binary_classification}\ntrain: {epochs: 1}\n"

// contents returns what put writes into a file: its name, but what a run writes into the files that it is known by.
func contents(name string) string {
	switch path.Base(name) {
	case "config.yaml":
		return someConfig
	case "merge.json":
		return `{"parents": [{"name": "a", "digest": "0123456789abcdef"}], "passed": "merge", "settings": "method: average", "seed": 1}`
	case "README.md":
		return "---\nlibrary_name: splice\n---\n"
	case "digest":
		return "0123456789abcdef-fedcba9876543210\n"
	}
	return name
}

// put makes files, and the directories that they lie in.
func put(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(contents(name)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// tree returns the files in a directory, by slash-separated path.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// written is a file of every entry, by the kind of the entry.
var written = map[run.Kind][]string{
	run.OfRun: {"config.yaml", "features.json.zst", "model.safetensors", "counts.safetensors", "result.json"},
	run.OfTraining: {
		"metrics.jsonl", "events.out.tfevents.1700000000.0", "start.json", "ema.safetensors", "swa.safetensors",
		"epochs/model-12.safetensors", "last/state.json", "last/model-3.safetensors", "last/optimizer-3.safetensors", "last/counts-3.safetensors",
		"last/averages-3-0.safetensors",
	},
	run.OfText: {
		"config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json",
		"merges.txt",
	},
	run.OfMerge:       {"merge.json", "table.json"},
	run.OfReport:      {"report.json", "report.md", "rows.png", "weights.png", "cosine.png", "barrier.png", "barrier-2.png"},
	run.OfCalibration: {"calibration.json", "reliability.png", "reliability.svg", "reliability-2.png", "reliability-2.svg"},
	run.OfTrainings: {
		"parents/digest", "parents/parent-a/model.safetensors", "parents/parent-a/last/state.json", "rows/digest",
		"rows/merge___training/training/metrics.jsonl", "rows/x/parent-b/epochs/model-1.safetensors",
	},
	run.OfCard: {"README.md"},
	run.OfLock: {".splice.lock"},
}

// foreign are names that are not a run's, however alike.
var foreign = []string{
	"notes.txt", "model.safetensors.old", "events.csv", "barrier-x.png", "last/notes.txt", "epochs/best.safetensors", "model-3.safetensors",
	"state.json",
	"digest", "last/model.safetensors", "results.json", "model.safetensors/x", "rows/table.csv",
}

func TestOwners(t *testing.T) {
	seen := map[string]bool{}
	for kind, files := range written {
		for _, f := range files {
			owners := run.Owners(f)
			if len(owners) != 1 || owners[0].Kind != kind && kind != run.OfTrainings {
				t.Errorf("owners of %s: %v, want one of kind %s", f, owners, kind)
				continue
			}
			seen[owners[0].Name] = true
		}
	}
	for _, e := range run.Entries() {
		if !seen[e.Name] {
			t.Errorf("no file of this test belongs to entry %s", e.Name)
		}
		if e.About == "" {
			t.Errorf("entry %s says nothing", e.Name)
		}
		for _, p := range append([]string{e.Name}, e.Inside...) {
			if _, err := path.Match(p, ""); err != nil {
				t.Errorf("entry %s: pattern %q: %v", e.Name, p, err)
			}
		}
	}
	for _, f := range foreign {
		if owners := run.Owners(f); len(owners) > 0 {
			t.Errorf("owners of %s: %v, want none", f, owners)
		}
	}
	for name, want := range map[string]string{
		run.EpochFile(12): "epochs", filepath.Join(run.LastDir, run.LastModel(7)): "last",
		filepath.Join(run.LastDir, run.LastOptimizer(7)): "last",
		filepath.Join(run.LastDir, run.LastCounts(7)):    "last", filepath.Join(run.LastDir, run.LastAverages(7, 2)): "last",
		run.BarrierFigure(1): "barrier.png", run.BarrierFigure(3): "barrier-[0-9]*.png",
	} {
		if owners := run.Owners(filepath.ToSlash(name)); len(owners) != 1 || owners[0].Name != want {
			t.Errorf("owners of %s: %v, want %s", name, owners, want)
		}
	}
}

func TestClear(t *testing.T) {
	dir := t.TempDir()
	var mine []string
	for kind, files := range written {
		put(t, dir, files...)
		if kind == run.OfTrainings || kind == run.OfLock {
			mine = append(mine, files...)
		}
	}
	put(t, dir, ".model.safetensors.123-0.tmp", "last/.state.json.123-1.tmp")
	others := []string{"notes.txt", "model.safetensors.old", ".notes.txt.1-0.tmp", "last/notes.txt", "epochs/best.safetensors"}
	put(t, dir, others...)
	if err := run.ClearResult(dir); err != nil {
		t.Fatal(err)
	}
	want := append(mine, others...)
	slices.Sort(want)
	if got := tree(t, dir); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("ClearResult leaves\n%v\nwant\n%v", got, want)
	}
	if err := run.Clear(dir); err != nil {
		t.Fatal(err)
	}
	want = append([]string{".splice.lock"}, others...)
	slices.Sort(want)
	if got := tree(t, dir); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("Clear leaves\n%v\nwant\n%v", got, want)
	}
	put(t, dir, "rows/table.csv", "parents/a/b") // no merge has marked them
	if err := run.Clear(dir); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); !slices.Contains(got, "rows/table.csv") || !slices.Contains(got, "parents/a/b") {
		t.Errorf("Clear removes directories that are no merge's: %v", got)
	}
	if err := run.Check(dir); err != nil {
		t.Errorf("what is left makes a run: %v", err)
	}
	if err := run.Clear(filepath.Join(dir, "none")); err != nil {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func TestPrepare(t *testing.T) {
	type options = run.PrepareOptions
	for _, tc := range []struct {
		name    string
		files   []string
		o       options
		wantErr string
		left    []string
	}{
		{"new", nil, options{}, "", nil},
		{"others' files", []string{"notes.txt", ".splice.lock"}, options{}, "", []string{"notes.txt", ".splice.lock"}},
		{"a run", []string{"config.yaml"}, options{}, "go on with it, replace it, or choose another directory", []string{"config.yaml"}},
		{"no run", []string{"model.safetensors"}, options{}, "is no run: choose another directory", []string{"model.safetensors"}},
		{
			"overwrite what is no run",
			[]string{"config.json", "model.safetensors", "tokenizer.json"},
			options{Overwrite: true},
			"is no run, so --overwrite removes nothing",
			[]string{"config.json", "model.safetensors", "tokenizer.json"},
		},
		{"overwrite others' files", []string{"notes.txt"}, options{Overwrite: true}, "", []string{"notes.txt"}},
		{
			"overwrite a run with a directory in a file's place",
			[]string{"config.yaml", "vocab.txt/mine"},
			options{Overwrite: true},
			"vocab.txt is not what a run calls so",
			[]string{"config.yaml", "vocab.txt/mine"},
		},
		{
			"overwrite a run with a file in a directory's place",
			[]string{"config.yaml", "last"},
			options{Overwrite: true},
			"last is not what a run calls so",
			[]string{"config.yaml", "last"},
		},
		{"a merge that was begun", []string{"parents/digest"}, options{}, "holds a run already (parents)", []string{"parents/digest"}},
		{"overwrite", []string{"merge.json", "model.safetensors", "table.json", "notes.txt"}, options{Overwrite: true}, "", []string{"notes.txt"}},
		{
			"resume",
			[]string{"config.yaml", "last/state.json", "metrics.jsonl"},
			options{Resume: true},
			"",
			[]string{"config.yaml", "last/state.json", "metrics.jsonl"},
		},
		{"resume before a checkpoint", []string{"config.yaml", "metrics.jsonl"}, options{Resume: true}, "", nil},
		{
			"resume a merge",
			[]string{"config.yaml", "model.safetensors", "merge.json"},
			options{Resume: true},
			"holds a merge (merge.json)",
			[]string{"config.yaml", "model.safetensors", "merge.json"},
		},
		{
			"resume what is no run",
			[]string{"model.safetensors", "config.json"},
			options{Resume: true},
			"is no run that --resume can go on with",
			[]string{"model.safetensors", "config.json"},
		},
		{
			"resume a state of no run",
			[]string{"last/state.json"},
			options{Resume: true},
			"is no run that --resume can go on with",
			[]string{"last/state.json"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "r")
			put(t, dir, tc.files...)
			checked, err := tc.o.Check(dir), run.Prepare(dir, tc.o)
			if (err == nil) != (tc.wantErr == "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Fatalf("error %v, want %q", err, tc.wantErr)
			}
			if (checked == nil) != (err == nil) {
				t.Errorf("Check says %v, Prepare %v", checked, err)
			}
			slices.Sort(tc.left)
			if got := tree(t, dir); !slices.Equal(slices.Sorted(slices.Values(got)), tc.left) {
				t.Errorf("left: %v, want %v", got, tc.left)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := run.Prepare(filepath.Join(file, "r"), options{}); err == nil {
		t.Error("a run inside of a file: no error")
	}
}

func TestDescribeAndOpen(t *testing.T) {
	dir := t.TempDir()
	err := run.Describe(dir, run.Description{
		Config: []byte("seed: 1\n"),
		Extra:  map[string][]byte{"config.json": []byte("{}"), "secret.bin": nil},
	})
	if err == nil || !strings.Contains(err.Error(), "secret.bin") || len(tree(t, dir)) > 0 {
		t.Errorf("a file without an owner: error %v, files %v", err, tree(t, dir))
	}
	_, err = run.Open(dir)
	if err == nil || !strings.Contains(err.Error(), "is not a run: it has no config.yaml") {
		t.Errorf("Open of an empty directory: %v", err)
	}
	if err := run.Describe(dir, run.Description{Config: []byte("seed: 1\n"), Extra: map[string][]byte{"config.json": []byte("{}")}}); err != nil {
		t.Fatal(err)
	}
	if got, want := tree(t, dir), []string{"config.json", "config.yaml"}; !slices.Equal(got, want) {
		t.Errorf("Describe writes %v, want %v", got, want)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "config.yaml")); err != nil || !bytes.Equal(b, []byte("seed: 1\n")) {
		t.Errorf("config.yaml: %q, %v", b, err)
	}
	_, err = run.Open(dir)
	for _, want := range []string{"has no model.safetensors", "has no features.json.zst"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open of a run that has a config alone: %v, want %q", err, want)
		}
	}
}

func TestKeptEpochs(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "epochs/model-2.safetensors", "epochs/model-10.safetensors", "epochs/model-1.safetensors", "epochs/model-x.safetensors",
		"epochs/model-03.safetensors", "epochs/4", "epochs/model-0.safetensors")
	if got, want := run.KeptEpochs(dir), []int{1, 2, 10}; !slices.Equal(got, want) {
		t.Errorf("KeptEpochs = %v, want %v", got, want)
	}
	if got := run.KeptEpochs(filepath.Join(dir, "none")); len(got) > 0 {
		t.Errorf("KeptEpochs of no run = %v", got)
	}
}

func TestOf(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "r/epochs/model-1.safetensors", "r/last/model-1.safetensors", "r/model.safetensors")
	for _, name := range []string{"r", "r/model.safetensors", "r/epochs/model-1.safetensors", "r/last/model-1.safetensors"} {
		if got, want := run.Of(filepath.Join(dir, name)), filepath.Join(dir, "r"); got != want {
			t.Errorf("Of(%s) = %s, want %s", name, got, want)
		}
	}
}

func TestFigures(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "rows.png", "barrier-2.png", "other.png", "report.json", ".rows.png.1-0.tmp")
	if got, want := run.Figures(dir), []string{"barrier-2.png", "rows.png"}; !slices.Equal(got, want) {
		t.Errorf("Figures = %v, want %v", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "other.png")); errors.Is(err, fs.ErrNotExist) {
		t.Error("Figures removes")
	}
}
