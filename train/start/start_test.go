package start_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/sealed"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/start"
)

// logistic is the model of these tests.
func logistic() models.Model { return &ctr.LR{} }

// splits are the rows of these tests: none, of two columns.
func splits() *data.Splits {
	return &data.Splits{Schema: &data.Schema{Features: []data.Feature{
		{Name: "a", Kind: data.Categorical, Table: "a", Vocab: 5}, {Name: "x", Kind: data.Numeric},
	}, NumDense: 1}}
}

// weights writes a run's checkpoint with values of a seed, and returns them.
func weights(t *testing.T, path string, seed uint64) *nn.Params {
	t.Helper()
	p, err := models.NewParams(logistic(), splits().Schema, seed)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p.All() {
		for i := range q.Data {
			q.Data[i] = float32(i) + float32(seed)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := ckpt.Save(path, train.Snapshot(p)); err != nil {
		t.Fatal(err)
	}
	return p
}

func target(dir, from string) start.Target {
	o := start.Defaults()
	o.From = from
	return start.Target{
		Options: o, Dir: filepath.Join(dir, "new"), Model: logistic(), Seed: 3, Log: slog.New(slog.DiscardHandler),
		ModelOf: func(string) (models.Model, error) { return logistic(), nil },
	}
}

// TestFindAndLoad: each checkpoint of a run is the weights that training starts from.
func TestFindAndLoad(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "r")
	if err := run.Describe(from, run.Description{Config: []byte("seed: 1\n")}); err == nil {
		t.Error("a run in a directory that is not there: no error")
	}
	files := map[start.Checkpoint]string{
		start.Best: run.ModelFile, start.EMA: run.EMAFile, start.SWA: run.SWAFile, "2": run.EpochFile(2),
		start.Last: filepath.Join(run.LastDir, run.LastModel(7)),
	}
	want := map[start.Checkpoint]string{}
	seed := uint64(10)
	for c, name := range files {
		seed++
		want[c] = weights(t, filepath.Join(from, name), seed).Digest()
	}
	last := filepath.Join(from, run.LastDir)
	sum, err := ckpt.Checksum(filepath.Join(last, run.LastModel(7)))
	if err != nil {
		t.Fatal(err)
	}
	state := map[string]any{
		"step": 7, "samples": 70, "model": run.LastModel(7), "optimizer": run.LastOptimizer(7),
		"checksums": map[string]string{run.LastModel(7): sum, run.LastOptimizer(7): ""},
	}
	if err := sealed.Write(filepath.Join(last, run.StateFile), state); err != nil {
		t.Fatal(err)
	}
	if err := run.Write(from, run.ConfigFile, []byte("seed: 1\n")); err != nil {
		t.Fatal(err)
	}
	for c, name := range files {
		tg := target(dir, from)
		tg.Options.Checkpoint = c
		w, err := tg.Find()
		if err != nil {
			t.Errorf("checkpoint %s: %v", c, err)
			continue
		}
		p, rec, err := w.Load(splits())
		if err != nil {
			t.Errorf("checkpoint %s: %v", c, err)
			continue
		}
		if p.Digest() != want[c] || rec.Digest != want[c] || rec.File != filepath.Join(from, name) || rec.Imported || len(rec.Missing) > 0 {
			t.Errorf("checkpoint %s: digest %s, want %s; record %+v", c, p.Digest(), want[c], rec)
		}
	}
	w, err := target(dir, "").Find()
	if w != nil || err != nil {
		t.Errorf("nothing to start from: %v, %v", w, err)
	}
}

func TestFindRefuses(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "r")
	weights(t, filepath.Join(from, run.EpochFile(2)), 1)
	file := filepath.Join(dir, "x.safetensors")
	weights(t, file, 1)
	if err := run.Write(from, run.ConfigFile, nil); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		change func(*start.Target)
		want   string
	}{
		{"nowhere", func(t *start.Target) { t.Options.From = filepath.Join(dir, "none") }, "no such file or directory"},
		{"no model yet", func(*start.Target) {}, "has no model.safetensors; a run gets it from its first evaluation on"},
		{"another epoch", func(t *start.Target) { t.Options.Checkpoint = "3" }, "there are those of 2"},
		{"no average", func(t *start.Target) { t.Options.Checkpoint = start.EMA }, "train with train.ema"},
		{"no mean", func(t *start.Target) { t.Options.Checkpoint = start.SWA }, "train with train.swa_start"},
		{"no state", func(t *start.Target) { t.Options.Checkpoint = start.Last }, "there are no last weights"},
		{
			"checkpoint of a file", func(t *start.Target) { t.Options.From, t.Options.Checkpoint = file, start.Last },
			"is a file, of which there is no checkpoint last",
		},
		{"itself", func(t *start.Target) { t.Options.Checkpoint, t.Dir = "2", from }, "is the directory of this run"},
		{"another model", func(t *start.Target) {
			t.Options.Checkpoint, t.ModelOf = "2", func(string) (models.Model, error) { return &ctr.FM{}, nil }
		}, "is a run of fm, the config's model is lr"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tg := target(dir, from)
			tc.change(&tg)
			if _, err := tg.Find(); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "init.from: ") {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
	tg := target(dir, from)
	tg.Options.Checkpoint, tg.ModelOf = "2", func(string) (models.Model, error) { return nil, errors.New("cannot be read") }
	if w, err := tg.Find(); w == nil || err != nil { // it is not compared
		t.Errorf("a config that cannot be read: %v", err)
	}
	tg.Options.Features = "data"
	w, err := tg.Find()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.FeatureMap(); err == nil || !strings.Contains(err.Error(), "set init.features to run") {
		t.Errorf("rows to be matched without a map: %v", err)
	}
}

// TestLoadCompares: tensors that are not the model's are all reported, and with strict off those that fit are taken.
func TestLoadCompares(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	p := weights(t, path, 5)
	c, err := ckpt.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	lost := c.Tensors[0]
	c.Tensors[0] = ckpt.Tensor{Name: "other", Shape: []int{1}, Data: []float32{1}}
	if err := ckpt.Save(path, c); err != nil {
		t.Fatal(err)
	}
	tg := target(dir, path)
	w, err := tg.Find()
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = w.Load(splits())
	for _, want := range []string{"tensor " + lost.Name + ": missing", "tensor other: unexpected"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	tg.Options.Strict = false
	if w, err = tg.Find(); err != nil {
		t.Fatal(err)
	}
	q, rec, err := w.Load(splits())
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Missing) != 1 || rec.Missing[0] != lost.Name || len(rec.Unexpected) != 1 || rec.Unexpected[0] != "other" {
		t.Errorf("record %+v", rec)
	}
	if !q.Equal(p, func(name string) bool { return name != lost.Name }) || q.Equal(p, nil) {
		t.Error("the tensors that fit are not the file's, or the missing one is")
	}
}
