package cmd_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/ckpt"
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

// publish makes a Hugging Face directory of a run: no head, names without a prefix, tensors in a type, in files of a number.
func publish(t *testing.T, dir, run, name string, dtype ckpt.DType, shards int) string {
	t.Helper()
	to := filepath.Join(dir, name)
	if err := os.Mkdir(to, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"config.json", "vocab.txt", "tokenizer_config.json"} {
		write(t, to, f, string(read(t, dir, run, f)))
	}
	files, where := make([]ckpt.Checkpoint, shards), map[string]string{}
	file := func(i int) string {
		if shards == 1 {
			return ckpt.SingleFile
		}
		return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, shards)
	}
	for i, x := range model(t, dir, run, "model.safetensors").Tensors {
		var ok bool
		if x.Name, ok = strings.CutPrefix(x.Name, "bert."); !ok {
			continue
		}
		if dtype != ckpt.F32 {
			x.DType, x.Raw, x.Data = dtype, half(dtype, x.Data), nil
		}
		files[i%shards].Tensors = append(files[i%shards].Tensors, x)
		where[x.Name] = file(i % shards)
	}
	for i := range files {
		if err := ckpt.Save(filepath.Join(to, file(i)), &files[i]); err != nil {
			t.Fatal(err)
		}
	}
	if shards > 1 {
		b, err := json.Marshal(map[string]any{"weight_map": where})
		if err != nil {
			t.Fatal(err)
		}
		write(t, to, ckpt.IndexFile, string(b))
	}
	return name
}

// half converts values that the type can hold after rounding towards zero; small ones become 0 in F16.
func half(d ckpt.DType, x []float32) []byte {
	var b []byte
	for _, v := range x {
		bits := math.Float32bits(v)
		h := uint16(bits >> 16)
		if d == ckpt.F16 {
			h = uint16(bits>>16) & 0x8000
			if e := int(bits>>23&0xff) - 127 + 15; e > 0 && e < 31 {
				h |= uint16(e)<<10 | uint16(bits>>13&0x3ff)
			}
		}
		b = binary.LittleEndian.AppendUint16(b, h)
	}
	return b
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
	if got := strings.Fields(o.stdout); o.code != 0 || !slices.Equal(got, []string{"good", "bad", "good", "bad"}) {
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

// A Hugging Face directory is a start: one file or shards, of any float type, with or without a prefix; the head is fresh.
func TestHuggingFaceStart(t *testing.T) {
	dir := textspace(t)
	was := model(t, dir, "base", "model.safetensors")
	for _, tc := range []struct {
		name   string
		dtype  ckpt.DType
		shards int
		eps    float64
	}{{"one", ckpt.F32, 1, 0}, {"shards", ckpt.F32, 3, 0}, {"bf16", ckpt.BF16, 2, 1. / 128}, {"f16", ckpt.F16, 1, 1. / 1024}} {
		from := publish(t, dir, "base", tc.name, tc.dtype, tc.shards)
		args := []string{
			"--config", "run.yaml", "--from", from, "--run", "r-" + tc.name, "--set", "train.max_steps=1",
			"--set", "train.learning_rate=1e-30", "--set", "model.num_hidden_layers=7",
		}
		o := finetune(t, dir, args...)
		if strings.Count(o.stderr, "keep fresh values") != 1 || !strings.Contains(o.stderr, "classifier.weight classifier.bias") {
			t.Errorf("%s: no line names the fresh head:\n%s", tc.name, o.stderr)
		}
		st := decode[startOf](t, dir, "r-"+tc.name, "start.json")
		if !slices.Equal(st.Missing, []string{"classifier.weight", "classifier.bias"}) || len(st.Unexpected) > 0 {
			t.Errorf("%s: start.json: %+v", tc.name, st)
		}
		is := model(t, dir, "r-"+tc.name, "model.safetensors")
		for _, x := range was.Tensors {
			if !strings.HasPrefix(x.Name, "bert.") {
				continue
			}
			for i, v := range is.Get(x.Name).Data {
				if d := math.Abs(float64(v - x.Data[i])); d > tc.eps*(math.Abs(float64(x.Data[i]))+.1) {
					t.Fatalf("%s: %s[%d] = %v, want %v", tc.name, x.Name, i, v, x.Data[i])
				}
			}
		}
		text := string(read(t, dir, "r-"+tc.name, "config.yaml"))
		if !strings.Contains(text, `config: ""`) || !strings.Contains(text, "hidden_size: 16") {
			t.Errorf("%s: the run's config does not stand alone:\n%s", tc.name, text)
		}
		if o := execute(t, dir, "finetune", append(args, "--resume")...); o.code != 0 {
			t.Errorf("%s: --resume: exit %d\n%s", tc.name, o.code, o.stderr)
		}
	}
	// A run is a start as before, head included; so is one of masked words, without it.
	finetune(t, dir, "--from", "base", "--run", "on", "--set", "train.max_steps=1", "--set", "train.learning_rate=1e-30")
	if st := decode[startOf](t, dir, "on", "start.json"); len(st.Missing) > 0 || st.Valid["accuracy"] < .9 {
		t.Errorf("start.json of a run of a run: %+v", st)
	}
	train(t, dir, "mlm",
		"--set", "data={type: text, path: rows.tsv, text: sentence, mask_rate: 0.2, max_length: 16, split: {by: order, ratio: [0.8, 0.2, 0]}}",
		"--set", "model.type=bert_mlm",
		"--set", "model={type: bert_mlm, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32, max_position_embeddings: 20}",
		"--set", "task=masked_lm", "--set", "train.max_steps=2")
	if o := finetune(t, dir, "--config", "run.yaml", "--from", "mlm", "--run", "of-mlm"); !strings.Contains(o.stderr, "classifier.weight") {
		t.Errorf("no fresh head:\n%s", o.stderr)
	}
	if o := execute(t, dir, "predict", "--run", "mlm", "--in", "rows.tsv", "--out", "p"); o.code != 2 ||
		!strings.Contains(o.stderr, "masked words") {
		t.Errorf("predict with masked words: exit %d\n%s", o.code, o.stderr)
	}
}
