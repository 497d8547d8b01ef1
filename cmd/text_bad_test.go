package cmd_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splice-ml/splice/train/ckpt"
)

// Weights of a text model that cannot be started from are refused with what to do.
func TestBadTextStart(t *testing.T) {
	dir := textspace(t)
	alter := func(from, name string, change func(c *ckpt.Checkpoint)) {
		t.Helper()
		publishRun(t, dir, from, name)
		c := model(t, dir, name, "model.safetensors")
		change(c)
		if err := ckpt.Save(filepath.Join(dir, name, "model.safetensors"), c); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(path ...string) {
		t.Helper()
		if err := os.Remove(filepath.Join(append([]string{dir}, path...)...)); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, dir, "base", "plain", ckpt.F32, 1)
	publish(t, dir, "base", "shards", ckpt.F32, 3)
	remove("shards", "model-00002-of-00003.safetensors")
	publish(t, dir, "base", "pickle", ckpt.F32, 1)
	remove("pickle", "model.safetensors")
	write(t, dir, "pickle/pytorch_model.bin", "PK\x03\x04 and so on")
	alter("plain", "lacking", func(c *ckpt.Checkpoint) { c.Tensors = c.Tensors[3:] })
	alter("plain", "surplus", func(c *ckpt.Checkpoint) {
		c.Tensors = append(c.Tensors, ckpt.Tensor{Name: "encoder.layer.2.output.dense.bias", Shape: []int{1}, Data: []float32{1}},
			ckpt.Tensor{Name: "cls.predictions.bias", Shape: []int{1}, Data: []float32{1}})
	})
	// A published head of three classes, and one of the same two in the other order.
	for name, labels := range map[string]string{"three": `"0": "bad", "1": "good", "2": "fair"`, "turned": `"0": "Good", "1": "Bad"`} {
		publishRun(t, dir, "base", name)
		remove(name, "config.yaml")
		remove(name, "features.json.zst")
		text := string(read(t, dir, name, "config.json"))
		at := strings.Index(text, `"id2label": {`)
		end := at + strings.Index(text[at:], "}")
		write(t, dir, name+"/config.json", text[:at]+`"id2label": {`+labels+text[end:])
	}
	c := model(t, dir, "base", "model.safetensors")
	for _, x := range []*ckpt.Tensor{c.Get("classifier.weight"), c.Get("classifier.bias")} {
		x.Data, x.Shape = append(x.Data, x.Data[:len(x.Data)/2]...), append([]int{3}, x.Shape[1:]...)
	}
	if err := ckpt.Save(filepath.Join(dir, "three", "model.safetensors"), c); err != nil {
		t.Fatal(err)
	}
	on := func(from string, args ...string) []string {
		return append([]string{"--config", "run.yaml", "--from", from, "--run", "n", "--set", "train.max_steps=1"}, args...)
	}
	for _, tc := range []struct {
		name string
		args []string
		want []string
	}{
		{"pickle", on("pickle"), []string{"pytorch_model.bin: is a PyTorch pickle", "convert it: python -c", "model.safetensors)"}},
		{"missing shard", on("shards"), []string{"model-00002-of-00003.safetensors is missing"}},
		{
			"missing tensors", on("lacking"),
			[]string{
				"tensor bert.embeddings.word_embeddings.weight: missing", "tensor bert.embeddings.position_embeddings.weight: missing",
				"tensor bert.embeddings.token_type_embeddings.weight: missing",
			},
		},
		{"more layers", on("surplus"), []string{"tensor encoder.layer.2.output.dense.bias: unexpected [1]"}},
		{
			"other sizes", on("plain", "--set", `model.config=""`, "--set", "model.hidden_size=8"),
			[]string{"have [16 16], model wants [8 8]", "set model.config to plain"},
		},
		{
			"head of three", on("three"),
			[]string{
				"tensor classifier.weight: have [3 16], model wants [2 16]: the head has 3 outputs, the data 2 classes (bad, good)",
				"tensor classifier.bias", "init.strict to false",
			},
		},
		{"turned head", on("turned"), []string{"head is for the classes Good, Bad, the data has bad, good", "init.strict to false"}},
		{"no such model", on("plain", "--set", "model.config=rr"), []string{"model.config", "rr"}},
		{"another model", on("plain", "--set", "model={type: roberta, config: plain}"), []string{"model_type is bert"}},
		{"run of other classes", on("base", "--set", "data.labels=[sad, glad]"), []string{"label set differs", "sad, glad", "init.features"}},
		{
			"run, new features", on("base", "--set", "data.labels=[sad, glad]", "--set", "init.features=data"),
			[]string{"head is for the classes bad, good, the data has sad, glad"},
		},
		{
			"run of another tokenizer", on("base", "--set", `data.tokenizer=""`, "--set", "data.vocab_size=45", "--set", "init.features=data"),
			[]string{"tokenizer is not the data's", "data.tokenizer to base"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := execute(t, dir, "finetune", tc.args...)
			if o.code != 2 {
				t.Errorf("exit code %d, want 2", o.code)
			}
			for _, w := range tc.want {
				if !strings.Contains(o.stderr, w) {
					t.Errorf("standard error lacks %q:\n%s", w, o.stderr)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "n")); err == nil || strings.Contains(o.stderr, "goroutine ") {
				t.Errorf("a run was made, or a panic:\n%s", o.stderr)
			}
		})
	}
	// init.strict: false takes the encoder and starts the head fresh.
	for from, args := range map[string][]string{
		"three": nil, "turned": nil,
		"base": {"--set", "data.labels=[sad, glad]", "--set", "init.features=data"},
	} {
		o := finetune(t, dir, append(on(from, append(args, "--set", "init.strict=false")...), "--overwrite")...)
		if st := decode[startOf](t, dir, "n", "start.json"); len(st.Missing) != 2 || st.Missing[0] != "classifier.weight" ||
			!strings.Contains(o.stderr, "keep fresh values") {
			t.Errorf("%s: start.json: %+v\n%s", from, st, o.stderr)
		}
	}
}

// A config gets its files; where they cannot be had its fallback holds, and says so.
func TestFetchAndFallback(t *testing.T) {
	dir := textspace(t)
	publish(t, dir, "base", "hf", ckpt.F32, 1)
	rows := read(t, dir, "rows.tsv")
	var z bytes.Buffer
	w := zip.NewWriter(&z)
	f, err := w.Create("all/rows.tsv")
	if err == nil {
		_, err = f.Write(rows)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path == "/rows.zip" {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(z.Bytes()))
			return
		}
		http.StripPrefix("/hf/", http.FileServer(http.Dir(filepath.Join(dir, "hf")))).ServeHTTP(w, r)
	}))
	defer s.Close()
	config := func(url string) {
		text := strings.Replace(textConfig, "path: rows.tsv", "path: got/rows.tsv\n  tokenizer: weights", 1)
		text = strings.Replace(text, "model: {type: bert,", "model: {type: bert, config: weights,", 1)
		write(t, dir, "get.yaml", text+fmt.Sprintf(`init: {from: weights}
fetch:
  got: {files: {rows.tsv: ""}, from: [{url: "%[1]s/rows.zip", folder: all}]}
  weights: {files: {config.json: "", model.safetensors: "", vocab.txt: "", tokenizer_config.json: ""}, from: [{url: "%[1]s/none/{file}"}, {url: "%[1]s/hf/{file}"}]}
fallback: synthetic
synthetic:
  run: s
  data: {type: reviews, train: 64, valid: 32, test: 32, max_length: 16, vocab_size: 100}
  model: {config: "", max_position_embeddings: 17}
  init: {from: ""}
  train: {epochs: 1}
`, url))
	}
	synthetic := func(name string, o out, want ...string) {
		t.Helper()
		if o.code != 0 {
			t.Fatalf("%s: exit %d\n%s", name, o.code, o.stderr)
		}
		lines := strings.Split(strings.TrimSpace(o.stdout), "\n")
		for _, line := range lines {
			if !strings.Contains(line, "(synthetic)") {
				t.Errorf("%s: a line of results is not labelled: %s", name, line)
			}
		}
		for _, w := range append(want, "the run is SYNTHETIC") {
			if !strings.Contains(o.stderr, w) {
				t.Errorf("%s: standard error lacks %q\n%s", name, w, o.stderr)
			}
		}
		text := string(read(t, dir, "s", "config.yaml"))
		if len(lines) != 3 || !strings.Contains(text, "fallback: none") || !strings.Contains(text, "fetch: {}") {
			t.Errorf("%s: %d lines of results; the run's config:\n%s", name, len(lines), text)
		}
	}
	config(s.URL)
	synthetic("offline", execute(t, dir, "finetune", "--config", "get.yaml", "--offline"), "trained from scratch", "got lacks rows.tsv",
		"offline", "weights lacks config.json", "here, but not used\"=nothing")
	if asked > 0 {
		t.Errorf("--offline asked the network %d times", asked)
	}
	if o := execute(t, dir, "finetune", "--config", "get.yaml", "--offline", "--resume"); o.code != 0 {
		t.Errorf("--resume: exit %d\n%s", o.code, o.stderr)
	}
	config("http://127.0.0.1:1")
	synthetic("no network", execute(t, dir, "train", "--config", "get.yaml", "--overwrite"), "127.0.0.1:1")
	if o := execute(t, dir, "finetune", "--config", "get.yaml", "--set", "fallback=none", "--run", "n"); o.code != 2 ||
		!strings.Contains(o.stderr, "put the files there") {
		t.Errorf("no fallback: exit %d\n%s", o.code, o.stderr)
	}
	config(s.URL)
	if o := execute(t, dir, "finetune", "--config", "get.yaml", "--fetch", "got"); o.code != 0 || o.stdout != "got: all files are there\n" {
		t.Errorf("--fetch: exit %d, %q\n%s", o.code, o.stdout, o.stderr)
	}
	synthetic("half", execute(t, dir, "finetune", "--config", "get.yaml", "--offline", "--overwrite"), "weights lacks config.json",
		"here, but not used\"=got")
	o := execute(t, dir, "finetune", "--config", "get.yaml", "--run", "real")
	if o.code != 0 || strings.Contains(o.stdout, "synthetic") || !bytes.Equal(read(t, dir, "got", "rows.tsv"), rows) {
		t.Errorf("exit %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if st := decode[startOf](t, dir, "real", "start.json"); st.From != "weights" {
		t.Errorf("start.json: %+v", st)
	}
	// All is there now: the network is not needed.
	config("http://127.0.0.1:1")
	if o := execute(t, dir, "finetune", "--config", "get.yaml", "--run", "real", "--resume"); o.code != 0 {
		t.Errorf("--resume: exit %d\n%s", o.code, o.stderr)
	}
	if o := execute(t, dir, "finetune", "--config", "get.yaml", "--fetch", "else"); o.code != 2 ||
		!strings.Contains(o.stderr, "fetches nothing into that folder") {
		t.Errorf("--fetch of nothing: exit %d\n%s", o.code, o.stderr)
	}
}
