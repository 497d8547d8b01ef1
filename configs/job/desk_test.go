package job_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data/set"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// config is a small experiment over rows.tsv.
const config = `data:
  type: criteo
  path: rows.tsv
  split: {by: order, ratio: [0.7, 0.1, 0.2]}
  categorical: {min_count: 3}
  numeric: {transform: log1p}
model: {type: deepfm, embedding_dim: 4, hidden_units: [32, 16], net_dropout: 0.1, batch_norm: true}
train: {batch_size: 128, epochs: 1, learning_rate: 0.01, log_steps: 10, embedding_regularizer: 0.0001}
`

// workspace makes the working directory one with rows.tsv and run.yaml. Paths of a test are relative to it.
func workspace(t *testing.T, rows int64) {
	t.Helper()
	t.Chdir(t.TempDir())
	if _, err := set.SynthFile(t.Context(), "rows.tsv", set.SynthOptions{Rows: rows, Seed: 3, TestShare: .2}); err != nil {
		t.Fatal(err)
	}
	write(t, "run.yaml", config)
}

// call is what a caller asks for.
type call struct {
	config            string // file; empty: run.yaml, but of a fine-tuning none
	from, to          string // directories
	set               []string
	resume, overwrite bool
	offline           bool
}

// with returns the call with more overrides.
func (c call) with(set ...string) call {
	c.set = append(c.set[:len(c.set):len(c.set)], set...)
	return c
}

// logger returns a logger, and what is logged with it.
func logger() (*slog.Logger, *bytes.Buffer) {
	b := new(bytes.Buffer)
	return slog.New(slog.NewTextHandler(b, nil)), b
}

func (c call) read(log *slog.Logger) job.Config {
	return job.Config{File: c.config, Set: c.set, Offline: c.offline, Log: log}
}

// train trains, and returns the result and what was logged.
func (c call) train(t *testing.T) (*job.Result, string, error) {
	t.Helper()
	if c.config == "" {
		c.config = "run.yaml"
	}
	log, text := logger()
	e, err := c.read(log).Load(t.Context())
	if err != nil {
		return nil, text.String(), err
	}
	return c.fit(t, e, job.RunDir(c.to, e.Run, c.config), log, text)
}

// finetune trains on.
func (c call) finetune(t *testing.T) (*job.Result, string, error) {
	t.Helper()
	log, text := logger()
	e, dir, err := c.read(log).Finetune(t.Context(), c.from, c.to)
	if err != nil {
		return nil, text.String(), err
	}
	return c.fit(t, e, dir, log, text)
}

func (c call) fit(t *testing.T, e *configs.Experiment, dir string, log *slog.Logger, text *bytes.Buffer) (*job.Result, string, error) {
	t.Helper()
	j := job.Job{Experiment: e, Dir: dir, Log: log}
	r, err := j.Train(t.Context(), job.TrainOptions{Resume: c.resume, Overwrite: c.overwrite})
	return r, text.String(), err
}

// merge merges.
func (c call) merge(t *testing.T) (*job.Merged, string, error) {
	t.Helper()
	log, text := logger()
	e, err := c.read(log).LoadMerge(t.Context())
	if err != nil {
		return nil, text.String(), err
	}
	j := job.Job{Experiment: e, Dir: job.RunDir(c.to, e.Run, c.config), Log: log}
	m, err := j.Merge(t.Context(), c.overwrite)
	return m, text.String(), err
}

// trained is train that must succeed.
func (c call) trained(t *testing.T) (*job.Result, string) {
	t.Helper()
	return must(c.train(t))(t)
}

// finetuned is finetune that must succeed.
func (c call) finetuned(t *testing.T) (*job.Result, string) {
	t.Helper()
	return must(c.finetune(t))(t)
}

// merged is merge that must succeed.
func (c call) merged(t *testing.T) (*job.Merged, string) {
	t.Helper()
	return must(c.merge(t))(t)
}

func must[R any](r R, log string, err error) func(*testing.T) (R, string) {
	return func(t *testing.T) (R, string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		return r, log
	}
}

// fresh trains run.yaml into a directory.
func fresh(t *testing.T, dir string, set ...string) *job.Result {
	t.Helper()
	r, _ := call{to: dir, set: set}.trained(t)
	return r
}

// refused checks an error that the user can mend, by the texts that it should have.
func refused(t *testing.T, err error, want ...string) {
	t.Helper()
	if !errors.As(err, new(*run.InputError)) {
		t.Errorf("error %v (%T), want a mistake of the user", err, err)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error lacks %q:\n%v", w, err)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// there reports whether a file or directory is there.
func there(path ...string) bool {
	_, err := os.Stat(filepath.Join(path...))
	return err == nil
}

// copied copies a run.
func copied(t *testing.T, from, to string) string {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func remove(t *testing.T, path ...string) {
	t.Helper()
	if err := os.Remove(filepath.Join(path...)); err != nil {
		t.Fatal(err)
	}
}

func tensors(t *testing.T, path ...string) *ckpt.Checkpoint {
	t.Helper()
	c, err := ckpt.Load(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// altered writes a model again with a change.
func altered(t *testing.T, path string, change func(c *ckpt.Checkpoint)) {
	t.Helper()
	c := tensors(t, path)
	change(c)
	save(t, path, c)
}

func save(t *testing.T, path string, c *ckpt.Checkpoint) {
	t.Helper()
	if err := ckpt.Save(path, c); err != nil {
		t.Fatal(err)
	}
}

func decode[T any](t *testing.T, path ...string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(read(t, path...)), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
