package cmd_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/ckpt"
)

// What cannot be started from, taught by or put together is refused with exit code 2 and a line that says what to do; no run
// is begun, and none is changed.
func TestBadStart(t *testing.T) {
	dir := workspace(t, 2000)
	train(t, dir, "r", "--set", "train.epochs=1")
	train(t, dir, "other", "--set", "train.epochs=1", "--set", "data.categorical.min_count=9")
	train(t, dir, "fm", "--set", "model={type: fm, embedding_dim: 4}", "--set", "train.epochs=1")
	for _, name := range []string{"empty", "cut", "nan"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(dir, "r"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "empty", "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	whole := read(t, dir, "r", "model.safetensors")
	write(t, dir, "cut/model.safetensors", string(whole[:len(whole)/2]))
	c := model(t, dir, "r", "model.safetensors")
	c.Get("mlp.0.weight").Data[5] = float32(math.NaN())
	if err := ckpt.Save(filepath.Join(dir, "nan", "model.safetensors"), c); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bare"), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "bare/model.safetensors", string(whole))
	none := &ckpt.Checkpoint{Tensors: []ckpt.Tensor{{Name: "x", Shape: []int{1}, Data: []float32{1}}}}
	if err := ckpt.Save(filepath.Join(dir, "none.safetensors"), none); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "text.safetensors", "not what it says it is, at all")
	var csv strings.Builder
	csv.WriteString("y,z,x\n")
	for i := range 60 {
		fmt.Fprintf(&csv, "%d,%d,%c\n", i%2, i/2%2, 'a'+i%3)
	}
	write(t, dir, "small.csv", csv.String())
	for name, columns := range map[string]string{
		"y": "label: y, columns: {x: categorical, z: ignore}",
		"z": "label: z, columns: {x: categorical, y: ignore}, categorical: {min_count: 2, max_size: 2}",
	} {
		train(t, dir, "csv-"+name, "--set", "train.epochs=1", "--set", "model=lr",
			"--set", "data={type: csv, path: small.csv, split: {by: order, ratio: [0.5, 0.25, 0.25]}, "+columns+"}")
	}
	on := func(args ...string) []string { return append([]string{"--config", "run.yaml", "--run", "n"}, args...) }
	for _, tc := range []struct {
		name, cmd string
		args      []string
		want      []string
	}{
		{"nothing to start from", "finetune", nil, []string{"--from", "init.from"}},
		{"config without a start", "finetune", on(), []string{"--from", "init.from in run.yaml"}},
		{"no such run", "finetune", on("--from", "rr"), []string{"init.from: rr: no such file or directory; give a run's directory"}},
		{"no such run, no config", "finetune", []string{"--from", "rr"}, []string{"--from rr: no such file"}},
		{"no config in it", "finetune", []string{"--from", "bare"}, []string{"bare has no config.yaml", "--config"}},
		{
			"bad override", "finetune",
			[]string{"--from", "r", "--set", "train.epocs=2"},
			[]string{"--set train.epocs=2", `did you mean "epochs"?`},
		},
		{"no model", "finetune", on("--from", "empty"), []string{"init.from: empty: has no model.safetensors", "first evaluation"}},
		{"truncated", "finetune", on("--from", "cut"), []string{"cut/model.safetensors", "truncated"}},
		{"not safetensors", "finetune", on("--from", "text.safetensors"), []string{"text.safetensors", "is not safetensors"}},
		{"not finite", "finetune", on("--from", "nan"), []string{"tensor mlp.0.weight: element 5 is NaN", "diverged"}},
		{"other width", "train", on("--set", "init.from=r", "--set", "model.embedding_dim=5", "--set", "model.hidden_units=[32, 8]"), []string{
			"tensor embedding.C1.weight: have [", "tensor mlp.0.weight: have [32 156], model wants [32 195]",
			"tensor mlp.1.weight: have [16 32], model wants [8 32]",
		}},
		{"other model", "train", on("--set", "init.from=fm"), []string{"is a run of fm, the config's model is deepfm", "init.strict"}},
		{
			"other tensors", "train", on("--set", "init.from=bare", "--set", "model={type: fm, embedding_dim: 4}"),
			[]string{"tensor mlp.0.weight: unexpected [32 156]"},
		},
		{
			"other vocabulary", "train", on("--set", "init.from=bare", "--set", "data.categorical.min_count=9"),
			[]string{"tensor embedding.C1.weight: have ["},
		},
		{"no tensor fits", "train", on("--set", "init={from: none.safetensors, strict: false}"), []string{"none of the model's tensors"}},
		{"no epoch", "train", on("--set", "init={from: r, checkpoint: 2}"), []string{"epoch 2 were not kept", "train.keep_epochs"}},
		{"no average", "train", on("--set", "init={from: r, checkpoint: ema}"), []string{"has no ema.safetensors", "train.ema"}},
		{"no last", "train", on("--set", "init={from: bare, checkpoint: last}"), []string{"bare/last/state.json", "take best"}},
		{
			"checkpoint of a file", "train", on("--set", "init={from: r/model.safetensors, checkpoint: last}"),
			[]string{"is a file", "leave init.checkpoint out"},
		},
		{"no map to match", "train", on("--set", "init={from: bare, features: data}"), []string{"features.json.zst", "init.features to run"}},
		{
			"itself", "train",
			[]string{"--config", "run.yaml", "--run", "r", "--overwrite", "--set", "init.from=r"},
			[]string{"is the directory of this run", "--run"},
		},
		{
			"columns that are not there", "train",
			on("--set", "init.from=r", "--set", "data={type: csv, path: small.csv, label: y, columns: {x: categorical, z: ignore}}"),
			[]string{"feature map of r", "init.features"},
		},
		{
			"frozen misspelt", "finetune", on("--from", "r", "--set", "train.freeze=[embeding.*]"),
			[]string{`"embeding.*" matches no parameter`, "nearest is"},
		},
		{"all frozen", "finetune", on("--from", "r", "--set", "train.freeze=['*']"), []string{"no parameter is left to train"}},
		{"self without a start", "train", on("--set", "teacher.from=self"), []string{"teacher.from: self", "set init.from"}},
		{
			"teacher is no run", "finetune", on("--from", "r", "--set", "teacher.from=[self, bare, rr]"),
			[]string{"teacher.from: bare is not a run", "teacher.from: rr is not a run"},
		},
		{
			"teacher of another map", "finetune", on("--from", "r", "--set", "teacher.from=other"),
			[]string{"teacher.from: other", "another feature map"},
		},
		{
			"teacher is this run", "finetune",
			[]string{"--config", "run.yaml", "--from", "r", "--run", "other", "--overwrite", "--set", "teacher.from=other"},
			[]string{"other: is the directory of this run"},
		},
		{
			"other labels", "evaluate",
			[]string{"--run", "csv-y", "--run", "csv-z", "--data", "small.csv"},
			[]string{"csv-z: has other labels in rows 1 to 60", "do not read the same rows"},
		},
		{
			"other columns", "evaluate",
			[]string{"--run", "csv-y", "--run", "r"},
			[]string{"the data of csv-y is read with the feature map of r", "--data"},
		},
		{"a run twice", "evaluate", []string{"--run", "r", "--run", "./r"}, []string{"--run ./r is given twice"}},
		{"ensemble of one", "evaluate", []string{"--run", "r", "--ensemble", "logits"}, []string{"--ensemble is for several runs"}},
		{
			"no such mean", "evaluate",
			[]string{"--run", "r", "--run", "fm", "--ensemble", "median"},
			[]string{`--ensemble "median"`, "logits or probabilities"},
		},
		{
			"two that are no runs", "predict",
			[]string{"--run", "r", "--run", "bare", "--run", "rr", "--in", "rows.tsv", "--out", "p"},
			[]string{"bare is not a run", "rr is not a run"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := execute(t, dir, tc.cmd, tc.args...)
			if o.code != 2 {
				t.Errorf("exit code %d, want 2", o.code)
			}
			for _, w := range tc.want {
				if !strings.Contains(o.stderr, w) {
					t.Errorf("standard error lacks %q:\n%s", w, o.stderr)
				}
			}
			if strings.Contains(o.stderr, "goroutine ") {
				t.Errorf("a panic:\n%s", o.stderr)
			}
			for _, f := range []string{"n", "r-finetuned", "bare-finetuned", "p"} {
				if _, err := os.Stat(filepath.Join(dir, f)); err == nil {
					t.Errorf("%s was made", f)
				}
			}
		})
	}
	if !bytes.Equal(read(t, dir, "r", "model.safetensors"), whole) {
		t.Error("the run was changed")
	}
}
