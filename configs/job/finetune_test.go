package job_test

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/sealed"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/start"
)

// record reads start.json of a run.
func record(t *testing.T, dir string) start.Record {
	t.Helper()
	return decode[start.Record](t, dir, run.StartFile)
}

// Training on from a run without a config begins where the run ended, for one epoch.
func TestFinetune(t *testing.T) {
	workspace(t, 4000)
	base := fresh(t, "r")
	r, _ := call{from: "r", set: []string{"train.learning_rate=0.003"}}.finetuned(t)
	if r.Dir != "r-finetuned" || r.From != "r" || r.Steps != 22 {
		t.Errorf("result %+v, want one of r-finetuned, from r, after the 22 steps of one epoch", r)
	}
	if math.Abs(r.Start["auc"]-base.Valid["auc"]) > 1e-12 {
		t.Errorf("starting weights have auc %v, the run ended with %v", r.Start["auc"], base.Valid["auc"])
	}
	if r.Valid["auc"] <= base.Valid["auc"] || r.Worse() {
		t.Errorf("a second epoch took auc from %v to %v; worse: %v", base.Valid["auc"], r.Valid["auc"], r.Worse())
	}
	if read(t, "r", run.FeatureFile) != read(t, "r-finetuned", run.FeatureFile) {
		t.Error("another feature map")
	}

	// A run of a run: what only the first one's length makes sense of does not go over.
	call{from: "r-finetuned", to: "again", set: []string{"train.max_steps=3", "train.swa_start=1"}}.finetuned(t)
	if r, _ := (call{from: "again"}).finetuned(t); r.Steps != 22 {
		t.Errorf("%d steps after a run of 3, want those of one epoch, 22", r.Steps)
	}
	if r, _ := (call{from: "r", to: "bad", set: []string{"train.learning_rate=0.5", "train.max_steps=1"}}).finetuned(t); !r.Worse() {
		t.Errorf("a step that is far too long: valid %v after %v is not worse", r.Valid, r.Start)
	}

	// The same through a config with init, or beside one.
	write(t, "on.yaml", config+"init: {from: r}\n")
	for name, c := range map[string]call{"init": {config: "on.yaml"}, "from": {config: "run.yaml", from: "r"}} {
		c.to, c.set = name, []string{"train.learning_rate=0.003"}
		c.finetuned(t)
		if read(t, name, run.ModelFile) != read(t, "r-finetuned", run.ModelFile) {
			t.Errorf("%s: other weights than without a config", name)
		}
	}
	call{config: "on.yaml", to: "train", set: []string{"train.learning_rate=0.003"}}.trained(t)
	if read(t, "train", run.ModelFile) != read(t, "r-finetuned", run.ModelFile) {
		t.Error("trained with init.from: other weights than fine-tuned")
	}
	// The weights of a file of a run are data and model of that run.
	call{from: filepath.Join("r", run.ModelFile), to: "file", set: []string{"train.learning_rate=0.003"}}.finetuned(t)
	if read(t, "file", run.ModelFile) != read(t, "r-finetuned", run.ModelFile) {
		t.Error("from the model of the run: other weights than from the run")
	}
}

// Resuming goes on to the bytes of a run that was not stopped, and from no other start.
func TestFinetuneResume(t *testing.T) {
	workspace(t, 2000)
	fresh(t, "a")
	fresh(t, "b", "seed=2")
	on := call{from: "a", to: "whole", set: []string{"train.epochs=2", "teacher.from=self"}}
	on.finetuned(t)
	// Back to the state after one epoch: that of a run which had no more, under the digest of this one.
	one := on.with("train.max_steps=11", "train.checkpoint_steps=11")
	one.to = "one"
	one.finetuned(t)
	path := filepath.Join("one", run.LastDir, run.StateFile)
	state := decode[map[string]any](t, path)
	state["digest"], state["done"] = decode[map[string]any](t, "whole", run.LastDir, run.StateFile)["digest"], false
	delete(state, "checksum")
	if err := sealed.Write(path, state); err != nil {
		t.Fatal(err)
	}
	whole, before := read(t, "whole", run.ModelFile), read(t, "whole", run.StartFile)
	resumed := on
	resumed.to, resumed.resume = "one", true
	resumed.finetuned(t)
	if read(t, "one", run.ModelFile) != whole {
		t.Error("the resumed run has other weights than the whole one")
	}

	call{from: "a", to: "c"}.finetuned(t) // a teacher has to have the map
	for _, tc := range []struct {
		name string
		call call
		want string
	}{
		{"another start", call{from: "b", set: on.set}, "started from other weights"},
		{"another teacher", call{from: "a", set: []string{"train.epochs=2", "teacher.from=c"}}, "other teachers"},
		{"no teacher", call{from: "a", set: []string{"train.epochs=2"}}, "other teachers"},
		{"another rate", on.with("train.learning_rate=0.5"), "another config"},
	} {
		tc.call.to, tc.call.resume = "whole", true
		_, _, err := tc.call.finetune(t)
		refused(t, err, tc.want)
		if read(t, "whole", run.ModelFile) != whole || read(t, "whole", run.StartFile) != before {
			t.Errorf("%s: a refused resume changed the run", tc.name)
		}
	}

	// The same path, other weights in it.
	copied(t, "a", "moved")
	moved := call{from: "moved", to: "m"}
	moved.finetuned(t)
	write(t, filepath.Join("moved", run.ModelFile), whole)
	moved.resume = true
	_, _, err := moved.finetune(t)
	refused(t, err, "other weights")
}

// Frozen parameters stay bit for bit, the others do not.
func TestFinetuneFreeze(t *testing.T) {
	workspace(t, 1500)
	fresh(t, "r")
	call{from: "r", set: []string{"train.freeze=[embedding.*]"}}.finetuned(t)
	was, is := tensors(t, "r", run.ModelFile), tensors(t, "r-finetuned", run.ModelFile)
	for _, x := range was.Tensors {
		same := slices.Equal(x.Data, is.Get(x.Name).Data)
		if frozen := strings.HasPrefix(x.Name, "embedding."); frozen != same && (frozen || strings.HasSuffix(x.Name, ".weight")) {
			t.Errorf("tensor %s: unchanged %v", x.Name, same)
		}
	}
}

// A model that learns from itself alone stays nearer to itself than one that learns from the labels.
func TestFinetuneTeacher(t *testing.T) {
	workspace(t, 3000)
	fresh(t, "a", "train.epochs=2", "model.net_dropout=0")
	call{from: "a", to: "hard"}.finetuned(t)
	call{from: "a", to: "soft", set: []string{"teacher={from: self, weight: 1}"}}.finetuned(t)
	call{from: "a", to: "two", set: []string{"teacher={from: [self, hard], temperature: 2, mode: probabilities}"}}.finetuned(t)
	was := tensors(t, "a", run.ModelFile)
	away := func(dir string) float64 {
		is, d := tensors(t, dir, run.ModelFile), 0.
		for _, x := range was.Tensors {
			for i, v := range is.Get(x.Name).Data {
				if strings.HasPrefix(x.Name, "linear") || strings.HasPrefix(x.Name, "fc") {
					d += math.Pow(float64(v-x.Data[i]), 2)
				}
			}
		}
		return math.Sqrt(d)
	}
	hard, soft := away("hard"), away("soft")
	if !(soft > 0 && soft < hard) {
		t.Errorf("weights moved by %v with the labels, by %v with the model itself as teacher", hard, soft)
	}
	two, self := record(t, "two"), record(t, "soft")
	if len(two.Teachers) != 2 || two.Teachers[0].From != "self" || two.Teachers[0].Digest != two.Digest ||
		two.Teachers[1].Digest == two.Digest || self.Digest != two.Digest {
		t.Errorf("%s: %+v", run.StartFile, two)
	}
}

// A start with another vocabulary: with its own feature map every row is the same; with a new map rows are matched by token.
func TestInitFeatures(t *testing.T) {
	workspace(t, 3000)
	fresh(t, "a", "data.split.ratio=[0.3, 0.3, 0.4]")
	on := call{to: "b", set: []string{"init={from: a, features: data}"}}
	_, log := on.with("train.learning_rate=1e-30").trained(t)
	ma, mb := features(t, "a"), features(t, "b")
	ta, tb := ma.Table("C3").Tokens, mb.Table("C3").Tokens
	if len(ta) >= len(tb) || slices.Equal(ta, tb[:len(ta)]) {
		t.Fatalf("the maps should differ, in order too: %q and %q", ta, tb)
	}
	a, b := tensors(t, "a", run.ModelFile).Get("embedding.C3.weight"), tensors(t, "b", run.ModelFile).Get("embedding.C3.weight")
	matched := 2
	for i, token := range tb {
		row := b.Data[(i+2)*4 : (i+3)*4]
		if k := slices.Index(ta, token); k >= 0 {
			matched++
			if !slices.Equal(row, a.Data[(k+2)*4:(k+3)*4]) {
				t.Errorf("row of token %s is not that of the start", token)
			}
		} else if slices.Max(row) > 1e-3 || slices.Min(row) < -1e-3 || slices.Max(row) == 0 {
			t.Errorf("row of the new token %s is %v, want a fresh one", token, row)
		}
	}
	tables := record(t, "b").Tables
	want := start.TableRecord{Name: "embedding.C3.weight", Rows: len(tb) + 2, Matched: matched}
	if !slices.Contains(tables, want) {
		t.Errorf("%s: %+v, want %+v among them", run.StartFile, tables, want)
	}
	if text := fmt.Sprintf("tensor=embedding.C3.weight rows=%d matched=%d", want.Rows, want.Matched); !strings.Contains(log, text) {
		t.Errorf("the log lacks %q:\n%s", text, log)
	}
	// With the start's map there is nothing to match.
	on.to = "c"
	on.with("init.features=run").trained(t)
	if features(t, "c").Digest() != ma.Digest() {
		t.Error("features: run does not read with the start's map")
	}
}

func features(t *testing.T, dir string) *data.FeatureMap {
	t.Helper()
	m, err := data.LoadFeatureMap(filepath.Join(dir, run.FeatureFile))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// init.strict: false takes the tensors that fit.
func TestInitLoose(t *testing.T) {
	workspace(t, 1000)
	fresh(t, "fm", "model={type: fm, embedding_dim: 4}")
	_, log := call{to: "r", set: []string{"init={from: fm, strict: false}"}}.trained(t)
	if missing := record(t, "r").Missing; !slices.Contains(missing, "mlp.0.weight") || slices.Contains(missing, "embedding.C1.weight") {
		t.Errorf("%s: missing %v", run.StartFile, missing)
	}
	if !strings.Contains(log, "mlp.0.weight") || !strings.Contains(log, "fresh") {
		t.Errorf("the log does not list what is missing:\n%s", log)
	}
	_, log = call{to: "back", set: []string{"model={type: fm, embedding_dim: 4}", "init={from: r, strict: false}"}}.trained(t)
	if st := record(t, "back"); !slices.Contains(st.Unexpected, "mlp.0.weight") || len(st.Missing) > 0 || !strings.Contains(log, "ignored") {
		t.Errorf("%s: %+v\n%s", run.StartFile, st, log)
	}
}

// Bare files and the other weights of a run are starts too.
func TestInitFiles(t *testing.T) {
	workspace(t, 1200)
	fresh(t, "r", "train.epochs=3", "train.keep_epochs=true", "train.ema=0.9", "train.swa_start=2")
	write(t, filepath.Join("bare", run.ModelFile), read(t, "r", run.ModelFile))
	last, err := filepath.Glob(filepath.Join("r", run.LastDir, "model-*.safetensors"))
	if err != nil || len(last) != 1 {
		t.Fatalf("last models: %v %v", last, err)
	}
	for _, tc := range []struct{ name, init, file string }{
		{"file", "{from: r/model.safetensors}", ""},
		{"plain", "{from: bare}", ""},
		{"last", "{from: r, checkpoint: last}", last[0]},
		{"epoch", "{from: r, checkpoint: 2}", filepath.Join("r", run.EpochFile(2))},
		{"ema", "{from: r, checkpoint: ema}", filepath.Join("r", "ema.safetensors")},
		{"swa", "{from: r, checkpoint: swa}", filepath.Join("r", "swa.safetensors")},
	} {
		_, log := call{to: tc.name, set: []string{"init=" + tc.init, "train.learning_rate=1e-30"}}.trained(t)
		if warned := strings.Contains(log, "no feature map"); warned != (tc.name == "plain") {
			t.Errorf("%s: warned of a missing feature map: %v\n%s", tc.name, warned, log)
		}
		file := cmp.Or(tc.file, filepath.Join("r", run.ModelFile))
		got := tensors(t, tc.name, run.ModelFile)
		for _, x := range tensors(t, file).Tensors {
			if strings.HasSuffix(x.Name, ".weight") && !slices.Equal(x.Data, got.Get(x.Name).Data) {
				t.Errorf("%s: tensor %s is not that of %s", tc.name, x.Name, file)
			}
		}
	}
}

// What the directory of a fine-tuned run is, and what it is made from.
func TestFinetuneConfig(t *testing.T) {
	workspace(t, 600)
	fresh(t, "r")
	write(t, "on.yaml", config+"run: named\ninit: {from: r}\n")
	write(t, "plain.yaml", config)
	for _, tc := range []struct{ config, from, to, wantFrom, wantDir string }{
		{"", "r", "", "r", "r-finetuned"},
		{"", "r/", "", "r/", "r-finetuned"},
		{"", "r/model.safetensors", "", "r/model.safetensors", "r-finetuned"},
		{"", "r", "x", "r", "x"},
		{"on.yaml", "", "", "r", "named"},
		{"on.yaml", "elsewhere", "x", "elsewhere", "x"},
		{"plain.yaml", "r", "", "r", filepath.Join("runs", "plain")},
	} {
		e, dir, err := job.Config{File: tc.config}.Finetune(t.Context(), tc.from, tc.to)
		if err != nil {
			t.Errorf("%+v: %v", tc, err)
			continue
		}
		if dir != tc.wantDir || e.Init.From != tc.wantFrom {
			t.Errorf("%+v: from %s into %s", tc, e.Init.From, dir)
		}
	}
	if _, dir, err := (job.Config{Set: []string{"run=set"}}).Finetune(t.Context(), "r", ""); err != nil || dir != "set" {
		t.Errorf("--set run=set: directory %s, %v", dir, err)
	}
}
