package job_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/merge"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// Two runs become one that is used as one. The same merge again is read; another one is refused.
func TestMerge(t *testing.T) {
	workspace(t, 1200)
	fresh(t, "a")
	fresh(t, "b", "seed=2")
	before := read(t, "b", run.ModelFile)
	write(t, "merge.yaml", "run: m\nmerge: {parents: [a, b], select: ['embedding.*'], guard: false, finetune: {epochs: 0}}\n")
	c := call{config: "merge.yaml"}
	m, _ := c.merged(t)
	if m.Dir != "m" || m.Model != "" || !slices.Equal(m.Metrics, []string{"auc", "logloss"}) ||
		m.Rows != filepath.Join("m", run.MarkdownFile) {
		t.Errorf("%+v", m)
	}
	if m.Table.Passed != compare.RowMerge || !m.Table.Synthetic || m.Table.Rows.Get(compare.RowEnsemble) == nil ||
		m.Table.Reachable["auc"] == 0 {
		t.Errorf("table %+v", m.Table)
	}
	a, b := tensors(t, "a", run.ModelFile), tensors(t, "b", run.ModelFile)
	for _, x := range tensors(t, "m", run.ModelFile).Tensors {
		want := slices.Clone(a.Get(x.Name).Data)
		chosen := strings.HasPrefix(x.Name, "embedding.")
		if strings.Contains(x.Name, "running_") {
			continue // recomputed
		}
		for i := range want {
			if chosen {
				want[i] = float32(.5*float64(want[i]) + .5*float64(b.Get(x.Name).Data[i]))
			}
			if d := x.Data[i] - want[i]; d > 1e-6 || d < -1e-6 || !chosen && d != 0 {
				t.Fatalf("tensor %s, value %d: %v, want %v", x.Name, i, x.Data[i], want[i])
			}
		}
	}
	if read(t, "b", run.ModelFile) != before || there("m", run.LockFile) {
		t.Error("a parent was changed, or the directory is still held")
	}
	from := decode[merge.Provenance](t, "m", run.MergeFile)
	if len(from.Parents) != 2 || from.Parents[1].Name != "b" || from.Parents[1].Digest == "" {
		t.Errorf("%s: %+v", run.MergeFile, from)
	}
	result := decode[job.Result](t, "m", run.ResultFile)
	if want := m.Table.Rows.Get(compare.RowMerge); result.Test["auc"] != want.Test["auc"] || result.Model != "deepfm" ||
		result.Digest != m.Table.Digest {
		t.Errorf("%s: %+v", run.ResultFile, result)
	}
	if s, err := evaluate(t, "", "", "test", "m"); err != nil || s[0].Metrics["auc"] != result.Test["auc"] {
		t.Errorf("evaluation of the merge: %+v, %v", s, err)
	}
	call{from: "m", to: "f"}.finetuned(t)

	table := read(t, "m", run.TableFile)
	if again, _ := c.merged(t); again.Table.ModelDigest != m.Table.ModelDigest || !slices.Equal(again.Metrics, m.Metrics) ||
		again.Rows != m.Rows || read(t, "m", run.TableFile) != table {
		t.Errorf("the same merge again: %+v", again)
	}
	for _, tc := range []struct {
		name string
		call call
		want string
	}{
		{"another method", c.with("merge.method=slerp"), "replace it"},
		{"over a parent", call{config: "merge.yaml", to: "a"}, "over parent a"},
		{"over another run", call{config: "merge.yaml", to: "f"}, "holds a run already"},
		{"with teachers", call{config: "merge.yaml", to: "n", set: []string{"teacher.from=self"}}, "merge.finetune.teacher"},
	} {
		model := read(t, "a", run.ModelFile)
		_, _, err := tc.call.merge(t)
		refused(t, err, tc.want)
		if read(t, "a", run.ModelFile) != model || read(t, "m", run.TableFile) != table || there("n") {
			t.Errorf("%s: something was changed", tc.name)
		}
	}
	write(t, filepath.Join("b", run.ModelFile), read(t, "a", run.ModelFile))
	_, _, err := c.merge(t)
	refused(t, err, "of other parents")
	c.overwrite = true
	if over, _ := c.merged(t); over.Table.ModelDigest == m.Table.ModelDigest {
		t.Error("a merge of other parents made the same model")
	}
}

// A regime makes the parents, from fresh weights or from given ones. What is made already is not made again.
func TestMergeRegime(t *testing.T) {
	workspace(t, 1000)
	fresh(t, "a")
	write(t, "merge.yaml", config+"run: m\ninit: {from: a}\nmerge: {regime: {type: shared_init}, report: false, finetune: {epochs: 1}}\n")
	c := call{config: "merge.yaml"}
	var trainings int
	begin := func(ctx context.Context, overwrite bool) (*job.Merged, error) {
		e, err := c.read(nil).LoadMerge(context.WithoutCancel(ctx))
		if err != nil {
			t.Fatal(err)
		}
		trainings = 0
		j := job.Job{Experiment: e, Dir: "m", Show: func(train.Options) []train.Callback { trainings++; return nil }}
		return j.Merge(ctx, overwrite)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := begin(stopped, false); err == nil || errors.As(err, new(*run.InputError)) {
		t.Errorf("after the end of its context: %v", err)
	}
	first, err := begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if trainings != 3 || first.Rows != filepath.Join("m", run.TableFile) { // two parents, and the training after the merge
		t.Errorf("%d trainings, rows in %s", trainings, first.Rows)
	}
	parent := filepath.Join("m", run.ParentsDir, "parent-b")
	row := filepath.Join("m", run.RowsDir, "merge___training", "training")
	if !there(parent, run.LastDir) || !there(row, run.ModelFile) || there(row, run.LastDir) {
		t.Error("a parent has no state to go on with, or a row's training has one, or no model")
	}
	if _, err := evaluate(t, "", "", "", parent); err != nil {
		t.Errorf("a parent is no run: %v", err)
	}
	for _, tc := range []struct {
		overwrite bool
		trainings int
	}{{false, 0}, {true, 3}} {
		again, err := begin(t.Context(), tc.overwrite)
		if err != nil || trainings != tc.trainings {
			t.Fatalf("again, overwrite %v: %d trainings, want %d; %v", tc.overwrite, trainings, tc.trainings, err)
		}
		for i := range again.Table.Rows {
			again.Table.Rows[i].Seconds = first.Table.Rows[i].Seconds
		}
		if !reflect.DeepEqual(again.Table, first.Table) {
			t.Errorf("again, overwrite %v:\n%+v\nwant\n%+v", tc.overwrite, again.Table, first.Table)
		}
	}
	// Given parents count, not what the regime would start from.
	fresh(t, "b", "seed=2")
	given := call{config: "merge.yaml", to: "given", set: []string{"merge.parents=[a, b]", "merge.finetune.epochs=0"}}
	given = given.with("data.split.ratio=[0.9, 0.1, 0]")
	m, log := given.merged(t)
	if !strings.Contains(log, "init.from is not used") || strings.Contains(read(t, "given", run.ConfigFile), "from: a") ||
		len(m.Table.Rows[0].Test) > 0 {
		t.Errorf("parents given beside init.from: the run's config has it, or there are test rows\n%s", log)
	}
	if !regexp.MustCompile(`msg=merge valid=\S+ seconds=`).MatchString(log) {
		t.Errorf("the log of a merge without test rows:\n%s", log)
	}
	_, _, err = call{config: "merge.yaml", to: "n", set: []string{"init.from=\"\"", "data.split.ratio=[0.9, 0, 0.1]"}}.merge(t)
	refused(t, err, "no validation rows")
}

// A merge that was stopped does not go on with parents of other data. Trainings of its comparison are made again.
func TestMergeOfChangedData(t *testing.T) {
	workspace(t, 1000)
	rows := read(t, "rows.tsv")
	grown := rows + rows[:strings.Index(rows, "\n")+1]
	write(t, "merge.yaml", config+"merge: {regime: {type: shared_init}, report: false, finetune: {epochs: 2}}\n")
	stopped := func(dir string, set []string, training int, step int64) {
		t.Helper()
		e, err := call{config: "merge.yaml", set: set}.read(nil).LoadMerge(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		n := 0
		j := job.Job{Experiment: e, Dir: dir, Show: func(train.Options) []train.Callback {
			if n++; n == training {
				return []train.Callback{stopAt{stop, step}}
			}
			return nil
		}}
		if _, err := j.Merge(ctx, false); !errors.Is(err, train.ErrInterrupted) {
			t.Fatalf("stopped in training %d: %v", training, err)
		}
	}
	whole := func(dir string, set ...string) string {
		t.Helper()
		call{config: "merge.yaml", to: dir, set: set}.merged(t)
		return read(t, dir, run.ModelFile)
	}
	ofRows := whole("of-rows")
	fresh(t, "a")
	fresh(t, "b", "seed=2")
	given := []string{"merge.parents=[a, b]"}
	for training := 1; training <= 3; training++ { // of the parents and of the comparison
		stopped(fmt.Sprint("m", training), nil, training, 3)
	}
	stopped("given", given, 1, 3)

	write(t, "rows.tsv", grown)
	ofGrown := whole("of-grown")
	if ofGrown == ofRows {
		t.Fatal("the data has grown, but its merge is the same")
	}
	for _, dir := range []string{"m1", "m2", "m3"} {
		before := tree(t, dir)
		_, _, err := call{config: "merge.yaml", to: dir}.merge(t)
		refused(t, err, "rows.tsv has ", "start anew", filepath.Join(dir, run.ParentsDir, "parent-a"))
		if !reflect.DeepEqual(tree(t, dir), before) {
			t.Errorf("%s: a refused merge was changed", dir)
		}
	}
	call{config: "merge.yaml", to: "m2", overwrite: true}.merged(t)
	if read(t, "m2", run.ModelFile) != ofGrown {
		t.Error("replaced: another model than of the grown data")
	}
	call{config: "merge.yaml", to: "given", set: given}.merged(t)
	if read(t, "given", run.ModelFile) != whole("given-grown", given...) {
		t.Error("given parents: another model than of the grown data")
	}

	write(t, "rows.tsv", rows)
	for _, dir := range []string{"m1", "m3"} {
		if whole(dir) != ofRows {
			t.Errorf("%s: the data was put back, but the merge is another one", dir)
		}
	}
}

// Checkpoints of one run are parents too, and so is a merge.
func TestMergeCheckpoints(t *testing.T) {
	workspace(t, 1000)
	fresh(t, "e", "train.epochs=2", "train.ema=0.9", "train.keep_epochs=true")
	write(t, "own.yaml", "run: own\nmerge: {parents: [e, e/ema.safetensors, e/epochs/model-1.safetensors], method: soup, report: false,"+
		" finetune: {epochs: 0}}\n")
	m, _ := call{config: "own.yaml"}.merged(t)
	if !slices.ContainsFunc(m.Table.Rows, func(r compare.Row) bool { return strings.Contains(r.Note, "ema.safetensors") }) {
		t.Errorf("rows %+v", m.Table.Rows)
	}
	write(t, "again.yaml", "run: again\nmerge: {parents: [own, e], report: false, finetune: {epochs: 0}}\n")
	call{config: "again.yaml"}.merged(t)
}

// Runs with vocabularies of their own are matched by token. The union knows the tokens of all.
func TestMergeOfDays(t *testing.T) {
	workspace(t, 2000)
	rows := strings.SplitAfter(read(t, "rows.tsv"), "\n")
	write(t, "day1.tsv", strings.Join(rows[:1000], ""))
	write(t, "day2.tsv", strings.Join(rows[1000:2000], ""))
	fresh(t, "a", "data.path=day1.tsv")
	fresh(t, "b", "data.path=day2.tsv")
	size := func(dir string) int { return tensors(t, dir, run.ModelFile).Get("embedding.C3.weight").Shape[0] }
	write(t, "merge.yaml", "merge: {parents: [a, b], report: false, guard: false, method: {type: average, rows: counts},"+
		" finetune: {epochs: 0}}\n")
	for _, v := range []string{"base", "union"} {
		call{config: "merge.yaml", to: v, set: []string{"merge.vocabulary=" + v}}.merged(t)
		if _, err := evaluate(t, "", "day2.tsv", "", v); err != nil {
			t.Errorf("evaluate %s: %v", v, err)
		}
	}
	if a := size("a"); size("base") != a || size("union") <= a {
		t.Errorf("rows of C3: parent %d, base %d, union %d", a, size("base"), size("union"))
	}
}

// Checkpoints of which nothing but the tensors is known become one, which is not evaluated.
func TestMergeFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for k, name := range []string{"a", "b"} {
		write(t, name+".safetensors", "") // makes the folder
		save(t, name+".safetensors", &ckpt.Checkpoint{Tensors: []ckpt.Tensor{
			{Name: "x", Shape: []int{2}, Data: []float32{float32(k), 2}}, {Name: "y", Shape: []int{1}, Data: []float32{float32(4 * k)}},
		}})
	}
	write(t, "merge.yaml", "run: m\nmerge: {parents: [a.safetensors, b.safetensors]}\n")
	c := call{config: "merge.yaml"}
	m, _ := c.merged(t)
	want := job.Merged{Dir: "m", Model: filepath.Join("m", run.ModelFile), Counts: job.MergedCounts{Parents: 2, Tensors: 2}}
	if m.Dir != want.Dir || m.Model != want.Model || m.Counts != want.Counts || m.Table != nil || m.Rows != "" {
		t.Errorf("%+v, want %+v", m, want)
	}
	got := tensors(t, m.Model)
	if x, y := got.Get("x").Data, got.Get("y").Data; !slices.Equal(x, []float32{.5, 2}) || !slices.Equal(y, []float32{2}) {
		t.Errorf("x %v, y %v", x, y)
	}
	_, _, err := c.merge(t)
	refused(t, err, "holds a run already", "replace it")
	c.overwrite = true
	c.merged(t)
	_, _, err = call{config: "merge.yaml", to: "n", set: []string{"merge.align.match=weights"}}.merge(t)
	refused(t, err, "merge.align.match: alignment needs the model")
	if there("n") {
		t.Error("a directory is left behind")
	}
}

// check checks the parents of merge.yaml.
func check(t *testing.T) ([]*cki.Parent, error) {
	t.Helper()
	e, err := job.Config{File: "merge.yaml"}.LoadMerge(t.Context())
	if err != nil {
		return nil, err
	}
	j := job.Job{Experiment: e}
	return j.CheckParents()
}

// Every mistake has its line, whether parents are merged or only checked.
func TestParents(t *testing.T) {
	workspace(t, 800)
	fresh(t, "a")
	fresh(t, "b", "seed=2")
	fresh(t, "wide", "model.hidden_units=[48, 16]")
	fresh(t, "log", "data.numeric.transform=standardize")
	whole := read(t, "b", run.ModelFile)
	write(t, filepath.Join(copied(t, "b", "cut"), run.ModelFile), whole[:len(whole)-100])
	remove(t, copied(t, "b", "empty"), run.ModelFile)
	var zero float32
	altered(t, filepath.Join(copied(t, "b", "nan"), run.ModelFile), func(c *ckpt.Checkpoint) { c.Get("mlp.0.weight").Data[3] = zero / zero })
	for _, tc := range []struct {
		parents string
		want    []string
	}{
		{"[a, none]", []string{"parent none: there is no such run"}},
		{"[a, empty]", []string{"parent empty: has no model.safetensors"}},
		{"[none, empty]", []string{"parent none: there is no such run", "parent empty: has no model.safetensors"}},
		{"[a, a]", []string{"parent a is the same run as parent a"}},
		{"[a, ../" + base(t) + "/a]", []string{"is the same run as parent a"}},
		{"[a, cut]", []string{"truncated"}},
		{"[a, wide]", []string{"parent wide: tensor mlp.0.weight is [48 156], that of parent a is [32 156]"}},
		{"[a, log]", []string{"reads its rows differently"}},
		{"[a, nan]", []string{"parent nan: tensor mlp.0.weight: value 3 is NaN"}},
		{"[a]", []string{"give at least two"}},
	} {
		write(t, "merge.yaml", "merge: {parents: "+tc.parents+", finetune: {epochs: 0}}\n")
		_, _, err := call{config: "merge.yaml", to: "n"}.merge(t)
		refused(t, err, tc.want...)
		if strings.Contains(tc.want[0], "NaN") { // values are not read before they are merged
			if err := os.RemoveAll("n"); err != nil {
				t.Fatal(err)
			}
			continue
		}
		_, err = check(t)
		refused(t, err, tc.want...)
		if there("n") {
			t.Errorf("%s: a directory is left behind", tc.parents)
		}
	}
	write(t, "merge.yaml", "merge: {parents: [a, b]}\n")
	if p, err := check(t); err != nil || len(p) != 2 || p[1].Name != "b" ||
		len(p[1].Tensors()) != len(tensors(t, "b", run.ModelFile).Tensors) {
		t.Errorf("parents that fit: %v, %v", p, err)
	}
	write(t, "merge.yaml", config+"merge: {regime: {type: shared_init}}\n")
	if p, err := check(t); err != nil || p != nil {
		t.Errorf("no parents: %v, %v", p, err)
	}
}

// base returns the name of the working directory.
func base(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(dir)
}
