package job_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/run"
)

// oneClassData makes the working directory one with a.csv, whose validation and test rows have one class, and a run.yaml that selects
// by logloss.
func oneClassData(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	var b strings.Builder
	b.WriteString("click,user,price\n")
	for i := range 60 {
		click := 0
		if i < 36 && i%3 == 0 {
			click = 1
		}
		fmt.Fprintf(&b, "%d,u%d,%d\n", click, i%5, i%7)
	}
	write(t, "a.csv", b.String())
	write(t, "run.yaml", `data:
  type: csv
  path: a.csv
  label: click
  columns: {user: categorical, price: numeric}
  split: {by: order, ratio: [0.6, 0.2, 0.2]}
model: {type: fm, embedding_dim: 2}
task: {type: binary_classification, metrics: [logloss, auc]}
train: {batch_size: 8, epochs: 2}
`)
}

const onlyNegatives = "needs both classes, have 0 positives in 12 rows"

// auc is undefined in m, and logloss is not.
func undefinedAUC(t *testing.T, what string, m map[string]float64) {
	t.Helper()
	if v, ok := m["auc"]; !ok || !math.IsNaN(v) || !(m["logloss"] > 0) {
		t.Errorf("%s: metrics %v, want auc NaN and a logloss", what, m)
	}
}

// TestUndefined: a metric that is undefined ends no training, no fine-tuning, no evaluation and no merge.
func TestUndefined(t *testing.T) {
	oneClassData(t)
	for _, dir := range []string{"p1", "p2"} {
		r, log := call{to: dir, set: []string{"seed=" + dir[1:]}}.trained(t)
		undefinedAUC(t, "train: valid", r.Valid)
		undefinedAUC(t, "train: test", r.Test)
		if n := strings.Count(log, onlyNegatives); n != 2 {
			t.Errorf("the reason is logged %d times, want once for each part:\n%s", n, log)
		}
		if s := read(t, dir, run.ResultFile); strings.Count(s, `"auc": null`) != 2 {
			t.Errorf("%s is\n%s", run.ResultFile, s)
		}
	}

	r, _ := call{from: "p1", to: "f"}.finetuned(t)
	undefinedAUC(t, "finetune: start", r.Start)
	undefinedAUC(t, "finetune: test", r.Test)
	undefinedAUC(t, "finetune: the file of the start", record(t, "f").Valid)

	all, err := evaluate(t, "", "", "test", "p1", "p2")
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	for i, s := range all {
		undefinedAUC(t, "evaluate", s.Metrics)
		if n := len(s.Undefined); (n == 1) != (i == 0) {
			t.Errorf("evaluate %s: %d reasons, want them once", s.Model, n)
		}
	}
	if s := all[0].Undefined; len(s) == 1 && s[0].Reason != onlyNegatives {
		t.Errorf("evaluate: reason %q", s[0].Reason)
	}
	if all, err = evaluate(t, "", "", "test", "p1"); err != nil || len(all) != 1 || len(all[0].Undefined) != 1 {
		t.Errorf("evaluate one: %+v, %v", all, err)
	}

	write(t, "merge.yaml", "merge: {parents: [p1, p2], method: {type: average, rows: counts}, finetune: {epochs: 0}}\n")
	m, log := call{config: "merge.yaml", to: "m"}.merged(t)
	if n := strings.Count(log, onlyNegatives); n != 2 {
		t.Errorf("cki logs the reason %d times, want once for each part:\n%s", n, log)
	}
	for _, r := range m.Table.Rows {
		undefinedAUC(t, string(r.Name)+": valid", r.Valid)
		undefinedAUC(t, string(r.Name)+": test", r.Test)
	}
	again, err := compare.ReadTable("m")
	if err != nil {
		t.Fatal(err)
	}
	undefinedAUC(t, "table.json", again.Rows.Get(compare.RowMerge).Test)
	for _, name := range []string{run.MarkdownFile, run.TableFile, run.ResultFile} {
		if s := read(t, "m", name); strings.Contains(s, "NaN") {
			t.Errorf("%s:\n%s", name, s)
		}
	}
	if s := read(t, "m", run.MarkdownFile); !strings.Contains(s, "n/a") {
		t.Errorf("the report has no n/a:\n%s", s)
	}
}

// TestUndefinedInMerges: nor does it end a merge by any method, whatever the method has to say of itself.
func TestUndefinedInMerges(t *testing.T) {
	oneClassData(t)
	for _, dir := range []string{"p1", "p2"} {
		call{to: dir, set: []string{"seed=" + dir[1:], "train.epochs=1"}}.trained(t)
	}
	for _, method := range []string{
		"average", "dare", "fisher", "graft", "interpolate", "prune", "scale", "select_best", "slerp", "soup", "task_arithmetic", "ties",
		"cki, train: {epochs: 1}", "cki, splice: hard, train: {epochs: 1}",
	} {
		t.Run(method, func(t *testing.T) {
			write(t, "merge.yaml", "merge: {parents: [p1, p2], method: {type: "+method+"}, finetune: {epochs: 0}, guard: false}\n")
			m, _ := call{config: "merge.yaml", to: t.TempDir()}.merged(t)
			undefinedAUC(t, method, m.Table.Rows.Get(compare.RowMerge).Valid)
		})
	}
}

// TestUngrouped: metrics that measure within groups of rows are refused before anything is trained or measured, if the data has no
// groups. What is in the directory stays.
func TestUngrouped(t *testing.T) {
	oneClassData(t)
	call{to: "p1"}.trained(t)
	call{to: "p2", set: []string{"seed=2"}}.trained(t)
	model := read(t, "p1", run.ModelFile)
	write(t, "merge.yaml", "merge: {parents: [p1, p2], method: {type: average}, finetune: {epochs: 0}}\n"+
		"task: {type: binary_classification, metrics: [logloss, gauc]}\n")
	write(t, "regime.yaml", read(t, "run.yaml")+"merge: {regime: {type: independent}, finetune: {epochs: 0}}\n")
	for _, names := range []string{"gauc", "user_auc", "ndcg@3", "hr@10", "gauc, hr@1"} {
		set := []string{"task.metrics=[logloss, " + names + "]"}
		want := []string{names + " measure", "within groups of rows", "data.group", "task.metrics"}
		for name, do := range map[string]func() error{
			"train":    func() error { _, _, err := call{to: "p1", overwrite: true, set: set}.train(t); return err },
			"finetune": func() error { _, _, err := call{from: "p1", to: "f", set: set}.finetune(t); return err },
			"merge":    func() error { _, _, err := call{config: "merge.yaml", to: "m", set: set}.merge(t); return err },
			"regime":   func() error { _, _, err := call{config: "regime.yaml", to: "m", set: set}.merge(t); return err },
			"no validation rows": func() error {
				_, _, err := call{to: "n", set: append(set, "data.split.ratio=[.8, 0, .2]")}.train(t)
				return err
			},
			"evaluate": func() error {
				e, err := job.OpenEnsemble([]string{"p1"}, set, "", nil)
				if err != nil {
					return err
				}
				return e.Evaluate(t.Context(), "a.csv", "", func(job.Scores) error { return nil })
			},
		} {
			err := do()
			if err == nil {
				t.Errorf("%s with %s: no error", name, names)
				continue
			}
			refused(t, err, want...)
		}
	}
	if read(t, "p1", run.ModelFile) != model {
		t.Error("the run that was to be overwritten is another one")
	}
	for _, path := range []string{"n", "f", filepath.Join("m", run.ModelFile), filepath.Join("m", run.ParentsDir)} {
		if there(path) {
			t.Errorf("%s is there", path)
		}
	}

	// with a group they are measured; a file without it cannot be
	call{to: "g", set: []string{"data.group=user", "task.metrics=[logloss, hr@1]"}}.trained(t)
	if all, err := evaluate(t, "", "a.csv", "", "g"); err != nil || !(all[0].Metrics["hr@1"] >= 0) {
		t.Error(all, err)
	}
	write(t, "nobody.csv", "click,price\n1,2\n0,1\n")
	call{to: "h", set: []string{"data.group=user", "data.columns={price: numeric}", "task.metrics=[logloss, hr@1]"}}.trained(t)
	_, err := evaluate(t, "", "nobody.csv", "", "h")
	refused(t, err, "nobody.csv", "no column user")
}

// TestUnselectable: nothing is trained if the monitored metric has no best direction.
func TestUnselectable(t *testing.T) {
	oneClassData(t)
	call{to: "p1"}.trained(t)
	model := read(t, "p1", run.ModelFile)
	for _, tc := range []struct{ metrics, monitor, want string }{
		{"calibration, logloss, auc", "", "select by another metric (train.monitor: logloss)"}, // auc is undefined
		{"logloss, calibration", "calibration", "select by another metric (train.monitor: logloss)"},
		{"calibration", "", "add another one to task.metrics"},
	} {
		set := []string{"task.metrics=[" + tc.metrics + "]"}
		if tc.monitor != "" {
			set = append(set, "train.monitor="+tc.monitor)
		}
		_, _, err := call{to: "p1", overwrite: true, set: set}.train(t)
		refused(t, err, "calibration is best", tc.want)
	}
	if read(t, "p1", run.ModelFile) != model {
		t.Error("the run that was to be overwritten is another one")
	}
}

// TestUndefinedMonitor: if nothing can be selected, nothing is trained, and what is in the directory stays.
func TestUndefinedMonitor(t *testing.T) {
	oneClassData(t)
	want := []string{"auc is undefined on the validation rows (" + onlyNegatives + ")", "train.monitor: logloss", "data.valid_path"}
	call{to: "p1"}.trained(t)
	call{to: "p2", set: []string{"seed=2"}}.trained(t)
	model := read(t, "p1", run.ModelFile)
	_, _, err := call{to: "p1", overwrite: true, set: []string{"train.monitor=auc"}}.train(t)
	refused(t, err, want...)
	if read(t, "p1", run.ModelFile) != model {
		t.Error("the run that was to be overwritten is another one")
	}
	_, _, err = call{from: "p1", to: "f", set: []string{"train.monitor=auc"}}.finetune(t)
	refused(t, err, want...)
	write(t, "merge.yaml", "merge: {parents: [p1, p2], method: {type: average}, finetune: {epochs: 0}}\ntrain: {monitor: auc}\n")
	_, _, err = call{config: "merge.yaml", to: "m"}.merge(t)
	refused(t, err, want...)
	write(t, "regime.yaml", read(t, "run.yaml")+"merge: {regime: {type: independent}, finetune: {epochs: 0}}\n")
	_, _, err = call{config: "regime.yaml", to: "m", set: []string{"train.monitor=auc"}}.merge(t)
	refused(t, err, want...)
	for _, path := range []string{"f", filepath.Join("m", run.ModelFile)} {
		if there(path) {
			t.Errorf("%s is there", path)
		}
	}
}
