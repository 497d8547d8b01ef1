package text_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/text"
	"github.com/splice-ml/splice/train/ckpt"
)

var update = flag.Bool("update", false, "write testdata/configs.json anew: run testdata/load.py after it")

// TestFiles compares the config.json of each case of parity.json with those that testdata/load.py has loaded in transformers,
// together with the weights, and whose logits were those of parity.json. With SPLICE_EXPORT set it writes directories for it there.
func TestFiles(t *testing.T) {
	have := map[string]json.RawMessage{}
	cases := parityCases()
	for name, c := range cases {
		files, err := c.m.(models.Exporter).Files(c.sc)
		if err != nil {
			t.Fatal(err)
		}
		if name == "bert/mean" {
			if len(files) > 0 {
				t.Errorf("%s: files %q for a model that transformers does not have", name, files)
			}
			continue
		}
		have[name] = files["config.json"]
		if dir := os.Getenv("SPLICE_EXPORT"); dir != "" {
			export(t, filepath.Join(dir, strings.ReplaceAll(name, "/", "_")), c, files)
		}
	}
	const path = "testdata/configs.json"
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(have); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("config.json files are\n%s\nwant those of %s\n%s", b.Bytes(), path, want)
	}
}

func export(t *testing.T, dir string, c parityCase, files map[string][]byte) {
	t.Helper()
	p := nn.NewParams(1)
	compile(t, c.m, p, c.sc, models.CompileOptions{})
	var w ckpt.Checkpoint
	for _, q := range p.All() {
		w.Tensors = append(w.Tensors, ckpt.Tensor{Name: q.Name, Shape: q.Shape, Data: q.Data})
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w.Meta = map[string]string{"format": "pt"}
	if err := ckpt.Save(filepath.Join(dir, "model.safetensors"), &w); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFilesResolve: a model reads its own config.json back.
func TestFilesResolve(t *testing.T) {
	for _, name := range []string{"bert", "roberta", "bert_mlm", "roberta_mlm"} {
		c := parityCases()[name]
		files, err := c.m.(models.Exporter).Files(c.sc)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(path, files["config.json"], 0o644); err != nil {
			t.Fatal(err)
		}
		def, _ := models.Registry.Default(name)
		switch m := def.(type) {
		case *text.BERT:
			m.Config = path
		case *text.RoBERTa:
			m.Config = path
		case *text.BERTMasked:
			m.Config = path
		case *text.RoBERTaMasked:
			m.Config = path
		}
		if err := def.(models.Resolver).Resolve(); err != nil {
			t.Fatal(err)
		}
		again, err := def.(models.Exporter).Files(c.sc)
		if err != nil || !bytes.Equal(again["config.json"], files["config.json"]) {
			t.Errorf("%s: error %v, config.json\n%s\nwant\n%s", name, err, again["config.json"], files["config.json"])
		}
	}
}
