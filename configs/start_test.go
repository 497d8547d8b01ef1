package configs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/configs"
)

// TestLoadFinetune: a run is trained on by its recipe for one epoch. What only the first training could use is off unless it is
// asked for.
func TestLoadFinetune(t *testing.T) {
	e, err := configs.Load("smoke_deepfm.yaml", []string{
		"train.epochs=5", "train.max_steps=77", "train.ema=0.9", "train.keep_epochs=true", "train.swa_start=2", "train.schedule=linear",
		"train.learning_rate=0.5",
	})
	if err != nil {
		t.Fatal(err)
	}
	y, err := e.YAML()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	put := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	put(string(y))
	got, err := configs.LoadFinetune(dir, []string{"train.ema=0.99", "train.optimizer=sgd"})
	if err != nil {
		t.Fatal(err)
	}
	set, err := configs.Load("smoke_deepfm.yaml", []string{"train.optimizer=sgd"})
	if err != nil {
		t.Fatal(err)
	}
	want := e.Train
	want.Epochs, want.MaxSteps, want.KeepEpochs, want.SWAStart, want.EMA, want.Optimizer = 1, 0, false, 0, 0.99, set.Train.Optimizer
	if d := cmp.Diff(want, got.Train); d != "" {
		t.Errorf("training section: %s", d)
	}
	if d := cmp.Diff([]any{e.Model, e.Task, e.Data, e.Seed}, []any{got.Model, got.Task, got.Data, got.Seed}); d != "" {
		t.Errorf("what is trained on what: %s", d)
	}
	if got, err = configs.LoadFinetune(dir, nil); err != nil || got.Train.EMA != 0 {
		t.Errorf("a moving average of decay %v, %v without being asked for", got.Train.EMA, err)
	}

	for _, tc := range []struct{ name, config, set, want string }{
		{"a bad override", string(y), "train.epochs=0", "--set train.epochs=0: train.epochs: must be at least 1"},
		{"a misspelt override", string(y), "train.epoch=2", "--set train.epoch=2: train.epoch: unknown key"},
		{"a damaged config", strings.Replace(string(y), "epochs: 5", "epochs: 0", 1), "train.epochs=2", path + ":"},
	} {
		put(tc.config)
		if _, err := configs.LoadFinetune(dir, []string{tc.set}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}
