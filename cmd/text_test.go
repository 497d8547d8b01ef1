package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// textConfig is a tiny encoder over rows.tsv.
const textConfig = `data:
  type: text
  path: rows.tsv
  text: sentence
  label: label
  labels: [bad, good]
  split: {by: order, ratio: [0.6, 0.2, 0.2]}
  max_length: 16
  buckets: [8]
model: {type: bert, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32, max_position_embeddings: 20}
task: {type: classification, metrics: [accuracy, cross_entropy]}
train: {batch_size: 16, epochs: 4, learning_rate: 0.005, optimizer: adamw, patience: 0}
`

// textspace is a directory with sentences and run.yaml, and the run base of it.
func textspace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeTextspace(t, dir)
	train(t, dir, "base")
	return dir
}

// writeTextspace writes sentences and run.yaml.
func writeTextspace(t *testing.T, dir string) {
	t.Helper()
	words := [][]string{{"dull", "slow", "cold"}, {"funny", "warm", "sharp"}}
	var b strings.Builder
	b.WriteString("sentence\tlabel\n")
	for i := range 200 {
		fmt.Fprintf(&b, "the %s film was %s %s\t%d\n", []string{"first", "last"}[i/2%2], words[i%2][i/3%3], strings.Repeat(". ", i%7), i%2)
	}
	write(t, dir, "rows.tsv", b.String())
	write(t, dir, "run.yaml", textConfig)
}

func TestTextRun(t *testing.T) {
	dir := textspace(t)
	res := decode[struct{ Valid, Test map[string]float64 }](t, dir, "base", "result.json")
	if res.Test["accuracy"] < .95 {
		t.Errorf("test accuracy %v", res.Test["accuracy"])
	}
	c := model(t, dir, "base", "model.safetensors")
	if c.Meta["format"] != "pt" {
		t.Errorf("model.safetensors: metadata %v: transformers wants format pt", c.Meta)
	}
	hf := decode[struct {
		Architectures []string
		ID2Label      map[string]string
		VocabSize     int `json:"vocab_size"`
	}](t, dir, "base", "config.json")
	if hf.Architectures[0] != "BertForSequenceClassification" || hf.ID2Label["1"] != "good" ||
		hf.VocabSize != c.Get("bert.embeddings.word_embeddings.weight").Shape[0] {
		t.Errorf("config.json: %+v", hf)
	}
	o := execute(t, dir, "evaluate", "--run", "base", "--split", "test")
	if want := fmt.Sprintf("test (40 rows): accuracy %.6f cross_entropy %.6f", res.Test["accuracy"], res.Test["cross_entropy"]); o.code != 0 ||
		!strings.Contains(o.stdout, want) {
		t.Errorf("evaluate: exit %d, want %s\n%s%s", o.code, want, o.stdout, o.stderr)
	}
	write(t, dir, "new.tsv", "sentence\nthe first film was warm\n\nthe last film was dull .\nsharp\n"+strings.Repeat("cold ", 500)+"\n")
	o = execute(t, dir, "predict", "--run", "base", "--in", "new.tsv", "--out", "-")
	if got := strings.Fields(o.stdout); o.code != 0 || !slices.Equal(got, []string{"good", "good", "bad", "good", "bad"}) { // the blank line is a row
		t.Errorf("predict: exit %d, %q\n%s", o.code, got, o.stderr)
	}
	two := execute(t, dir, "evaluate", "--run", "base", "--run", publishRun(t, dir, "base", "again"))
	if two.code != 0 || !strings.Contains(two.stdout, "ensemble (mean of logits): accuracy") {
		t.Errorf("ensemble: exit %d\n%s%s", two.code, two.stdout, two.stderr)
	}
}

// publishRun copies a run.
func publishRun(t *testing.T, dir, run, name string) string {
	t.Helper()
	if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(dir, run))); err != nil {
		t.Fatal(err)
	}
	return name
}
