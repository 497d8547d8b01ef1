package merge_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/merge"
	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/cki/method"
	"github.com/splice-ml/splice/cki/regime"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// desk is a merge in a directory of its own, and what it called.
type desk struct {
	*merge.Job
	lab       cki.Lab
	described []string // directories of parents
	trainings int
	passed    *compare.Row
}

// someConfig is what tells a run's config from other files of its name.
const someConfig = "seed: 1\nthreads: 0\ndata: {type: csv}\nmodel: {type: lr}\ntask: {type: binary_classification}\ntrain: {epochs: 1}\n"

func newDesk(t *testing.T) *desk {
	t.Helper()
	o := cki.DefaultOptions()
	o.Regime, o.Report, o.Finetune.Epochs = regime.SharedInit{Count: 2}, false, 0
	d := &desk{lab: *mergetest.Lab(t, mergetest.Model())}
	d.lab.Data.Test = nil
	rows, ok := d.lab.Data.Train.(*data.Memory)
	if !ok {
		t.Fatalf("training rows are %T", d.lab.Data.Train)
	}
	rows.Shuffle = true
	d.Job = &merge.Job{
		Dir: filepath.Join(t.TempDir(), "run"), Options: o, Settings: "the settings", Model: "mlp", Data: "rows", Seed: 3, Digest: "00000000000c0f19",
		Making: "0000000000000a11",
		Log:    slog.New(slog.DiscardHandler),
		Describe: func(dir string, _ *data.Splits, trained *train.Options) error {
			if trained != nil {
				d.described = append(d.described, filepath.Base(dir))
			}
			return run.Write(dir, run.ConfigFile, []byte(someConfig))
		},
		Result:    func(r *compare.Row, _ string) error { d.passed = r; return nil },
		Callbacks: func(train.Options) []train.Callback { d.trainings++; return nil },
	}
	return d
}

func (d *desk) merge(t *testing.T) *compare.Table {
	t.Helper()
	table, err := d.Run(t.Context(), d.lab, nil)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// refused checks an error that is the user's to mend.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	var in *run.InputError
	if !errors.As(err, &in) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v (%T), want a mistake of the user with %q", err, err, want)
	}
}

func TestRun(t *testing.T) {
	d := newDesk(t)
	d.Options.Report = true
	first := d.merge(t)
	if first.Passed != compare.RowMerge && first.Passed != compare.RowBestParent || first.Rows.Get(compare.RowMerge) == nil ||
		d.passed.Name != first.Passed {
		t.Errorf("passed on %s (%v), rows %v", first.Passed, d.passed, first.Rows)
	}
	if !slices.Equal(d.described, []string{"parent-a", "parent-b"}) || d.trainings != 2 {
		t.Errorf("%d trainings, described %v", d.trainings, d.described)
	}
	for _, name := range []string{
		run.ConfigFile, run.ModelFile, run.MergeFile, run.TableFile, run.ReportFile, run.MarkdownFile,
		"parents/parent-b/model.safetensors",
	} {
		if _, err := os.Stat(filepath.Join(d.Dir, name)); err != nil {
			t.Error(err)
		}
	}
	var from merge.Provenance
	b, err := os.ReadFile(filepath.Join(d.Dir, run.MergeFile))
	if err == nil {
		err = json.Unmarshal(b, &from)
	}
	if err != nil || from.Passed != first.Passed || from.Settings != "the settings" || len(from.Parents) != 2 ||
		from.Parents[0].Digest == from.Parents[1].Digest {
		t.Errorf("%s: %+v, %v", run.MergeFile, from, err)
	}
	if got := digest(t, d.Dir); got != first.ModelDigest {
		t.Errorf("the model is %s, its table says %s", got, first.ModelDigest)
	}
	again := d.merge(t)
	if d.trainings != 2 || !reflect.DeepEqual(first, again) {
		t.Errorf("after %d trainings, again:\n%+v\nwant\n%+v", d.trainings, again, first)
	}
}

// digest identifies the model in a directory.
func digest(t *testing.T, dir string) string {
	t.Helper()
	d, err := cki.Digest(open(t, filepath.Join(dir, run.ModelFile))[0])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestNotDone: what is in the directory is a merge that is done only with the model that it made.
func TestNotDone(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, d *desk)
		want  string // the mistake; empty: the merge is made
	}{
		{"as it was", func(*testing.T, *desk) {}, ""},
		{"another model", func(t *testing.T, d *desk) { spoilModel(t, d, 1) }, "is not the model that the merge made"},
		{"a table of an earlier version", func(t *testing.T, d *desk) { withoutModelDigest(t, d) }, ""},
		{"a table of an earlier version, another model", func(t *testing.T, d *desk) {
			withoutModelDigest(t, d)
			c, err := ckpt.Load(filepath.Join(d.Dir, run.ModelFile))
			if err == nil {
				c.Meta = nil
				err = ckpt.Save(filepath.Join(d.Dir, run.ModelFile), c)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "is not the model that the merge made"},
		{"another config", func(_ *testing.T, d *desk) { d.Digest = "0000000000000123" }, "of another config or of other parents"},
		{"a table that is none", func(t *testing.T, d *desk) {
			if err := run.Write(d.Dir, run.TableFile, []byte("{")); err != nil {
				t.Fatal(err)
			}
		}, "remove it to merge again"},
		{"trained since", func(t *testing.T, d *desk) {
			if err := run.Prepare(d.Dir, run.PrepareOptions{Overwrite: true}); err != nil {
				t.Fatal(err)
			}
			c := train.Snapshot(mergetest.Params(t, mergetest.Model(), 1))
			if err := errors.Join(run.Write(d.Dir, run.ConfigFile, []byte(someConfig)), ckpt.Save(filepath.Join(d.Dir, run.ModelFile), c)); err != nil {
				t.Fatal(err)
			}
		}, "holds a run already"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDesk(t)
			made := d.merge(t).ModelDigest
			tc.spoil(t, d)
			before := read(t, d.Dir, run.ModelFile)
			_, err := d.Run(t.Context(), d.lab, nil)
			if tc.want == "" {
				if err != nil || d.trainings != 2 {
					t.Errorf("%d trainings, %v", d.trainings, err)
				}
				return
			}
			refused(t, err, tc.want)
			if !slices.Equal(before, read(t, d.Dir, run.ModelFile)) {
				t.Error("the model was changed")
			}
			d.Overwrite = true
			d.merge(t)
			if got := digest(t, d.Dir); got != made {
				t.Errorf("with --overwrite the model is %s, want %s", got, made)
			}
		})
	}
}

func spoilModel(t *testing.T, d *desk, k int) {
	t.Helper()
	old, err := ckpt.Load(filepath.Join(d.Dir, run.ModelFile))
	if err != nil {
		t.Fatal(err)
	}
	c := train.Snapshot(mergetest.Params(t, mergetest.Model(), k))
	c.Meta = old.Meta
	if err := ckpt.Save(filepath.Join(d.Dir, run.ModelFile), c); err != nil {
		t.Fatal(err)
	}
}

func withoutModelDigest(t *testing.T, d *desk) {
	t.Helper()
	table, err := compare.ReadTable(d.Dir)
	if err != nil {
		t.Fatal(err)
	}
	table.ModelDigest = ""
	b, err := json.Marshal(table)
	if err == nil {
		err = run.Write(d.Dir, run.TableFile, b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestModelGone: a comparison whose model was removed is made again.
func TestModelGone(t *testing.T) {
	d := newDesk(t)
	d.merge(t)
	want := read(t, d.Dir, run.ModelFile)
	if err := os.Remove(filepath.Join(d.Dir, run.ModelFile)); err != nil {
		t.Fatal(err)
	}
	if table, err := d.Done(nil); table != nil || err != nil {
		t.Errorf("done: %v, %v", table, err)
	}
	d.merge(t)
	if !slices.Equal(read(t, d.Dir, run.ModelFile), want) {
		t.Error("the merge came to another model")
	}
}

// TestForeignDirectory: what is no merge's is not written over unasked, and what is no run's is not even if asked.
func TestForeignDirectory(t *testing.T) {
	for _, tc := range []struct{ name, text, want, overwriting string }{
		{run.ConfigFile, someConfig, "holds a run already", ""},
		{run.ConfigFile, "another tool's", "is no run", "is no run"},
		{"parents/notes.txt", "x", "is not of a merge", "is not of a merge"},
		{"rows/notes.txt", "x", "is not of a merge", "is not of a merge"},
		{"parents/" + "digest", "0000000000000123", "holds what another config made", ""},
		{"parents/" + "digest", "of mine", "is not of a merge", "is not of a merge"},
		{"model.safetensors", "x", "is no run", "is no run"},
		{"metrics.jsonl", "x", "is no run", "is no run"},
		{"epochs/model-1.safetensors", "x", "is no run", "is no run"},
	} {
		d := newDesk(t)
		path := filepath.Join(d.Dir, tc.name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(tc.text), 0o666)); err != nil {
			t.Fatal(err)
		}
		_, err := d.Run(t.Context(), d.lab, nil)
		refused(t, err, tc.want)
		d.Overwrite = true
		if tc.overwriting == "" {
			d.merge(t)
			continue
		}
		_, err = d.Run(t.Context(), d.lab, nil)
		refused(t, err, tc.overwriting)
		if string(read(t, path)) != tc.text || d.trainings > 0 {
			t.Errorf("%s: %d trainings, the file has %q", tc.name, d.trainings, read(t, path))
		}
	}
}

// TestInterrupted: a merge that is interrupted and started again comes to what one that was not comes to.
func TestInterrupted(t *testing.T) {
	whole := newDesk(t)
	whole.Options.Finetune.Epochs = 1
	want := whole.merge(t)
	d := newDesk(t)
	d.Options.Finetune.Epochs = 1
	for stop := 1; stop <= 3; stop++ {
		ctx, cancel := context.WithCancel(t.Context())
		d.trainings = 0
		d.Callbacks = func(train.Options) []train.Callback {
			if d.trainings++; d.trainings == stop {
				cancel()
			}
			return nil
		}
		if _, err := d.Run(ctx, d.lab, nil); err == nil {
			t.Fatalf("training %d of the merge was not interrupted", stop)
		}
		cancel()
		if table, err := d.Done(nil); table != nil || err != nil {
			t.Errorf("interrupted, and done: %v, %v", table, err)
		}
	}
	d.Callbacks = nil
	got := d.merge(t)
	for i, r := range want.Rows {
		if g := got.Rows[i]; g.Name != r.Name || !reflect.DeepEqual(g.Valid, r.Valid) {
			t.Errorf("row %s: %v, uninterrupted %v", g.Name, g.Valid, r.Valid)
		}
	}
	if got.ModelDigest != want.ModelDigest {
		t.Errorf("model %s, uninterrupted %s", got.ModelDigest, want.ModelDigest)
	}
}

// checkpoints writes parents' tensors as files.
func checkpoints(t *testing.T, n int) []string {
	t.Helper()
	var paths []string
	for k := range n {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := ckpt.Save(path, train.Snapshot(mergetest.Params(t, mergetest.Model(), k))); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func open(t *testing.T, paths ...string) []*cki.Parent {
	t.Helper()
	parents, err := merge.OpenParents(paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { merge.CloseParents(parents) })
	return parents
}

// TestGivenParents: a merge is known by the values of its parents, too.
func TestGivenParents(t *testing.T) {
	d := newDesk(t)
	d.Options.Method = method.Average{Rows: "equal"}
	parents := open(t, checkpoints(t, 3)...)
	first, err := d.Run(t.Context(), d.lab, parents[:2])
	if err != nil || d.trainings != 0 {
		t.Fatalf("%d trainings, %v", d.trainings, err)
	}
	if again, err := d.Done(parents[:2]); err != nil || !reflect.DeepEqual(first, again) {
		t.Errorf("again: %+v, %v", again, err)
	}
	_, err = d.Done([]*cki.Parent{parents[0], parents[2]})
	refused(t, err, "of other parents")
	_, err = d.Run(t.Context(), d.lab, []*cki.Parent{parents[0], parents[0]})
	refused(t, err, "is the same run as")
	d.Dir = filepath.Dir(parents[1].Name)
	_, err = d.Run(t.Context(), d.lab, parents[:2])
	refused(t, err, "over parent "+parents[1].Name)
}

func TestFiles(t *testing.T) {
	d := newDesk(t)
	d.Options.Method = method.Average{Rows: "equal"}
	parents := open(t, checkpoints(t, 2)...)
	path, err := d.Files(t.Context(), parents)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ckpt.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var from merge.Provenance
	if err := json.Unmarshal([]byte(c.Meta["splice.merge"]), &from); err != nil || len(from.Parents) != 2 || from.Passed != compare.RowMerge {
		t.Errorf("the model says it is of %+v, %v", from, err)
	}
	const name = "mlp.0.weight"
	a, b := mergetest.Values(t, parents[0])[name], mergetest.Values(t, parents[1])[name]
	for i, v := range c.Get(name).Data {
		if want := float32(.5*float64(a[i]) + .5*float64(b[i])); v != want {
			t.Fatalf("%s: value %d is %v, want %v", name, i, v, want)
		}
	}
	_, err = d.Files(t.Context(), parents)
	refused(t, err, "holds a run already")
	if err := run.Write(d.Dir, run.TableFile, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	d.Overwrite = true
	if _, err := d.Files(t.Context(), parents); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(d.Dir, run.TableFile)); err == nil {
		t.Error("the comparison of what was replaced is still there")
	}
	d.Options.Align.Match = "weights"
	_, err = d.Files(t.Context(), parents)
	refused(t, err, "alignment needs the model")
	d.Options.Align.Match, d.Dir = "none", filepath.Dir(parents[0].Name)
	_, err = d.Files(t.Context(), parents)
	refused(t, err, "over parent "+parents[0].Name)
	_, err = merge.OpenParents([]string{"none", parents[0].Name, "nothing"}, nil)
	refused(t, err, "parent none: there is no such run")
	refused(t, err, "parent nothing: there is no such run")
}

// TestPublishedFiles: the merge of two Hugging Face directories is one too.
func TestPublishedFiles(t *testing.T) {
	d := newDesk(t)
	d.Options.Method = method.Average{Rows: "equal"}
	dir := t.TempDir()
	files := map[string]string{"config.json": `{"model_type": "bert"}`, "vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n", "special_tokens_map.json": "{}"}
	var paths []string
	for i, name := range []string{"bert.w", "w"} {
		path := filepath.Join(dir, name)
		c := &ckpt.Checkpoint{Tensors: []ckpt.Tensor{{Name: name, Shape: []int{1}, DType: ckpt.BF16, Raw: []byte{byte(0x80 * i), 0x3f}}}}
		if err := os.MkdirAll(path, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := ckpt.Save(filepath.Join(path, run.ModelFile), c); err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			if err := run.Write(path, name, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := run.Write(path, "README.md", []byte("of the parent alone")); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	parents, err := merge.OpenParents(paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { merge.CloseParents(parents) })
	path, err := d.Files(t.Context(), parents)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ckpt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Meta["format"] != "pt" || len(f.Tensors) != 1 || f.Tensors[0].Name != "bert.w" || f.Tensors[0].DType != ckpt.BF16 {
		t.Errorf("metadata %v, tensors %v", f.Meta, f.Tensors)
	}
	if x, err := f.Read("bert.w"); err != nil || x[0] != .75 { // of 1/2 and 1
		t.Errorf("bert.w: %v, %v", x, err)
	}
	for name, text := range files {
		if b, err := os.ReadFile(filepath.Join(d.Dir, name)); err != nil || string(b) != text {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if _, err := os.Stat(filepath.Join(d.Dir, "README.md")); err == nil {
		t.Error("files of no table are copied")
	}
	d.Overwrite = true
	if _, err := d.Files(t.Context(), parents); err != nil {
		t.Errorf("once more: %v", err)
	}
}

// A merge that was killed while it marked the directory of its trainings is made again.
func TestKilledWhileItBegan(t *testing.T) {
	d := newDesk(t)
	for _, name := range []string{run.ParentsDir, run.RowsDir} {
		path := filepath.Join(d.Dir, name, ".digest.999999999-0.tmp")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, nil, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	d.merge(t)
	if left, _ := filepath.Glob(filepath.Join(d.Dir, "*", ".digest.*")); len(left) > 0 {
		t.Errorf("%v stay", left)
	}
}

// TestKilledAtItsEnd: a merge that was killed when it was done, but had not removed what only its trainings needed, removes that when it
// is given again. So does one that was killed between a training's state and the removal of the state before.
func TestKilledAtItsEnd(t *testing.T) {
	d := newDesk(t)
	d.Options.Finetune.Epochs = 1
	d.merge(t)
	all, err := filepath.Glob(filepath.Join(d.Dir, run.RowsDir, "*", "*"))
	if err != nil || len(all) == 0 {
		t.Fatalf("%v, %v", all, err)
	}
	row := filepath.Join(filepath.Dir(all[0]), run.LastDir)
	parent := filepath.Join(d.Dir, run.ParentsDir, "parent-a", run.LastDir)
	for _, done := range []bool{true, false} {
		for _, dir := range []string{row, parent} {
			path := filepath.Join(dir, run.LastModel(1))
			if err := errors.Join(os.MkdirAll(dir, 0o777), os.WriteFile(path, nil, 0o666)); err != nil {
				t.Fatal(err)
			}
		}
		if !done {
			if err := os.Remove(filepath.Join(d.Dir, run.TableFile)); err != nil {
				t.Fatal(err)
			}
		}
		d.merge(t)
		if _, err := os.Stat(row); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("done %v: %s stays: %v", done, row, err)
		}
		if _, err := os.Stat(filepath.Join(parent, run.LastModel(1))); !done && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the state before stays: %v", err)
		}
	}
}
