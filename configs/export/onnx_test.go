package export_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/export"
	"github.com/splice-ml/splice/configs/job"
)

// TestSmoke: the runs of all smoke configs are written.
func TestSmoke(t *testing.T) {
	files, err := filepath.Glob("configs/smoke_*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d smoke configs, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			r := trainedOn(t, file)
			x, err := export.NewONNX(r)
			if err != nil {
				t.Fatal(err)
			}
			var model bytes.Buffer
			if err := x.WriteModel(&model); err != nil || model.Len() == 0 {
				t.Errorf("%d bytes, %v", model.Len(), err)
			}
			checkFeatures(t, r, x)
		})
	}
}

// checkFeatures compares features.json with how the run reads tokens, and its outputs with the model's labels.
func checkFeatures(t *testing.T, r *job.Run, x *export.ONNX) {
	t.Helper()
	var b bytes.Buffer
	if err := x.WriteFeatures(&b); err != nil {
		t.Fatal(err)
	}
	var f export.Features
	d := json.NewDecoder(&b)
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		t.Fatal(err)
	}
	tokens, hash := map[string][]string{}, map[string]int{}
	for _, table := range f.Tables {
		tokens[table.Name], hash[table.Name] = table.Tokens, table.Hash
	}
	if len(f.Inputs) != len(r.Map.Features) {
		t.Errorf("%d inputs of %d features", len(f.Inputs), len(r.Map.Features))
	}
	for _, in := range f.Inputs {
		if in.Type == "numeric" {
			continue
		}
		if want := r.Map.Table(in.Table).Hash; want > 0 {
			if hash[in.Table] != want {
				t.Errorf("input %s has %d hash buckets, want %d", in.Name, hash[in.Table], want)
			}
			continue
		}
		if len(tokens[in.Table]) == 0 {
			t.Errorf("input %s has no tokens", in.Name)
		}
		for i, token := range tokens[in.Table] {
			if id, err := r.Map.ID(in.Name, token); err != nil || int(id) != f.FirstID+i {
				t.Fatalf("token %q of %s has the id %d, %v, in features.json %d", token, in.Name, id, err, f.FirstID+i)
			}
		}
		if id, _ := r.Map.ID(in.Name, "no such token"); int(id) != f.Unknown {
			t.Errorf("an unknown token has the id %d, in features.json %d", id, f.Unknown)
		}
	}
	at := 0
	for _, o := range f.Outputs {
		if o.From != at || o.To != at+1 || o.Function != "Sigmoid" {
			t.Errorf("output %+v", o)
		}
		at = o.To
	}
	if at == 0 || strings.Contains(f.Model, "/") {
		t.Errorf("model %s has %d outputs", f.Model, at)
	}
}

// trainedOn returns a run of one epoch of a config.
func trainedOn(t *testing.T, file string) *job.Run {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "r")
	e, err := configs.Load(file, []string{"train.epochs=1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&job.Job{Experiment: e, Dir: dir}).Train(t.Context(), job.TrainOptions{}); err != nil {
		t.Fatal(err)
	}
	r, err := job.Open(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
