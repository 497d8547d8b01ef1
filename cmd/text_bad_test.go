package cmd_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A config gets its files; where they cannot be had its fallback holds, and says so.
func TestFetchAndFallback(t *testing.T) {
	dir := textspace(t)
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
		http.StripPrefix("/hf/", http.FileServer(http.Dir(filepath.Join(dir, "base")))).ServeHTTP(w, r)
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
