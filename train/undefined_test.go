package train_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/logs"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// oneClass is trainer with validation and test rows of label 0 alone, and its log.
func oneClass(t *testing.T, dir string) (*train.Trainer, *bytes.Buffer) {
	t.Helper()
	tr, text := trainer(t, dir), new(bytes.Buffer)
	tr.Log = slog.New(slog.NewTextHandler(text, nil))
	r := rng.New(1)
	var rows []data.Row
	for range 150 {
		rows = append(rows, data.Row{
			IDs:   map[string][]int32{"a": {int32(1 + r.IntN(8))}, "b": {int32(1 + r.IntN(39))}},
			Dense: []float32{float32(r.NormFloat64())},
		})
	}
	src, err := data.FromRows(tr.Data.Schema, rows)
	if err != nil {
		t.Fatal(err)
	}
	tr.Data.Valid, tr.Data.Test = src, src
	return tr, text
}

// An undefined metric ends no training: it is NaN, null in files, n/a for people, and its reason is logged once for each part. A
// training goes on from a checkpoint that has one.
func TestUndefinedMetric(t *testing.T) {
	dir := t.TempDir()
	var shown bytes.Buffer
	for _, epochs := range []int{1, 3} {
		tr, text := oneClass(t, dir)
		tr.Task, tr.Epochs, tr.Resume, tr.EMA = task.Binary{MetricNames: []string{"logloss", "auc"}}, epochs, epochs > 1, .9
		tr.Callbacks = append(tr.Callbacks, &logs.TensorBoard{Dir: dir}, &logs.Progress{Out: &shown})
		r, err := tr.Fit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for part, m := range map[string]map[string]float64{"valid": r.Valid, "test": r.Test, "average": r.Averages["ema"]} {
			if v := m["auc"]; !math.IsNaN(v) || !(m["logloss"] > 0) {
				t.Errorf("%d epochs: %s: %v", epochs, part, m)
			}
		}
		for _, part := range []string{"valid", "test"} {
			line := "metric=auc rows=" + part + ` reason="needs both classes, have 0 positives in 150 rows"`
			if n := strings.Count(text.String(), line); n != 1 {
				t.Errorf("%d epochs: the log has %q %d times:\n%s", epochs, line, n, text)
			}
		}
	}
	if s := shown.String(); !strings.Contains(s, " auc n/a") || strings.Contains(s, "NaN") {
		t.Errorf("shown is\n%s", s)
	}
	b, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil || !strings.Contains(string(b), `"auc":null`) {
		t.Errorf("metrics.jsonl: %v\n%s", err, b)
	}
	events, err := filepath.Glob(filepath.Join(dir, "events.*"))
	if err != nil || len(events) == 0 {
		t.Fatal(events, err)
	}
	for _, path := range events {
		if b, err = os.ReadFile(path); err != nil || !bytes.Contains(b, []byte("test/logloss")) || bytes.Contains(b, []byte("/auc")) {
			t.Errorf("%s: %v; has auc: %v", path, err, bytes.Contains(b, []byte("/auc")))
		}
	}
}

// A monitored metric that is undefined on the validation rows is found out before training.
func TestUndefinedMonitor(t *testing.T) {
	for _, tc := range []struct {
		name    string
		metrics []string
		monitor string
		want    []string
	}{
		{"the first", []string{"auc", "calibration", "logloss", "f1"}, "", []string{"train: auc is undefined", "train.monitor: logloss or f1"}},
		{"by name", []string{"logloss", "auc"}, "auc", []string{"needs both classes, have 0 positives in 150 rows", "data.valid_path"}},
		{"the only one", []string{"auc"}, "", []string{"can be selected by it: give other validation rows"}},
	} {
		tr, _ := oneClass(t, t.TempDir())
		tr.Task, tr.Monitor = task.Binary{MetricNames: tc.metrics}, tc.monitor
		tr.Callbacks = []train.Callback{untouched{t}}
		_, err := tr.Fit(t.Context())
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", tc.name, err, want)
			}
		}
		if _, err := os.Stat(filepath.Join(tr.Dir, run.ModelFile)); err == nil {
			t.Errorf("%s: there is a model", tc.name)
		}
	}
}

// An output that is no finite number is found in its row, whatever the batches.
func TestCheckOutputs(t *testing.T) {
	z := make([]float32, 12) // 4 rows of 3 outputs
	if err := train.CheckOutputs(z, 4, 100); err != nil {
		t.Error(err)
	}
	if err := train.CheckOutputs(nil, 0, 100); err != nil {
		t.Error(err)
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		z[7] = float32(v)
		if err := train.CheckOutputs(z, 4, 100); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("row 103: the model's output is %v:", v)) {
			t.Errorf("%v: error %v, want row 103", v, err)
		}
	}
}

// untouched fails the test if the training begins.
type untouched struct{ t *testing.T }

func (u untouched) On(_ context.Context, e *train.Event) error {
	u.t.Errorf("event %d of a training that cannot select", e.Kind)
	return nil
}

// The first of many values that is no finite number is found, too: those are looked through by several threads.
func TestCheckManyOutputs(t *testing.T) {
	const rows, width = 300, 1000
	z := make([]float32, rows*width)
	if err := train.CheckOutputs(z, rows, 0); err != nil {
		t.Error(err)
	}
	for _, row := range []int{299, 160, 17, 0} {
		z[row*width+5] = float32(math.Inf(-1))
		if err := train.CheckOutputs(z, rows, 100); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("row %d: the model's output is -Inf:", 101+row)) {
			t.Errorf("row %d: %v", row, err)
		}
	}
}
