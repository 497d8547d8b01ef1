package search

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs/job"
)

// tiny is a training that takes a moment.
const tiny = `data: {type: tastes, users: 20, items: 10, rows: 800}
train: {batch_size: 128, epochs: 2, patience: 0, embeddings: lazy}
`

// config writes a config, beside one that it may extend, and returns its path.
func config(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"base.yaml": tiny + "model: {type: lr}\n", "s.yaml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "s.yaml")
}

func load(t *testing.T, text string, set ...string) *Spec {
	t.Helper()
	s, err := Load(t.Context(), job.Config{File: config(t, text), Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLoad(t *testing.T) {
	s := load(t, `extends: base.yaml
search: {trials: 7, asha: {factor: 3}}
model:
  type: deepfm
  hidden_units: [{uniform: [4, 8]}, 4]
  net_dropout: {uniform: [0, 0.5]}
  batch_norm: {grid: [true, false]}
train:
  embeddings: {choice: [lazy, dense]}
  optimizer: {choice: [adam, {type: sgd, momentum: 0.5}]}
  batch_size: {log: [32, 256]}
  learning_rate: {log: [1e-4, 0.1]}
`, "search.wave=3", "train.epochs={choice: [1, 2]}")
	var got []string
	for _, p := range s.Params {
		got = append(got, fmt.Sprint(p.Path, " ", p.Kind, " ", len(p.Values), " ", p.Low, " ", p.High, " ", p.Int))
	}
	slices.Sort(got)
	want := []string{
		"model.batch_norm grid 2 0 0 false",
		"model.hidden_units.0 uniform 0 4 8 true",
		"model.net_dropout uniform 0 0 0.5 false",
		"train.batch_size log 0 32 256 true",
		"train.embeddings choice 2 0 0 false",
		"train.epochs choice 2 0 0 false",
		"train.learning_rate log 0 0.0001 0.1 false",
		"train.optimizer choice 2 0 0 false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("parameters\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s.Trials != 7 || s.Wave != 3 || s.Method != TPE || *s.ASHA != (ASHA{Min: 1, Factor: 3}) {
		t.Errorf("options %+v, asha %+v", s.Options, s.ASHA)
	}
	values := make([]float64, len(s.Params))
	for i, p := range s.Params {
		values[i] = p.high()
	}
	e, err := s.Experiment(values)
	if err != nil {
		t.Fatal(err)
	}
	y, err := e.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"hidden_units: [8, 4]", "net_dropout: 0.5", "batch_norm: false", "embeddings: dense", "momentum: 0.5", "batch_size: 256", "learning_rate: 0.1", "epochs: 2"} {
		if !strings.Contains(string(y), want+"\n") {
			t.Errorf("the experiment lacks %s:\n%s", want, y)
		}
	}
	if text := s.Settings(values); !strings.Contains(text, "train.optimizer={type: sgd, momentum: 0.5}") {
		t.Errorf("settings %s", text)
	}
}

// A config without such a key is none of a search.
func TestOrdinary(t *testing.T) {
	_, err := Load(t.Context(), job.Config{File: config(t, "extends: base.yaml\n")})
	if want := "s.yaml:1: no key has several values; give some as {grid: [...]}, {choice: [...]}, {uniform: [...]}, {log: [...]}"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestBadConfigs(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"options", "search: {method: tpee, trials: 0, seeds: 0, wave: 0, startup: 0, candidates: 0, asha: {min: 0, factor: 1}, x: 1}\ntrain: {epochs: {grid: [1]}}\n", `
s.yaml:2: search.asha.min: must be at least 1, have 0
s.yaml:2: search.asha.factor: must be at least 2, have 1
s.yaml:2: search.x: unknown key; valid: asha, candidates, method, seed, seeds, startup, trials, wave
s.yaml:2: search.method: must be grid, random or tpe, have "tpee"
s.yaml:2: search.trials: must be at least 1, have 0
s.yaml:2: search.seeds: must be at least 1, have 0
s.yaml:2: search.wave: must be at least 1, have 0
s.yaml:2: search.startup: must be at least 1, have 0
s.yaml:2: search.candidates: must be at least 1, have 0`},
		{"bounds", `train:
  learning_rate: {log: [0, 1]}
  batch_size: {uniform: [64, 32]}
  epochs: {uniform: [1]}
  min_delta: {log: [a, 1]}
  patience: {choice: []}
`, `
s.yaml:3: train.learning_rate: the lowest value of log must be above 0, have 0
s.yaml:4: train.batch_size: the lowest value, 64, must be below the highest, 32
s.yaml:5: train.epochs: uniform has 1 values; want two, the lowest and the highest
s.yaml:6: train.min_delta: the bounds of log must be numbers
s.yaml:7: train.patience: choice has no values; want a list of them`},
		{"values", `train:
  learning_rate: {uniform: [-1, 0.1]}
  epochs: {uniform: [0.5, 3]}
  embeddings: {choice: [lazy, lasy]}
  optimizer: {choice: [adam, {type: sgd, momentun: 1}]}
  ema: {uniform: [0, 1]}
`, `
s.yaml:3: train.learning_rate: must be above 0, have -1
s.yaml:4: train.epochs: want a whole number, have 0.5
s.yaml:5: train.embeddings: must be lazy or dense, have "lasy"
s.yaml:6: train.optimizer.momentun: unknown key; did you mean "momentum"?
s.yaml:7: train.ema: must be in [0, 1), have 1`},
		{"fixed", "task: {pos_weight: {grid: [1, 2]}}\nthreads: {grid: [1, 2]}\ndata: {split: {seed: {grid: [1, 2]}}}\nseed: {grid: [1, 2]}\n", `
s.yaml:2: task.pos_weight: cannot be searched: trials of different tasks cannot be compared
s.yaml:3: threads: cannot be searched: threads change no result
s.yaml:4: data.split.seed: cannot be searched: trials must be measured on the same rows
s.yaml:5: seed: cannot be searched: search.seeds repeats trials with several seeds`},
		{"nested", "train: {optimizer: {choice: [{type: sgd, momentum: {uniform: [0, 1]}}]}}\n", `
s.yaml:2: train.optimizer.momentum: the values of a choice have no others in them; write out the combinations`},
		{"grid", "search: {method: grid}\ntrain: {learning_rate: {log: [0.1, 1]}}\n", `
s.yaml:3: train.learning_rate: log has no end of values, which a grid cannot have; give a list, as {grid: [...]}`},
		{"both", "train: {learning_rate: {log: [0.1, 1], grid: [1]}}\n", `
s.yaml:1: no key has several values; give some as {grid: [...]}, {choice: [...]}, {uniform: [...]}, {log: [...]}
s.yaml:2: train.learning_rate: want a number, have a section`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := config(t, "extends: base.yaml\n"+tc.text)
			_, err := Load(context.Background(), job.Config{File: path})
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), filepath.Dir(path)+string(filepath.Separator), "")
			if want := strings.TrimPrefix(tc.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Every config of a search in the repository loads, says on top how to run it, and so do its trials.
func TestConfigs(t *testing.T) {
	t.Chdir("..")
	files, err := filepath.Glob("search_*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d configs: %v", len(files), err)
	}
	for _, file := range files {
		s, err := Load(t.Context(), job.Config{File: file, Offline: true})
		if err != nil {
			t.Error(err)
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "# ") || !strings.Contains(string(text), "# Run: go run ./cmd/search --config configs/"+file) {
			t.Errorf("%s does not say how to run it", file)
		}
		for k := range 20 {
			if _, err := s.Experiment(s.propose(k, nil)); err != nil {
				t.Error(err)
			}
		}
	}
}
