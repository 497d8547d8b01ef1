package job_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
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

// textspace makes the working directory one with sentences, run.yaml, and the run base of it.
func textspace(t *testing.T) *job.Result {
	t.Helper()
	t.Chdir(t.TempDir())
	words := [][]string{{"dull", "slow", "cold"}, {"funny", "warm", "sharp"}}
	var b strings.Builder
	b.WriteString("sentence\tlabel\n")
	for i := range 200 {
		fmt.Fprintf(&b, "the %s film was %s %s\t%d\n", []string{"first", "last"}[i/2%2], words[i%2][i/3%3], strings.Repeat(". ", i%7), i%2)
	}
	write(t, "rows.tsv", b.String())
	write(t, "run.yaml", textConfig)
	return fresh(t, "base")
}

// publish makes a Hugging Face directory of the run base: no head, names without a prefix, tensors in a type, in files of a number.
func publish(t *testing.T, to string, dtype ckpt.DType, shards int) {
	t.Helper()
	for _, f := range []string{"config.json", "vocab.txt", "tokenizer_config.json"} {
		write(t, filepath.Join(to, f), read(t, "base", f))
	}
	files, where := make([]ckpt.Checkpoint, shards), map[string]string{}
	file := func(i int) string {
		if shards == 1 {
			return ckpt.SingleFile
		}
		return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, shards)
	}
	for i, x := range tensors(t, "base", run.ModelFile).Tensors {
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
		save(t, filepath.Join(to, file(i)), &files[i])
	}
	if shards > 1 {
		b, err := json.Marshal(map[string]any{"weight_map": where})
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(to, ckpt.IndexFile), string(b))
	}
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

// A Hugging Face directory is a start: one file or shards, of any float type, with or without a prefix; the head is fresh.
func TestHuggingFaceStart(t *testing.T) {
	textspace(t)
	was := tensors(t, "base", run.ModelFile)
	for _, tc := range []struct {
		name   string
		dtype  ckpt.DType
		shards int
		eps    float64
	}{{"one", ckpt.F32, 1, 0}, {"shards", ckpt.F32, 3, 0}, {"bf16", ckpt.BF16, 2, 1. / 128}, {"f16", ckpt.F16, 1, 1. / 1024}} {
		publish(t, tc.name, tc.dtype, tc.shards)
		to := "r-" + tc.name
		c := call{config: "run.yaml", from: tc.name, to: to, set: []string{"train.max_steps=1", "train.learning_rate=1e-30"}}
		c = c.with("model.num_hidden_layers=7")
		_, log := c.finetuned(t)
		if strings.Count(log, "keep fresh values") != 1 || !strings.Contains(log, "classifier.weight, classifier.bias") {
			t.Errorf("%s: no line names the fresh head:\n%s", tc.name, log)
		}
		st := record(t, to)
		if !slices.Equal(st.Missing, []string{"classifier.weight", "classifier.bias"}) || len(st.Unexpected) > 0 {
			t.Errorf("%s: start.json: %+v", tc.name, st)
		}
		is := tensors(t, to, run.ModelFile)
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
		text := read(t, to, run.ConfigFile)
		if !strings.Contains(text, `config: ""`) || !strings.Contains(text, "hidden_size: 16") {
			t.Errorf("%s: the run's config does not stand alone:\n%s", tc.name, text)
		}
		c.resume = true
		c.finetuned(t)
	}
	// A run is a start as before, head included; so is one of masked words, without it.
	call{from: "base", to: "on", set: []string{"train.max_steps=1", "train.learning_rate=1e-30"}}.finetuned(t)
	if st := record(t, "on"); len(st.Missing) > 0 || st.Valid["accuracy"] < .9 {
		t.Errorf("the start of a run of a run: %+v", st)
	}
	fresh(t, "mlm",
		"data={type: text, path: rows.tsv, text: sentence, mask_rate: 0.2, max_length: 16, split: {by: order, ratio: [0.8, 0.2, 0]}}",
		"model={type: bert_mlm, hidden_size: 16, num_hidden_layers: 2, "+
			"num_attention_heads: 2, intermediate_size: 32, max_position_embeddings: 20}",
		"task=masked_lm", "train.max_steps=2")
	if _, log := (call{config: "run.yaml", from: "mlm", to: "of-mlm"}).finetuned(t); !strings.Contains(log, "classifier.weight") {
		t.Errorf("no fresh head:\n%s", log)
	}
	_, err := predict(t, "", "rows.tsv", "mlm")
	refused(t, err, "masked words")
}

// A run and a Hugging Face directory are merged, whichever is the base, as two runs are: by names, by classes, by tokenizers.
func TestMergePublished(t *testing.T) {
	textspace(t)
	fresh(t, "other", "seed=2")
	// hf is a directory of the run other: names without the prefix, and the classes in another order
	hf := func(to string) {
		for _, f := range []string{"vocab.txt", "tokenizer_config.json"} {
			write(t, filepath.Join(to, f), read(t, "other", f))
		}
		about := decode[map[string]any](t, "other", "config.json")
		about["id2label"] = map[string]string{"0": "GOOD", "1": "BAD"}
		about["label2id"] = map[string]int{"GOOD": 0, "BAD": 1}
		b, err := json.Marshal(about)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(to, "config.json"), string(b))
		c := tensors(t, "other", run.ModelFile)
		for i, x := range c.Tensors {
			if strings.HasPrefix(x.Name, "classifier") {
				n := len(x.Data) / 2
				x.Data = append(slices.Clone(x.Data[n:]), x.Data[:n]...)
			}
			x.Name = strings.TrimPrefix(x.Name, "bert.")
			c.Tensors[i] = x
		}
		save(t, filepath.Join(to, run.ModelFile), c)
	}
	hf("hf")
	merge := func(to, parents string) (*job.Merged, error) {
		write(t, "merge.yaml", "merge: {parents: ["+parents+"], method: {type: average}, guard: false, finetune: {epochs: 0}}\n")
		m, _, err := call{config: "merge.yaml", to: to}.merge(t)
		return m, err
	}
	for want, got := range map[string]string{"base, other": "base, hf", "other, base": "hf, base"} {
		name := got[:2]
		if _, err := merge("w-"+name, want); err != nil {
			t.Fatal(err)
		}
		m, err := merge("g-"+name, got)
		if err != nil {
			t.Errorf("%s: %v", got, err)
			continue
		}
		if m.Table == nil {
			t.Errorf("%s: the merge is not evaluated", got)
		}
		is := tensors(t, "g-"+name, run.ModelFile)
		for _, x := range tensors(t, "w-"+name, run.ModelFile).Tensors {
			if y := is.Get(x.Name); y == nil || !slices.Equal(x.Data, y.Data) {
				t.Errorf("%s of [%s] is not that of [%s]", x.Name, got, want)
			}
		}
		if _, err := evaluate(t, "", "", "test", "g-"+name); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}

	hf("heads")
	write(t, "heads/config.json", strings.Replace(read(t, "heads/config.json"), `"num_attention_heads":2`, `"num_attention_heads":4`, 1))
	hf("classes")
	write(t, "classes/config.json", strings.ReplaceAll(read(t, "classes/config.json"), "GOOD", "fine"))
	hf("words")
	write(t, "words/vocab.txt", strings.Replace(read(t, "words/vocab.txt"), "\nfilm\n", "\nmovie\n", 1))
	hf("wordless")
	remove(t, "wordless", "vocab.txt")
	for dir, want := range map[string][]string{
		"heads":    {"config.json has num_attention_heads 4, not the 2 of parent base"},
		"classes":  {"its head is for the classes fine, BAD, not for bad, good: parent base"},
		"words":    {"its tokenizer is not that of parent base", `"movie"`, "merge models of one tokenizer"},
		"wordless": {"whether its tokenizer is that of parent base cannot be told"},
	} {
		for _, parents := range []string{"base, " + dir, dir + ", base"} {
			_, err := merge("n", parents)
			refused(t, err, append(want, "parent "+dir+": ")...)
		}
	}
}

// Weights of a text model that cannot be started from are refused with what to do.
func TestBadTextStart(t *testing.T) {
	textspace(t)
	publish(t, "plain", ckpt.F32, 1)
	publish(t, "shards", ckpt.F32, 3)
	remove(t, "shards", "model-00002-of-00003.safetensors")
	publish(t, "pickle", ckpt.F32, 1)
	remove(t, "pickle", "model.safetensors")
	write(t, "pickle/pytorch_model.bin", "PK\x03\x04 and so on")
	altered(t, filepath.Join(copied(t, "plain", "lacking"), run.ModelFile), func(c *ckpt.Checkpoint) { c.Tensors = c.Tensors[3:] })
	altered(t, filepath.Join(copied(t, "plain", "surplus"), run.ModelFile), func(c *ckpt.Checkpoint) {
		c.Tensors = append(c.Tensors, ckpt.Tensor{Name: "encoder.layer.2.output.dense.bias", Shape: []int{1}, Data: []float32{1}},
			ckpt.Tensor{Name: "cls.predictions.bias", Shape: []int{1}, Data: []float32{1}})
	})
	// A published head of three classes.
	copied(t, "base", "three")
	remove(t, "three", "config.yaml")
	remove(t, "three", "features.json.zst")
	text := read(t, "three", "config.json")
	at := strings.Index(text, `"id2label": {`)
	end := at + strings.Index(text[at:], "}")
	write(t, filepath.Join("three", "config.json"), text[:at]+`"id2label": {"0": "bad", "1": "good", "2": "fair"`+text[end:])
	altered(t, filepath.Join("three", run.ModelFile), func(c *ckpt.Checkpoint) {
		for _, x := range []*ckpt.Tensor{c.Get("classifier.weight"), c.Get("classifier.bias")} {
			x.Data, x.Shape = append(x.Data, x.Data[:len(x.Data)/2]...), append([]int{3}, x.Shape[1:]...)
		}
	})
	on := func(from string, set ...string) call {
		return call{config: "run.yaml", from: from, to: "n", set: append([]string{"train.max_steps=1"}, set...)}
	}
	for _, tc := range []struct {
		name string
		call call
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
			"other sizes", on("plain", `model.config=""`, "model.hidden_size=8"),
			[]string{"have [16 16], model wants [8 8]", "set model.config to plain"},
		},
		{
			"head of three", on("three"),
			[]string{
				"tensor classifier.weight: have [3 16], model wants [2 16]: the head has 3 outputs, the data 2 classes (bad, good)",
				"tensor classifier.bias", "init.strict to false",
			},
		},
		{"no such model", on("plain", "model.config=rr"), []string{"model.config", "rr"}},
		{"another model", on("plain", "model={type: roberta, config: plain}"), []string{"model_type is bert"}},
		{"run of other classes", on("base", "data.labels=[sad, glad]"), []string{"label set differs", "sad, glad", "init.features"}},
		{
			"run, new features", on("base", "data.labels=[sad, glad]", "init.features=data"),
			[]string{"head is for the classes bad, good, the data has sad, glad"},
		},
		{
			"run of another tokenizer", on("base", `data.tokenizer=""`, "data.vocab_size=45", "init.features=data"),
			[]string{"tokenizer is not the data's", "data.tokenizer to base"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := tc.call.finetune(t)
			refused(t, err, tc.want...)
			if there("n") {
				t.Error("a run was made")
			}
		})
	}
	// init.strict: false takes the encoder and starts the head fresh.
	for from, set := range map[string][]string{"three": nil, "base": {"data.labels=[sad, glad]", "init.features=data"}} {
		c := on(from, set...).with("init.strict=false")
		c.overwrite = true
		_, log := c.finetuned(t)
		if st := record(t, "n"); len(st.Missing) != 2 || st.Missing[0] != "classifier.weight" || !strings.Contains(log, "keep fresh values") {
			t.Errorf("%s: %+v\n%s", from, st, log)
		}
	}
}

// A text's prediction is the name of its class, by one run or by several.
func TestTextPredict(t *testing.T) {
	r := textspace(t)
	if r.Test["accuracy"] < .95 || r.Monitor != "accuracy" {
		t.Errorf("%+v", r)
	}
	s, err := evaluate(t, "", "", "test", "base")
	if err != nil || len(s) != 1 || s[0].Rows != 40 || s[0].Metrics["cross_entropy"] != r.Test["cross_entropy"] {
		t.Errorf("%+v, %v; want %v", s, err, r.Test)
	}
	write(t, "new.tsv", "sentence\nthe first film was warm\n\nthe last film was dull .\nsharp\n"+strings.Repeat("cold ", 500)+"\n")
	fresh(t, "second", "seed=2")
	for _, runs := range [][]string{{"base"}, {"base", "second"}} {
		got, err := predict(t, "", "new.tsv", runs...)
		if err != nil || !slices.Equal(got, []string{"good", "good", "bad", "good", "bad"}) { // the blank line is a row
			t.Errorf("%v: %q, %v", runs, got, err)
		}
	}
}

// What a config needs and cannot be had is the user's to mend, unless the config says what to do without.
func TestFallback(t *testing.T) {
	textspace(t)
	write(t, filepath.Join("weights", "config.json"), read(t, "base", "config.json"))
	write(t, "get.yaml", strings.Replace(textConfig, "path: rows.tsv", "path: got/rows.tsv\n  tokenizer: weights", 1)+`init: {from: weights}
run: real
fetch:
  got: {files: {rows.tsv: ""}, from: [{url: "http://127.0.0.1:1/{file}"}]}
  weights: {files: {config.json: ""}, from: [{url: "http://127.0.0.1:1/{file}"}]}
fallback: synthetic
synthetic:
  run: s
  data: {type: reviews, train: 64, valid: 32, test: 32, max_length: 16, vocab_size: 100}
  model: {max_position_embeddings: 17}
  init: {from: ""}
  train: {epochs: 1}
`)
	c := call{config: "get.yaml", offline: true}
	r, log := c.finetuned(t)
	if !r.Synthetic || r.Dir != "s" || r.From != "" {
		t.Errorf("%+v", r)
	}
	for _, want := range []string{"the run is SYNTHETIC", "trained from scratch", "got lacks rows.tsv", "offline"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if text := read(t, "s", run.ConfigFile); !strings.Contains(text, "fallback: none") || !strings.Contains(text, "fetch: {}") {
		t.Errorf("the run's config is not of its own:\n%s", text)
	}
	c.resume = true
	c.finetuned(t)
	none := c.with("fallback=none")
	_, _, err := none.train(t)
	refused(t, err, "got lacks rows.tsv", "get.yaml: put the files there, or set fallback to synthetic")
	if there("real") {
		t.Error("a run was made")
	}
	there, err := job.Config{File: "get.yaml", Offline: true}.Fetch(t.Context(), ".")
	refused(t, err, "got lacks rows.tsv")
	if !slices.Equal(there, []string{"weights"}) {
		t.Errorf("complete folders %v", there)
	}
	_, err = job.Config{File: "get.yaml"}.Fetch(t.Context(), "else")
	refused(t, err, "--fetch else: get.yaml fetches nothing into that folder")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := (job.Config{File: "get.yaml"}).Load(ctx); !errors.Is(err, context.Canceled) || errors.As(err, new(*run.InputError)) {
		t.Errorf("after the end of the context: %v", err)
	}
}
