package job_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/run"
)

// evaluate measures runs and their ensemble, and returns what it hears in its order.
func evaluate(t *testing.T, mode, path, split string, dirs ...string) (all []job.Scores, err error) {
	t.Helper()
	e, err := job.OpenEnsemble(dirs, nil, mode, nil)
	if err != nil {
		return nil, err
	}
	err = e.Evaluate(t.Context(), path, split, func(s job.Scores) error { all = append(all, s); return nil })
	return all, err
}

// predict returns the lines that are written for the rows of a file.
func predict(t *testing.T, mode, path string, dirs ...string) ([]string, error) {
	t.Helper()
	e, err := job.OpenEnsemble(dirs, nil, mode, nil)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	n, err := e.Predict(t.Context(), path, &b)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if n != len(lines) {
		t.Errorf("%d rows were predicted, with %d lines", n, len(lines))
	}
	return lines, nil
}

// A model whose output is no finite number is no result: the error names the run and the first such row.
func TestOutputs(t *testing.T) {
	workspace(t, 600)
	fresh(t, "r")
	copied(t, "r", "huge")
	altered(t, "huge/model.safetensors", func(c *ckpt.Checkpoint) {
		for _, name := range []string{"mlp.0.weight", "mlp.1.weight"} { // finite, and their products are not
			for i := range c.Get(name).Data {
				c.Get(name).Data[i] = 3e38
			}
		}
	})
	lastRows(t, 300)
	for name, do := range map[string]func() error{
		"evaluate":     func() error { _, err := evaluate(t, "", "test.tsv", "", "huge"); return err },
		"a part":       func() error { _, err := evaluate(t, "", "", "valid", "huge"); return err },
		"one of two":   func() error { _, err := evaluate(t, "", "test.tsv", "", "r", "huge"); return err },
		"predict":      func() error { _, err := predict(t, "", "test.tsv", "huge"); return err },
		"predict, two": func() error { _, err := predict(t, "probabilities", "test.tsv", "r", "huge"); return err },
	} {
		err := do()
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		refused(t, err, "huge: row ", "the model's output is ", "weights")
	}
	write(t, "merge.yaml", "merge: {parents: [r, huge], method: {type: average}, finetune: {epochs: 0}}\n")
	if _, _, err := (call{config: "merge.yaml", to: "m"}).merge(t); err == nil || !strings.Contains(err.Error(), "cki: other: valid: row ") || !strings.Contains(err.Error(), "the model's output is ") {
		t.Errorf("merge: %v", err)
	}
}

// What cannot be started from, or taught by, is refused with what to do. No run is begun, and none is changed.
func TestStartRefuses(t *testing.T) {
	workspace(t, 1000)
	fresh(t, "r")
	fresh(t, "other", "data.categorical.min_count=9")
	fresh(t, "fm", "model={type: fm, embedding_dim: 4}")
	for _, name := range []string{"empty", "cut", "nan"} {
		copied(t, "r", name)
	}
	remove(t, "empty", run.ModelFile)
	whole := read(t, "r", run.ModelFile)
	write(t, "cut/model.safetensors", whole[:len(whole)/2])
	altered(t, "nan/model.safetensors", func(c *ckpt.Checkpoint) { c.Get("mlp.0.weight").Data[5] = float32(math.NaN()) })
	write(t, "bare/model.safetensors", whole)
	save(t, "none.safetensors", &ckpt.Checkpoint{Tensors: []ckpt.Tensor{{Name: "x", Shape: []int{1}, Data: []float32{1}}}})
	write(t, "text.safetensors", "not what it says it is, at all")
	write(t, "small.csv", "y,z,x\n"+strings.Repeat("0,0,a\n1,0,b\n0,1,c\n", 20))
	small := "data={type: csv, path: small.csv, label: y, columns: {x: categorical, z: ignore}}"
	training := func(set ...string) func(*testing.T) error {
		return func(t *testing.T) error { _, _, err := call{to: "n", set: set}.train(t); return err }
	}
	tuning := func(c call) func(*testing.T) error {
		return func(t *testing.T) error { _, _, err := c.finetune(t); return err }
	}
	from := func(dir string, set ...string) func(*testing.T) error {
		return tuning(call{config: "run.yaml", from: dir, to: "n", set: set})
	}
	for _, tc := range []struct {
		name string
		do   func(*testing.T) error
		want []string
	}{
		{"nothing to start from", tuning(call{}), []string{"--from", "init.from"}},
		{"config without a start", from(""), []string{"--from", "init.from in run.yaml"}},
		{"no such run", from("rr"), []string{"init.from: rr: no such file or directory; give a run's directory"}},
		{"no such run, no config", tuning(call{from: "rr"}), []string{"--from rr: no such file"}},
		{"no config in it", tuning(call{from: "bare"}), []string{"bare has no config.yaml", "--config"}},
		{"bad override", tuning(call{from: "r", set: []string{"train.epocs=2"}}), []string{"--set train.epocs=2", `did you mean "epochs"?`}},
		{"no model", from("empty"), []string{"init.from: empty: has no model.safetensors", "first evaluation"}},
		{"truncated", from("cut"), []string{"cut/model.safetensors", "truncated"}},
		{"not safetensors", from("text.safetensors"), []string{"text.safetensors", "is not safetensors"}},
		{"not finite", from("nan"), []string{"tensor mlp.0.weight: element 5 is NaN", "diverged"}},
		{
			"other width", training("init.from=r", "model.embedding_dim=5", "model.hidden_units=[32, 8]"),
			[]string{"tensor embedding.C1.weight: have [", "and 27 more"},
		},
		{
			"other units", training("init.from=r", "model.hidden_units=[32, 8]"),
			[]string{"tensor mlp.1.weight: have [16 32], model wants [8 32]"},
		},
		{"other model", training("init.from=fm"), []string{"is a run of fm, the config's model is deepfm", "init.strict"}},
		{
			"other tensors", training("init.from=bare", "model={type: fm, embedding_dim: 4}"),
			[]string{"tensor mlp.0.weight: unexpected [32 156]"},
		},
		{"other vocabulary", training("init.from=bare", "data.categorical.min_count=9"), []string{"tensor embedding.C1.weight: have ["}},
		{"no tensor fits", training("init={from: none.safetensors, strict: false}"), []string{"none of the model's tensors"}},
		{"no epoch", training("init={from: r, checkpoint: 2}"), []string{"epoch 2 were not kept", "train.keep_epochs"}},
		{"no average", training("init={from: r, checkpoint: ema}"), []string{"has no ema.safetensors", "train.ema"}},
		{"no last", training("init={from: bare, checkpoint: last}"), []string{"bare/last/state.json", "take best"}},
		{
			"checkpoint of a file", training("init={from: r/model.safetensors, checkpoint: last}"),
			[]string{"is a file", "leave init.checkpoint out"},
		},
		{"no map to match", training("init={from: bare, features: data}"), []string{"features.json.zst", "init.features to run"}},
		{
			"itself",
			func(t *testing.T) error {
				_, _, err := call{to: "r", set: []string{"init.from=r"}, overwrite: true}.train(t)
				return err
			},
			[]string{"is the directory of this run", "choose another directory"},
		},
		{"columns that are not there", training("init.from=r", small), []string{"feature map of r", "init.features"}},
		{"frozen misspelt", from("r", "train.freeze=[embeding.*]"), []string{`"embeding.*" matches no parameter`, "nearest is"}},
		{"self without a start", training("teacher.from=self"), []string{"teacher.from: self", "set init.from"}},
		{
			"teacher is no run", from("r", "teacher.from=[self, bare, rr]"),
			[]string{"teacher.from: bare is not a run", "teacher.from: rr is not a run"},
		},
		{"teacher of another map", from("r", "teacher.from=other"), []string{"teacher.from: other", "another feature map"}},
		{
			"teacher is this run",
			tuning(call{config: "run.yaml", from: "r", to: "other", overwrite: true, set: []string{"teacher.from=other"}}),
			[]string{"other: is the directory of this run"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refused(t, tc.do(t), tc.want...)
			for _, dir := range []string{"n", "r-finetuned", "bare-finetuned"} {
				if there(dir) {
					t.Errorf("%s was made", dir)
				}
			}
		})
	}
	if read(t, "r", run.ModelFile) != whole {
		t.Error("the run was changed")
	}
}

// Runs that cannot be used, and rows that they cannot read, are the user's to mend.
func TestUseRefuses(t *testing.T) {
	workspace(t, 1000)
	fresh(t, "r")
	fresh(t, "fm", "model={type: fm, embedding_dim: 4}")
	copied(t, "r", "cut")
	whole := read(t, "r", run.ModelFile)
	write(t, "cut/model.safetensors", whole[:len(whole)-100])
	write(t, "bare/model.safetensors", whole)
	var text strings.Builder
	text.WriteString("y,z,x\n")
	for i := range 60 {
		fmt.Fprintf(&text, "%d,%d,%c\n", i%2, i/2%2, 'a'+i%3)
	}
	write(t, "small.csv", text.String())
	for name, columns := range map[string]string{
		"csv-y": "label: y, columns: {x: categorical, z: ignore}",
		"csv-z": "label: z, columns: {x: categorical, y: ignore}, categorical: {min_count: 2, max_size: 2}",
		"csv-n": "label: y, columns: {x: categorical, z: ignore}, numeric: {transform: log1p}",
	} {
		set := []string{"model=lr", "data={type: csv, path: small.csv, split: {by: order, ratio: [0.5, 0.25, 0.25]}, " + columns + "}"}
		if name == "csv-n" {
			set = append(set, "task={type: regression}")
		}
		fresh(t, name, set...)
	}
	row := strings.SplitAfter(read(t, "rows.tsv"), "\n")[0]
	write(t, "short.tsv", row+"1\t2\n")
	write(t, "unlabelled.tsv", row[2:])
	evaluating := func(mode, path, split string, dirs ...string) func(*testing.T) error {
		return func(t *testing.T) error { _, err := evaluate(t, mode, path, split, dirs...); return err }
	}
	predicting := func(path string, dirs ...string) func(*testing.T) error {
		return func(t *testing.T) error { _, err := predict(t, "", path, dirs...); return err }
	}
	for _, tc := range []struct {
		name string
		do   func(*testing.T) error
		want []string
	}{
		{"no run", evaluating("", "", ""), []string{"no run is given"}},
		{"not a run", evaluating("", "", "", "bare"), []string{"bare is not a run"}},
		{"two that are no runs", predicting("rows.tsv", "r", "bare", "rr"), []string{"bare is not a run", "rr is not a run"}},
		{"truncated", evaluating("", "", "", "cut"), []string{"cut/model.safetensors", "truncated"}},
		{
			"another model",
			func(*testing.T) error {
				e, err := job.OpenEnsemble([]string{"r"}, []string{"model.embedding_dim=5"}, "", nil)
				if err != nil {
					return err
				}
				_, err = e.Predict(t.Context(), "rows.tsv", io.Discard)
				return err
			},
			[]string{"embedding.C1.weight", "and 20 more"},
		},
		{"a misspelt key", func(*testing.T) error { _, err := job.Open("r", []string{"train.epocs=1"}, nil); return err }, []string{"epochs"}},
		{"bad part", evaluating("", "", "tset", "r"), []string{`--split "tset"`, "train, valid or test"}},
		{"two kinds of rows", evaluating("", "rows.tsv", "test", "r"), []string{"--data and --split exclude each other"}},
		{"no labels", evaluating("", "unlabelled.tsv", "", "r"), []string{"unlabelled.tsv:1"}},
		{"a bad row to score", predicting("short.tsv", "r"), []string{"short.tsv:2"}},
		{"no rows to score", predicting("rose.tsv", "r"), []string{"rose.tsv"}},
		{
			"other labels", evaluating("", "small.csv", "", "csv-y", "csv-z"),
			[]string{"csv-z: has other labels in rows 1 to 60", "do not read the same rows"},
		},
		{"other columns", evaluating("", "", "", "csv-y", "r"), []string{"the data of csv-y is read with the feature map of r", "--data"}},
		{"other columns of a file", predicting("small.csv", "csv-y", "r"), []string{"small.csv:1"}},
		{"other tasks", evaluating("", "", "", "csv-y", "csv-n"), []string{"csv-n was trained for regression, csv-y for", "have no mean"}},
		{"a run twice", evaluating("", "", "", "r", "./r"), []string{"--run ./r is given twice"}},
		{"no such mean", evaluating("median", "", "", "r", "fm"), []string{`--ensemble "median"`, "logits or probabilities"}},
	} {
		t.Run(tc.name, func(t *testing.T) { refused(t, tc.do(t), tc.want...) })
	}
	// Rows that differ are told apart from the machine's errors in both uses.
	var rows ensemble.RowsError
	if err := predicting("small.csv", "csv-y", "r")(t); !errors.As(err, &rows) {
		t.Errorf("error %T is not one of rows that differ", err)
	}
}

// What reads the predictions may fail; that is not the user's mistake.
func TestPredictFails(t *testing.T) {
	workspace(t, 600)
	fresh(t, "r")
	e, err := job.OpenEnsemble([]string{"r"}, nil, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken pipe")
	if _, err := e.Predict(t.Context(), "rows.tsv", failing{broken}); !errors.Is(err, broken) || errors.As(err, new(*run.InputError)) {
		t.Errorf("error %v (%T)", err, err)
	}
	err = e.Evaluate(t.Context(), "", "test", func(job.Scores) error { return broken })
	if !errors.Is(err, broken) || errors.As(err, new(*run.InputError)) {
		t.Errorf("error %v (%T)", err, err)
	}
}

type failing struct{ error }

// Write fails.
func (f failing) Write([]byte) (int, error) { return 0, f.error }
