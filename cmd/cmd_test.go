// Package cmd_test runs the commands as a user does: built, as processes, judged by exit code, output and files.
package cmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/set"
)

// bin is the directory of the built commands.
var bin string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "splice-cmd-")
	if err == nil {
		defer os.RemoveAll(dir)
		bin = dir
		err = os.Chmod(dir, 0o755) // a test runs a command as another user
	}
	if err == nil {
		build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./train", "./finetune", "./cki", "./evaluate", "./predict",
			"./table", "./serve", "./figures", "./search", "./runs", "./export", "./launch", "./splice")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer atEnd()
	return m.Run()
}

// atEnd is called after the tests.
var atEnd = func() {}

// out is what a command did.
type out struct {
	code           int
	stdout, stderr string
}

// command returns a command in dir, not started.
func command(dir, name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(bin, name), args...)
	c.Dir = dir
	return c
}

// do runs a command to its end.
func do(t *testing.T, c *exec.Cmd) out {
	t.Helper()
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	checkHints(t, c, e.String())
	return out{c.ProcessState.ExitCode(), o.String(), e.String()}
}

func execute(t *testing.T, dir, name string, args ...string) out {
	t.Helper()
	return do(t, command(dir, name, args...))
}

// config is a small experiment over rows.tsv.
const config = `data:
  type: criteo
  path: rows.tsv
  split: {by: order, ratio: [0.7, 0.1, 0.2]}
  categorical: {min_count: 3}
  numeric: {transform: log1p}
model: {type: deepfm, embedding_dim: 4, hidden_units: [32, 16], net_dropout: 0.1, batch_norm: true}
train: {batch_size: 128, epochs: 3, learning_rate: 0.01, checkpoint_steps: 7, log_steps: 10, embedding_regularizer: 0.0001}
`

// workspace is a directory with rows.tsv and run.yaml.
func workspace(t *testing.T, rows int64) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := set.SynthFile(t.Context(), filepath.Join(dir, "rows.tsv"), set.SynthOptions{Rows: rows, Seed: 3, TestShare: .2}); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "run.yaml", config)
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
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

// train runs the experiment and fails the test if that does not succeed.
func train(t *testing.T, dir, run string, args ...string) out {
	t.Helper()
	o := do(t, command(dir, "train", append([]string{"--config", "run.yaml", "--run", run}, args...)...))
	if o.code != 0 {
		t.Fatalf("train %v: exit %d\n%s", args, o.code, o.stderr)
	}
	return o
}

type result struct {
	Model string
	Test  map[string]float64
	Best  int `json:"best_epoch"`
}

func TestTrainEvaluatePredict(t *testing.T) {
	dir := workspace(t, 4000)
	o := train(t, dir, "r")
	for _, want := range []string{"deepfm on criteo (synthetic)", "best reachable", "% of the way"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("train's output lacks %q:\n%s", want, o.stdout)
		}
	}
	var res result
	if err := json.Unmarshal(read(t, dir, "r", "result.json"), &res); err != nil {
		t.Fatal(err)
	}
	if res.Model != "deepfm" || res.Test["auc"] < 0.6 || res.Test["auc"] > 0.95 {
		t.Errorf("result.json: %+v", res)
	}
	for _, f := range []string{
		"config.yaml", "model.safetensors", "counts.safetensors", "features.json.zst", "metrics.jsonl",
		"last/state.json",
	} {
		if _, err := os.Stat(filepath.Join(dir, "r", f)); err != nil {
			t.Error(err)
		}
	}
	if m, _ := filepath.Glob(filepath.Join(dir, "r", "events.*")); len(m) != 1 {
		t.Errorf("event files: %v", m)
	}
	metrics := fmt.Sprintf("auc %.6f logloss %.6f", res.Test["auc"], res.Test["logloss"])
	if o := execute(t, dir, "evaluate", "--run", "r", "--split", "test"); o.code != 0 ||
		!strings.Contains(o.stdout, "test (800 rows): "+metrics) {
		t.Errorf("evaluate: exit %d, want %s\n%s%s", o.code, metrics, o.stdout, o.stderr)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(read(t, dir, "rows.tsv")), "\n"), "\n")
	test := lines[len(lines)-800:]
	write(t, dir, "test.tsv", strings.Join(test, ""))
	if o := execute(t, dir, "evaluate", "--run", "r", "--data", "test.tsv"); o.code != 0 || !strings.Contains(o.stdout, metrics) {
		t.Errorf("evaluate --data: exit %d, want %s\n%s%s", o.code, metrics, o.stdout, o.stderr)
	}
	if o := execute(t, dir, "predict", "--run", "r", "--in", "test.tsv", "--out", "p.txt"); o.code != 0 {
		t.Fatalf("predict: exit %d\n%s", o.code, o.stderr)
	}
	probs := strings.Fields(string(read(t, dir, "p.txt")))
	if len(probs) != len(test) {
		t.Fatalf("%d probabilities for %d rows", len(probs), len(test))
	}
	loss := 0.0
	for i, s := range probs {
		p, err := strconv.ParseFloat(s, 64)
		if err != nil || !(p > 0 && p < 1) {
			t.Fatalf("probability %d is %q", i+1, s)
		}
		if test[i][0] == '1' {
			loss -= math.Log(p)
		} else {
			loss -= math.Log(1 - p)
		}
	}
	if loss /= float64(len(probs)); math.Abs(loss-res.Test["logloss"]) > 1e-5 {
		t.Errorf("the predictions' logloss is %v, want %v", loss, res.Test["logloss"])
	}
	for i := range test {
		test[i] = test[i][2:] // without the label
	}
	write(t, dir, "unlabelled.tsv", strings.Join(test, ""))
	if o := execute(t, dir, "predict", "--run", "r", "--in", "unlabelled.tsv", "--out", "-"); o.code != 0 ||
		o.stdout != string(read(t, dir, "p.txt")) {
		t.Errorf("predict without labels: exit %d, other probabilities\n%s", o.code, o.stderr)
	}
	for _, out := range []string{"p.csv", "p.parquet"} {
		if o := execute(t, dir, "predict", "--run", "r", "--in", "test.tsv", "--out", out); o.code != 0 {
			t.Fatalf("predict %s: exit %d\n%s", out, o.code, o.stderr)
		}
	}
	if string(read(t, dir, "p.csv")) != "prediction\n"+string(read(t, dir, "p.txt")) {
		t.Error("the table p.csv has other predictions than p.txt")
	}
	if b := read(t, dir, "p.parquet"); !bytes.HasPrefix(b, []byte("PAR1")) || !bytes.HasSuffix(b, []byte("PAR1")) {
		t.Error("p.parquet is no Parquet file")
	}
	if o := execute(t, dir, "evaluate", "--run", "r", "--data", "unlabelled.tsv"); o.code != 2 ||
		!strings.Contains(o.stderr, "unlabelled.tsv:1") {
		t.Errorf("evaluate without labels: exit %d\n%s", o.code, o.stderr)
	}
}

func TestBadInput(t *testing.T) {
	dir := workspace(t, 1500)
	train(t, dir, "r", "--set", "train.epochs=1")
	good := strings.SplitAfter(string(read(t, dir, "rows.tsv")), "\n")
	row := good[0]
	fields := strings.Split(row, "\t")
	for name, text := range map[string]string{
		"label2.tsv": row + "2" + row[1:], "short.tsv": row + strings.Join(fields[:20], "\t") + "\n", "empty.tsv": "",
		"text.tsv": row + strings.Join(append([]string{"0", "many"}, fields[2:]...), "\t"),
		"utf8.tsv": row + strings.Replace(row, fields[14], "\xff\xfe", 1),
	} {
		write(t, dir, name, text)
	}
	write(t, dir, "keys.yaml", strings.ReplaceAll(strings.ReplaceAll(config, "embedding_dim", "embeding_dim"), "epochs: 3", "epochs: 3.5"))
	model := read(t, dir, "r", "model.safetensors")
	for _, broken := range []string{"truncated", "flipped"} {
		if err := os.CopyFS(filepath.Join(dir, broken), os.DirFS(filepath.Join(dir, "r"))); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "truncated/model.safetensors", string(model[:len(model)-100]))
	model[len(model)-50] ^= 1
	write(t, dir, "flipped/model.safetensors", string(model))
	write(t, dir, "file", "")
	predict := func(in string) []string { return []string{"--run", "r", "--in", in, "--out", "scores.txt"} }
	for _, tc := range []struct {
		name, cmd string
		args      []string
		want      []string
	}{
		{"no config", "train", nil, []string{"--config is missing"}},
		{"no such config", "train", []string{"--config", "rum.yaml"}, []string{"rum.yaml: no such file", "did you mean run.yaml?"}},
		{
			"two mistakes", "train",
			[]string{"--config", "keys.yaml"},
			[]string{"keys.yaml:7: ", "embeding_dim", `did you mean "embedding_dim"?`, "keys.yaml:8: "},
		},
		{"bad override", "train", []string{"--config", "run.yaml", "--set", "train.epocs=1"}, []string{"--set train.epocs=1", "epochs"}},
		{"unknown flag", "train", []string{"--confg", "run.yaml"}, []string{"confg"}},
		{"argument", "train", []string{"run.yaml"}, []string{"unexpected argument"}},
		{"unknown type", "train", []string{"--defaults", "deepfn"}, []string{"deepfm"}},
		{"run is there", "train", []string{"--config", "run.yaml", "--run", "r"}, []string{"--resume", "--overwrite"}},
		{"run in a file", "train", []string{"--config", "run.yaml", "--run", "file/r"}, []string{"file/r"}},
		{"no data", "train", []string{"--config", "run.yaml", "--run", "n", "--set", "data.path=rose.tsv"}, []string{"rose.tsv"}},
		{"another config", "train", []string{"--config", "run.yaml", "--run", "r", "--resume"}, []string{"another config"}},
		{"label 2", "train", []string{"--config", "run.yaml", "--run", "n", "--set", "data.path=label2.tsv"}, []string{"label2.tsv:2", "label"}},
		{
			"short row", "train",
			[]string{"--config", "run.yaml", "--run", "n", "--set", "data.path=short.tsv"},
			[]string{"short.tsv:2", "20", "40"},
		},
		{
			"no number", "train",
			[]string{"--config", "run.yaml", "--run", "n", "--set", "data.path=text.tsv"},
			[]string{"text.tsv:2", "I1", "many"},
		},
		{"no UTF-8", "train", []string{"--config", "run.yaml", "--run", "n", "--set", "data.path=utf8.tsv"}, []string{"utf8.tsv:2", "UTF-8"}},
		{"no rows", "train", []string{"--config", "run.yaml", "--run", "n", "--set", "data.path=empty.tsv"}, []string{"empty.tsv"}},
		{"no run", "evaluate", nil, []string{"--run is missing"}},
		{"not a run", "evaluate", []string{"--run", "."}, []string{"not a run"}},
		{"truncated model", "evaluate", []string{"--run", "truncated"}, []string{"truncated/model.safetensors", "truncated"}},
		{"flipped bit", "evaluate", []string{"--run", "flipped"}, []string{"flipped/model.safetensors", "checksum"}},
		{"other model", "evaluate", []string{"--run", "r", "--set", "model.embedding_dim=5"}, []string{"embedding.C1.weight", "and 20 more"}},
		{"bad part", "evaluate", []string{"--run", "r", "--split", "tset"}, []string{"tset"}},
		{"repeats of nothing", "evaluate", []string{"--run", "r", "--repeats", "3"}, []string{"evaluate: --repeats is for --importance\n"}},
		{"importance of no metric", "evaluate", []string{"--run", "r", "--importance", "--metric", "mcc"}, []string{"--metric mcc: the task of r has auc, logloss"}},
		{"slices of nothing", "evaluate", []string{"--run", "r", "--sort", "worst"}, []string{"evaluate: --sort is for --by\n"}},
		{"two questions", "evaluate", []string{"--run", "r", "--by", "C1", "--importance"}, []string{"evaluate: --by and --importance exclude each other\n"}},
		{"slices of a metric", "evaluate", []string{"--run", "r", "--metric", "auc"}, []string{"evaluate: --metric is for --importance and --by\n"}},
		{"slices of no column", "evaluate", []string{"--run", "r", "--by", "C99"}, []string{"--by C99: the run has no such column (it has I1, I2, "}},
		{"explanation of a training", "cki", []string{"--explain", "r"}, []string{"cki: r is no merge: it has no merge.json\n"}},
		{"explanation with a config", "cki", []string{"--explain", "r", "--config", "run.yaml"}, []string{"cki: --explain is of a merge that is done: leave out --config\n"}},
		{"bad row to score", "predict", predict("short.tsv"), []string{"short.tsv:2"}},
		{"bad row of a table", "predict", []string{"--run", "r", "--in", "short.tsv", "--out", "scores.parquet"}, []string{"short.tsv:2"}},
		{"columns of lines", "predict", append(predict("rows.tsv"), "--columns", "C1"), []string{"--columns is for tables: give --out a name that ends in .csv or .parquet"}},
		{"columns of criteo", "predict", []string{"--run", "r", "--in", "rows.tsv", "--out", "scores.csv", "--columns", "C1"}, []string{"data of type criteo, whose columns cannot be passed along"}},
		{"blank column", "predict", append(predict("rows.tsv"), "--columns", "C1,"), []string{"has a blank name"}},
		{"nothing to score", "predict", []string{"--run", "r"}, []string{"--in"}},
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
			for _, f := range []string{"n/model.safetensors", "scores.txt", "scores.csv", "scores.parquet"} {
				if _, err := os.Stat(filepath.Join(dir, f)); err == nil {
					t.Errorf("%s was written", f)
				}
			}
		})
	}
	if !bytes.Equal(read(t, dir, "rows.tsv"), []byte(strings.Join(good, ""))) {
		t.Error("the data was changed")
	}
}

func TestDefaults(t *testing.T) {
	o := execute(t, t.TempDir(), "train", "--defaults", "deepfm")
	if o.code != 0 || !strings.Contains(o.stdout, "embedding_dim: 16") || !strings.Contains(o.stdout, "# ") {
		t.Errorf("exit %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}
