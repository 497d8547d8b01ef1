package cmd_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/splice-ml/splice/train/ckpt"
)

// trained trains runs/NAME in dir with more overrides.
func trained(t *testing.T, dir, name string, set ...string) {
	t.Helper()
	args := []string{"--config", "run.yaml", "--run", "runs/" + name, "--quiet"}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	if o := execute(t, dir, "train", args...); o.code != 0 {
		t.Fatalf("train %s: exit %d\n%s", name, o.code, o.stderr)
	}
}

// TestMergeOfRuns: two runs become one that the other commands take.
func TestMergeOfRuns(t *testing.T) {
	dir := workspace(t, 3000)
	trained(t, dir, "a")
	trained(t, dir, "b", "seed=2")
	before := read(t, dir, "runs/b/model.safetensors")
	write(t, dir, "merge.yaml", `run: runs/m
merge:
  parents: [runs/a, runs/b]
  select: ["embedding.*"]
  guard: false
  finetune: {epochs: 0}
`)
	if o := execute(t, dir, "cki", "--config", "merge.yaml", "--check"); o.code != 0 ||
		!strings.Contains(o.stdout, "the parents fit together") {
		t.Fatalf("--check: exit %d, %s%s", o.code, o.stdout, o.stderr)
	}
	o := execute(t, dir, "cki", "--config", "merge.yaml", "--quiet")
	if o.code != 0 {
		t.Fatalf("exit %d\n%s", o.code, o.stderr)
	}
	for _, name := range []string{
		"base", "other", "best parent", "ensemble", "merge", "The 2 parents: the better parent on validation rows has test auc (synthetic) 0.",
		"The model passed on: merge, although the better parent is better on the validation rows: merge.guard is off; use it with `go run ./cmd/predict --run runs/m --in ROWS --out -`.\n",
	} {
		if !strings.Contains(o.stdout, name) {
			t.Errorf("the table lacks %q:\n%s", name, o.stdout)
		}
	}
	a, b, m := model(t, dir, "runs/a/model.safetensors"), model(t, dir, "runs/b/model.safetensors"), model(t, dir, "runs/m/model.safetensors")
	for _, x := range m.Tensors {
		want := slices.Clone(a.Get(x.Name).Data)
		if strings.HasPrefix(x.Name, "embedding.") {
			for i := range want {
				want[i] = float32(.5*float64(want[i]) + .5*float64(b.Get(x.Name).Data[i]))
			}
		}
		if strings.Contains(x.Name, "running_") {
			continue // recomputed
		}
		for i := range want {
			if d := x.Data[i] - want[i]; d > 1e-6 || d < -1e-6 || !strings.HasPrefix(x.Name, "embedding.") && d != 0 {
				t.Fatalf("tensor %s, value %d: %v, want %v", x.Name, i, x.Data[i], want[i])
			}
		}
	}
	if !slices.Equal(before, read(t, dir, "runs/b/model.safetensors")) {
		t.Error("a parent was changed")
	}
	var prov struct {
		Parents []struct{ Name, Digest string }
	}
	if err := json.Unmarshal(read(t, dir, "runs/m/merge.json"), &prov); err != nil || len(prov.Parents) != 2 ||
		prov.Parents[1].Name != "runs/b" || prov.Parents[1].Digest == "" {
		t.Errorf("merge.json: %+v, %v", prov, err)
	}
	for _, c := range [][]string{
		{"evaluate", "--run", "runs/m"},
		{"predict", "--run", "runs/m", "--in", "rows.tsv", "--out", "p.txt"},
		{"finetune", "--from", "runs/m", "--run", "runs/f", "--quiet"},
	} {
		if o := execute(t, dir, c[0], c[1:]...); o.code != 0 {
			t.Errorf("%v: exit %d\n%s", c, o.code, o.stderr)
		}
	}
	trained(t, dir, "e", "train.ema=0.9", "train.keep_epochs=true")
	write(t, dir, "own.yaml",
		"merge: {parents: [runs/e, runs/e/ema.safetensors, runs/e/epochs/model-1.safetensors], method: soup, finetune: {epochs: 0}}\n")
	if o := execute(t, dir, "cki", "--config", "own.yaml", "--quiet"); o.code != 0 || !strings.Contains(o.stdout, "ema.safetensors") {
		t.Errorf("checkpoints of one run as parents: exit %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	write(t, dir, "start.yaml", config+"init: {from: runs/a}\nmerge: {regime: {type: shared_init}, finetune: {epochs: 1}}\n")
	var tables []string
	for _, again := range [][]string{nil, nil, {"--overwrite"}} { // the second time it is done already, the third time rows are trained again
		o := execute(t, dir, "cki", append([]string{"--config", "start.yaml", "--quiet"}, again...)...)
		if o.code != 0 {
			t.Errorf("branches of a run: exit %d\n%s", o.code, o.stderr)
		}
		tables = append(tables, seconds.ReplaceAllString(string(read(t, dir, "runs/start/table.json")), ""))
		for path, want := range map[string]bool{ // what a done merge keeps
			"parents/parent-b/last": true, "rows/merge___training/training/model.safetensors": true, "rows/merge___training/training/last": false,
		} {
			if _, err := os.Stat(filepath.Join(dir, "runs/start", path)); (err == nil) != want {
				t.Errorf("runs/start/%s is there: %v, want %v", path, !want, want)
			}
		}
	}
	if tables[1] != tables[0] || tables[2] != tables[0] {
		t.Errorf("the same merge again:\n%s\n%s\n%s", tables[0], tables[1], tables[2])
	}
	o = execute(t, dir, "cki", "--config", "start.yaml", "--run", "runs/given", "--set", "merge.parents=[runs/a, runs/b]",
		"--set", "merge.finetune.epochs=0", "--set", "data.split.ratio=[0.9, 0.1, 0]")
	if !regexp.MustCompile(`msg=merge valid=\S+ seconds=`).MatchString(o.stderr) {
		t.Errorf("the log of a merge without test rows:\n%s", o.stderr)
	}
	if o.code != 0 || !strings.Contains(o.stderr, "init.from is not used") ||
		strings.Contains(string(read(t, dir, "runs/given/config.yaml")), "from: runs/a") {
		t.Errorf("parents given beside init.from: exit %d, or the run's config still has it\n%s", o.code, o.stderr)
	}
	if o := execute(t, dir, "evaluate", "--run", "runs/start/parents/parent-b"); o.code != 0 {
		t.Errorf("a parent that the regime made is no run: exit %d\n%s", o.code, o.stderr)
	}
	for _, c := range []struct{ run, want string }{
		{"runs/a", "over parent runs/a"},
		{"runs/e", "holds a run already"},
	} {
		before := read(t, dir, c.run, "model.safetensors")
		o := execute(t, dir, "cki", "--config", "merge.yaml", "--run", c.run)
		if o.code != 2 || !strings.Contains(o.stderr, c.want) || !slices.Equal(before, read(t, dir, c.run, "model.safetensors")) {
			t.Errorf("a merge into %s: exit %d, %s", c.run, o.code, o.stderr)
		}
	}
	write(t, dir, "again.yaml", "merge: {parents: [runs/m, runs/b], finetune: {epochs: 0}}\n")
	if o := execute(t, dir, "cki", "--config", "again.yaml", "--quiet"); o.code != 0 {
		t.Errorf("a merge as a parent: exit %d\n%s", o.code, o.stderr)
	}
	if o := execute(t, dir, "cki", "--config", "merge.yaml", "--quiet"); o.code != 0 || !strings.Contains(o.stdout, "passed on: merge, ") {
		t.Errorf("the same merge again: exit %d\n%s", o.code, o.stderr)
	}
	write(t, dir, "runs/b/model.safetensors", string(read(t, dir, "runs/e/model.safetensors")))
	if o := execute(t, dir, "cki", "--config", "merge.yaml"); o.code != 2 || !strings.Contains(o.stderr, "of other parents") {
		t.Errorf("a parent that was trained again: exit %d, %s", o.code, o.stderr)
	}
	if o := execute(t, dir, "cki", "--config", "merge.yaml", "--set", "merge.method=slerp"); o.code != 2 ||
		!strings.Contains(o.stderr, "--overwrite") {
		t.Errorf("a merge of another config in the same run: exit %d, %s", o.code, o.stderr)
	}
}

// seconds are the values of a comparison that no two runs share.
var seconds = regexp.MustCompile(`"seconds": *[0-9.e+-]+,?`)

// TestMergeOfDays: runs with vocabularies of their own are matched by token; the union knows the tokens of all.
func TestMergeOfDays(t *testing.T) {
	dir := workspace(t, 4000)
	rows := strings.SplitAfter(string(read(t, dir, "rows.tsv")), "\n")
	write(t, dir, "day1.tsv", strings.Join(rows[:2000], ""))
	write(t, dir, "day2.tsv", strings.Join(rows[2000:4000], ""))
	trained(t, dir, "a", "data.path=day1.tsv")
	trained(t, dir, "b", "data.path=day2.tsv")
	rowsOf := map[string]int{}
	for _, v := range []string{"base", "union"} {
		write(t, dir, "merge.yaml",
			"merge: {parents: [runs/a, runs/b], vocabulary: "+v+", method: {type: average, rows: counts}, finetune: {epochs: 0}, guard: false}\n")
		o := execute(t, dir, "cki", "--config", "merge.yaml", "--run", "runs/"+v, "--quiet")
		if o.code != 0 {
			t.Fatalf("%s: exit %d\n%s", v, o.code, o.stderr)
		}
		rowsOf[v] = model(t, dir, "runs", v, "model.safetensors").Get("embedding.C3.weight").Shape[0]
		if o := execute(t, dir, "evaluate", "--run", "runs/"+v, "--data", "day2.tsv"); o.code != 0 {
			t.Errorf("evaluate %s: exit %d\n%s", v, o.code, o.stderr)
		}
	}
	if a := model(t, dir, "runs/a/model.safetensors").Get("embedding.C3.weight").Shape[0]; rowsOf["base"] != a || rowsOf["union"] <= a {
		t.Errorf("rows of C3: base %d, merge %v", a, rowsOf)
	}
}

// TestBadParents: every mistake has its line, and exit code 2.
func TestBadParents(t *testing.T) {
	dir := workspace(t, 1500)
	one := "train.epochs=1"
	trained(t, dir, "a", one)
	trained(t, dir, "b", one, "seed=2")
	trained(t, dir, "wide", one, "model.hidden_units=[48, 16]")
	trained(t, dir, "log", one, "data.numeric.transform=standardize")
	whole := read(t, dir, "runs/b/model.safetensors")
	for _, name := range []string{"cut", "nan", "empty"} {
		if err := os.CopyFS(filepath.Join(dir, "runs", name), os.DirFS(filepath.Join(dir, "runs/b"))); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "runs/cut/model.safetensors", string(whole[:len(whole)-100]))
	if err := os.Remove(filepath.Join(dir, "runs/empty/model.safetensors")); err != nil {
		t.Fatal(err)
	}
	c := model(t, dir, "runs/b/model.safetensors")
	nan := c.Get("mlp.0.weight")
	var zero float32
	nan.Data[3] = zero / zero
	if err := ckpt.Save(filepath.Join(dir, "runs/nan/model.safetensors"), c); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ parents, want string }{
		{"[runs/a, runs/none]", "parent runs/none: there is no such run"},
		{"[runs/a, runs/empty]", "parent runs/empty: has no model.safetensors"},
		{"[runs/a, runs/a]", "parent runs/a is the same run as parent runs/a"},
		{"[runs/a, runs/../runs/a]", "is the same run as parent runs/a"},
		{"[runs/a, runs/cut]", "truncated"},
		{"[runs/a, runs/wide]", "parent runs/wide: tensor mlp.0.weight is [48 156], that of parent runs/a is [32 156]"},
		{"[runs/a, runs/log]", "reads its rows differently"},
		{"[runs/a, runs/nan]", "parent runs/nan: tensor mlp.0.weight: value 3 is NaN"},
		{"[runs/a]", "give at least two"},
	} {
		write(t, dir, "merge.yaml", "merge: {parents: "+tc.parents+", finetune: {epochs: 0}}\n")
		o := execute(t, dir, "cki", "--config", "merge.yaml", "--run", "runs/bad", "--quiet")
		if o.code != 2 || !strings.Contains(o.stderr, tc.want) {
			t.Errorf("%s: exit %d, want 2 and %q:\n%s", tc.parents, o.code, tc.want, o.stderr)
		}
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
