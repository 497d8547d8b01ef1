package cmd_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/ckpt"
)

// finetune runs cmd/finetune and fails the test if that does not succeed.
func finetune(t *testing.T, dir string, args ...string) out {
	t.Helper()
	o := execute(t, dir, "finetune", args...)
	if o.code != 0 {
		t.Fatalf("finetune %v: exit %d\n%s", args, o.code, o.stderr)
	}
	return o
}

func model(t *testing.T, path ...string) *ckpt.Checkpoint {
	t.Helper()
	c, err := ckpt.Load(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// startOf is start.json.
type startOf struct {
	From, File, Digest  string
	Missing, Unexpected []string
	Valid               map[string]float64
	Teachers            []struct{ From, Digest string }
}

func decode[T any](t *testing.T, path ...string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(read(t, path...), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Training on from a run says what it began with, and whether it made that worse. Runs are measured together.
func TestFinetune(t *testing.T) {
	dir := workspace(t, 1500)
	train(t, dir, "r", "--set", "train.epochs=1")
	o := finetune(t, dir, "--from", "r", "--set", "train.learning_rate=0.003")
	if !strings.Contains(o.stdout, "before, the starting weights: auc ") || !strings.Contains(o.stdout, "run in r-finetuned\n") {
		t.Errorf("the output does not compare with the start:\n%s", o.stdout)
	}
	bad := finetune(t, dir, "--from", "r", "--run", "bad", "--set", "train.learning_rate=0.5", "--set", "train.max_steps=1", "--set", "train.monitor=logloss")
	if !strings.Contains(bad.stdout, "the starting weights, r, are the better model") {
		t.Errorf("nothing says that training made it worse:\n%s", bad.stdout)
	}
	finetune(t, dir, "--from", "r", "--set", "train.learning_rate=0.003", "--resume") // it is done
	o = execute(t, dir, "evaluate", "--run", "r", "--run", "r-finetuned", "--split", "test", "--ensemble", "probabilities")
	var got []string
	for l := range strings.Lines(o.stdout) {
		got = append(got, strings.SplitAfter(l, ":")[0])
	}
	want := []string{"test (300 rows), r:", "test (300 rows), r-finetuned:", "test (300 rows), ensemble (mean of probabilities):"}
	if o.code != 0 || !slices.Equal(got, want) {
		t.Errorf("evaluate: exit %d, %q, want %q\n%s", o.code, got, want, o.stderr)
	}
	if o := execute(t, dir, "predict", "--run", "r", "--run", "r-finetuned", "--in", "rows.tsv", "--out", "-"); o.code != 0 ||
		strings.Count(o.stdout, "\n") != 1500 {
		t.Errorf("predict: exit %d, %d lines\n%s", o.code, strings.Count(o.stdout, "\n"), o.stderr)
	}
	for _, args := range [][]string{
		nil, {"--from", "rr"}, {"--from", "r", "--set", "train.epocs=2"}, {"--from", "r", "--set", "seed=2", "--resume"}, {"--fetch", "."},
	} {
		if o := execute(t, dir, "finetune", args...); o.code != 2 || o.stderr == "" || strings.Contains(o.stderr, "goroutine ") {
			t.Errorf("%v: exit %d, want 2\n%s", args, o.code, o.stderr)
		}
	}
}
