//go:build unix

package cmd_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func read2(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func remove(t testing.TB, dir, path string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, path)); err != nil {
		t.Fatal(err)
	}
}

// edit makes a file of a directory by replacing a text of it.
func edit(path, old, text string) func(testing.TB, string) {
	return func(t testing.TB, dir string) {
		t.Helper()
		was := string(read2(t, dir, path))
		if !strings.Contains(was, old) {
			t.Fatalf("%s lacks %q:\n%s", path, old, was)
		}
		spoil(t, dir, path, strings.Replace(was, old, text, 1))
	}
}

// noJSON are texts that are not what a JSON file of an object should be.
var noJSON = []file{
	{name: "empty"},
	{name: "blanks", text: " \n\n"},
	{name: "text", text: "hello\n"},
	{name: "a list", text: "[1]"},
	{name: "a number", text: "7"},
	{name: "cut off", text: `{"digest": "2c05`},
	{name: "two objects", text: "{} {}"},
	{name: "NULs", text: strings.Repeat("\x00", 4096)},
	{name: "bytes", text: noise(4096)},
	{name: "UTF-16", text: "\xff\xfe{\x00}\x00"},
	{name: "100,000 open lists", text: `{"x": ` + strings.Repeat("[", 100000)},
	{name: "100,000 lists", text: `{"x": ` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + "}"},
	{name: "300 MB", head: "{", text: " ", times: 300 << 20, tail: "}"},
}

func attacksOnRuns() []attack {
	resume := []string{"train", "--config", "run.yaml", "--run", "half", "--resume"}
	evaluate := []string{"evaluate", "--run", "r"}
	all := attacksWith("state.json", "rows", "half/last/state.json", resume, noJSON)
	all = append(all, attacksInPlaceOf("state.json", "rows", "half/last/state.json", resume)...)
	for i := range all { // a training without a state begins anew
		all[i].takes = all[i].name == "state.json/not there" || all[i].name == "state.json/a dead link"
	}
	state := func(name, old, text string) {
		all = append(all, attack{
			name: "state.json/" + name, on: "rows", args: resume, want: []string{"state.json"}, spoil: edit("half/last/state.json", old, text),
		})
	}
	state("another digest", `"digest": "`, `"digest": "00`)
	state("no digest", `"digest"`, `"digset"`)
	state("another seed", `"seed": 1`, `"seed": 2`)
	state("a step less", `"step": 8`, `"step": 7`)
	state("a negative step", `"step": 8`, `"step": -8`)
	state("a large step", `"step": 8`, `"step": 9223372036854775807`)
	state("a step that is a word", `"step": 8`, `"step": "8"`)
	state("another epoch", `"epoch": 1`, `"epoch": 2`)
	state("a negative epoch", `"epoch": 1`, `"epoch": -1`)
	state("another batch", `"batch": `, `"batch": 1`)
	state("a negative batch", `"batch": `, `"batch": -`)
	state("another best", `"value": 0.`, `"value": 1.`)
	state("done", `"done": false`, `"done": true`)
	state("a model above", `"model": "model-8.safetensors"`, `"model": "../model.safetensors"`)
	state("a model that is not there", `"model": "model-8.safetensors"`, `"model": "model-9.safetensors"`)
	state("no model", `"model": "model-8.safetensors"`, `"model": ""`)
	state("the optimizer's file for the model's", `"model": "model-8.safetensors"`, `"model": "optimizer-8.safetensors"`)
	state("no counts", `"counts": "counts-8.safetensors"`, `"counts": ""`)
	state("callbacks that are a list", `"callbacks": {`, `"callbacks": [], "x": {`)
	for _, f := range []string{"model-8.safetensors", "optimizer-8.safetensors", "counts-8.safetensors"} {
		path := "half/last/" + f
		for name, change := range map[string]func(b []byte) []byte{
			"cut off":          func(b []byte) []byte { return b[:len(b)-1] },
			"half":             func(b []byte) []byte { return b[:len(b)/2] },
			"empty":            func([]byte) []byte { return nil },
			"a flipped bit":    func(b []byte) []byte { b[len(b)-9] ^= 4; return b },
			"a flipped header": func(b []byte) []byte { b[40] ^= 1; return b },
		} {
			all = append(all, attack{name: "last/" + f + " " + name, on: "rows", args: resume, want: []string{f}, lines: -1, spoil: func(t testing.TB, dir string) {
				spoil(t, dir, path, string(change(read2(t, dir, path))))
			}})
		}
		all = append(all, attack{name: "last/" + f + " is not there", on: "rows", args: resume, want: []string{f}, spoil: func(t testing.TB, dir string) {
			remove(t, dir, path)
		}})
	}
	all = append(all, attack{
		name: "last/the model of another run", on: "rows", args: resume, want: []string{"model-8.safetensors"},
		spoil: func(t testing.TB, dir string) {
			spoil(t, dir, "half/last/model-8.safetensors", string(read2(t, dir, "r", "model.safetensors")))
		},
	})
	// A finished run.
	for _, f := range []string{"config.yaml", "model.safetensors", "features.json.zst"} {
		all = append(all, attacksInPlaceOf("run's "+f, "rows", "r/"+f, evaluate)...)
	}
	all = append(all, attacksWith("run's config.yaml", "rows", "r/config.yaml", evaluate, []file{
		{name: "empty"},
		{name: "of something else", text: attackCSV},
		{name: "bytes", text: noise(4096)},
		{name: "an unknown key", text: attackConfig + "x: 1\n"},
		{name: "40 MB", text: "# comment\n", times: 4 << 20},
		{name: "another size", text: with(attackConfig, "[8]", "[9]"), lines: -1},
	})...)
	for i := range all { // the line is about what does not fit
		switch all[i].name {
		case "run's config.yaml/of something else", "run's config.yaml/another size":
			all[i].want = []string{"r"}
			all[i].lines = -1
		}
	}
	compress := func(s string) string { return zstandard(s) }
	list := func(n int) string {
		return `{"version":1,"rows":420,"features":[` + strings.Repeat(`{"name":"I1","kind":1,"transform":"raw"},`, n) + `{"name":"x","kind":1,"transform":"raw"}]}`
	}
	all = append(all, attacksWith("features.json.zst", "rows", "r/features.json.zst", evaluate, []file{
		{name: "empty"},
		{name: "text", text: "{}"},
		{name: "bytes", text: noise(4096)},
		{name: "nothing in it", text: compress("")},
		{name: "a list", text: compress("[]")},
		{name: "null", text: compress("null")},
		{name: "no features", text: compress("{}")},
		{name: "another version", text: compress(`{"version":99,"features":[]}`)},
		{name: "a version that is a word", text: compress(`{"version":"1"}`)},
		{name: "negative rows", text: compress(strings.Replace(list(0), "420", "-420", 1))},
		{name: "a feature of no kind", text: compress(`{"version":1,"rows":1,"features":[{"name":"a","kind":77,"table":"a"}]}`)},
		{name: "a feature of no table", text: compress(`{"version":1,"rows":1,"features":[{"name":"a","kind":0,"table":"b"}]}`)},
		{name: "a feature twice", text: compress(list(2))},
		{name: "500,000 features", text: compress(list(500000))},
		{name: "another feature", text: compress(list(0)), lines: -1, want: ""},
		{name: "100,000 open lists", text: compress(`{"version":1,"features":` + strings.Repeat("[", 100000))},
		{name: "a bomb", text: zeros(1 << 30)},
		{name: "a bomb of tokens", text: bomb(50)},
		{name: "a window of 2 GB", text: window(31)},
		{name: "two objects", text: compress(list(0) + list(0))},
		{name: "more behind it", text: compress(list(0)) + "x"},
	})...)
	for _, f := range []string{"result.json"} {
		all = append(all, attacksWith(f, "rows", "r/"+f, []string{"cki", "--config", "merge.yaml", "--run", "n"}, fineAll(noJSON))...)
	}
	all = append(all, attacksWith("start.json", "rows", "f/start.json", []string{"finetune", "--from", "r", "--run", "f", "--resume"}, noJSON)...)
	all = append(all, attacksWith("table.json", "rows", "m/table.json", []string{"cki", "--config", "merge.yaml", "--run", "m"}, noJSON)...)
	all = append(all, attacksWith("merge.json", "rows", "m/merge.json", []string{"evaluate", "--run", "m"}, fineAll(noJSON))...)
	all = append(all, attacksWith("metrics.jsonl", "rows", "half/metrics.jsonl", resume, fineAll(noJSON))...)
	all = append(all, attacksWith("the lock", "rows", "half/.splice.lock", resume, fineAll(noJSON))...)
	for i := range all { // what is only odd is written anew
		if all[i].fine || all[i].takes {
			all[i].changes = true
		}
	}
	return all
}

// fineAll are the files as inputs that a command may take.
func fineAll(files []file) []file {
	out := append([]file(nil), files...)
	for i := range out {
		out[i].fine = true
	}
	return out
}

// bomb is a feature map of one token of n MB, made without so much memory.
func bomb(n int) string {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(w, `{"version":1,"rows":1,"features":[{"name":"a","kind":0,"table":"a"}],"vocabularies":{"a":{"tokens":["`) // to memory
	for block := strings.Repeat("x", 1<<20); n > 0; n-- {
		_, _ = io.WriteString(w, block)
	}
	_, _ = io.WriteString(w, `"]}}}`)
	_ = w.Close()
	return b.String()
}

func attacksOnPublished() []attack {
	args := []string{"finetune", "--config", "pub.yaml", "--run", "n", "--set", "train.epochs=1"}
	all := attacksWith("config.json", "texts", "pub/config.json", append(args[:len(args):len(args)], "--set", "model={type: bert, config: pub}"), noJSON)
	all = append(all, attacksWith("config.json of the head", "texts", "pub/config.json", args, noJSON)...)
	all = append(all, attacksInPlaceOf("config.json", "texts", "pub/config.json", append(args[:len(args):len(args)], "--set", "model={type: bert, config: pub}"))...)
	key := func(name, old, text string) {
		all = append(all, attack{
			name: "config.json/" + name, on: "texts", lines: -1, spoil: edit("pub/config.json", old, text),
			args: append(args[:len(args):len(args)], "--set", "model={type: bert, config: pub}"),
		})
	}
	key("another model", `"model_type": "bert"`, `"model_type": "gpt2"`)
	key("no model", `"model_type"`, `"model_tpye"`)
	key("a model that is a number", `"model_type": "bert"`, `"model_type": 7`)
	key("a model that is null", `"model_type": "bert"`, `"model_type": null`)
	key("a negative size", `"hidden_size": 16`, `"hidden_size": -16`)
	key("a size of 0", `"hidden_size": 16`, `"hidden_size": 0`)
	key("a size that is a word", `"hidden_size": 16`, `"hidden_size": "16"`)
	key("a size that is a fraction", `"hidden_size": 16`, `"hidden_size": 16.5`)
	key("a size that is null", `"hidden_size": 16`, `"hidden_size": null`)
	key("a size of 2 to the 62", `"hidden_size": 16`, `"hidden_size": 4611686018427387904`)
	key("a size over 64 bits", `"hidden_size": 16`, `"hidden_size": 99999999999999999999`)
	key("heads that do not divide", `"num_attention_heads": 2`, `"num_attention_heads": 3`)
	key("no heads", `"num_attention_heads": 2`, `"num_attention_heads": 0`)
	key("a million layers", `"num_hidden_layers": 2`, `"num_hidden_layers": 1000000`)
	key("2 to the 62 layers", `"num_hidden_layers": 2`, `"num_hidden_layers": 4611686018427387904`)
	key("no layers", `"num_hidden_layers": 2`, `"num_hidden_layers": 0`)
	key("an unknown activation", `"hidden_act": "gelu"`, `"hidden_act": "glu"`)
	key("a vocabulary of 2 to the 62", `"vocab_size": 71`, `"vocab_size": 4611686018427387904`)
	key("a vocabulary of 2 to the 40", `"vocab_size": 71`, `"vocab_size": 1099511627776`)
	key("a smaller vocabulary", `"vocab_size": 71`, `"vocab_size": 7`)
	key("positions of 2 to the 62", `"max_position_embeddings": 20`, `"max_position_embeddings": 4611686018427387904`)
	key("fewer positions", `"max_position_embeddings": 20`, `"max_position_embeddings": 8`)
	key("an epsilon of null", `"layer_norm_eps": 1e-12`, `"layer_norm_eps": "x"`)
	key("a negative epsilon", `"layer_norm_eps": 1e-12`, `"layer_norm_eps": -1`)
	key("dropout of 2", `"hidden_dropout_prob": 0.1`, `"hidden_dropout_prob": 2`)
	key("relative positions", `"position_embedding_type": "absolute"`, `"position_embedding_type": "relative_key"`)
	return all
}

func attacksOnTokenizers() []attack {
	args := []string{"train", "--config", "run.yaml", "--run", "n", "--set", "train.epochs=1", "--set", "data.tokenizer=tok"}
	words := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nfilm\nwas\n"
	vocab := attacksWith("vocab.txt", "texts", "tok/vocab.txt", args, []file{
		{name: "empty"},
		{name: "no special tokens", text: "the\nfilm\n"},
		{name: "a NUL", text: words + "a\x00b\n", fine: true},
		{name: "no UTF-8", text: words + "\xff\xfe\n"},
		{name: "UTF-16", text: "\xff\xfe[\x00P\x00"},
		{name: "bytes", text: noise(1 << 16)},
		{name: "blank lines", text: strings.Repeat("\n", 1000)},
		{name: "a token twice", text: words + "the\n", fine: true},
		{name: "a token of 10 MB", head: words, text: "x", times: 10 << 20, fine: true},
		{name: "300 MB", head: words, text: "word\n", times: 60 << 20},
		{name: "JSON", text: "{\"a\": 1}"},
	})
	bpe := attacksWith("vocab.json", "texts", "tok/vocab.json", args, append([]file{
		{name: "a negative id", text: `{"a": -1}`},
		{name: "a fraction", text: `{"a": 1.5}`},
		{name: "a large id", text: `{"a": 99999999999999999999}`},
		{name: "a gap of 2 to the 40", text: `{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a": 1099511627776}`},
		{name: "an id twice", text: `{"<s>": 0, "<pad>": 0}`},
		{name: "a token twice", text: `{"a": 0, "a": 1}`},
		{name: "null", text: `null`},
	}, noJSON...))
	merges := attacksWith("merges.txt", "texts", "tok/merges.txt", args, []file{
		{name: "empty", fine: true},
		{name: "three words a line", text: "#version: 0.2\na b c\n"},
		{name: "one word a line", text: "#version: 0.2\nab\n"},
		{name: "unknown tokens", text: "#version: 0.2\nx y\n"},
		{name: "bytes", text: noise(1 << 16)},
		{name: "300 MB", text: "a b\n", times: 75 << 20},
	})
	for i := range merges {
		make := merges[i].spoil
		merges[i].spoil = func(t testing.TB, dir string) {
			spoil(t, dir, "tok/vocab.json", `{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a": 5, "b": 6, "ab": 7}`)
			make(t, dir)
		}
	}
	for i := range bpe {
		make := bpe[i].spoil
		bpe[i].spoil = func(t testing.TB, dir string) {
			spoil(t, dir, "tok/merges.txt", "#version: 0.2\na b\n")
			make(t, dir)
		}
	}
	model := func(s string) string {
		return `{"version": "1.0", "added_tokens": [], "normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}, ` +
			`"post_processor": null, "decoder": null, "model": ` + s + `}`
	}
	good := `{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "the": 5}}`
	whole := attacksWith("tokenizer.json", "texts", "tok/tokenizer.json", args, append([]file{
		{name: "null", text: "null"},
		{name: "no model", text: `{"version": "1.0"}`},
		{name: "a model that is null", text: model("null")},
		{name: "a model that is a list", text: model("[]")},
		{name: "another model", text: model(`{"type": "Unigram", "vocab": [["a", 0.5]]}`)},
		{name: "no words", text: model(`{"type": "WordPiece", "unk_token": "[UNK]", "vocab": {}}`)},
		{name: "a blank word", text: model(`{"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"": 0, "[UNK]": 1, "[PAD]": 2, "[CLS]": 3, "[SEP]": 4}}`), fine: true},
		{name: "no unknown token", text: model(`{"type": "WordPiece", "unk_token": "[XXX]", "vocab": {"a": 0}}`)},
		{name: "an id twice", text: model(`{"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"a": 0, "[UNK]": 0}}`)},
		{name: "an id of 2 to the 40", text: model(strings.Replace(good, `"the": 5`, `"the": 1099511627776`, 1))},
		{name: "a negative id", text: model(strings.Replace(good, `"the": 5`, `"the": -5`, 1))},
		{name: "a normalizer that is not known", text: strings.Replace(model(good), "BertNormalizer", "Magic", 1)},
		{name: "a normalizer that nests", text: strings.Replace(model(good), `{"type": "BertNormalizer"}`, strings.Repeat(`{"type": "Sequence", "normalizers": [`, 9000)+strings.Repeat(`]}`, 9000), 1), fine: true},
		{name: "a pattern that is none", text: strings.Replace(model(good), `{"type": "BertNormalizer"}`, `{"type": "Replace", "pattern": {"Regex": "(((("}, "content": "x"}`, 1)},
		{name: "a replacement that grows", text: strings.Replace(model(good), `{"type": "BertNormalizer"}`, `{"type": "Sequence", "normalizers": [`+strings.TrimSuffix(strings.Repeat(`{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaaaa"},`, 12), ",")+`]}`, 1)},
		{name: "characters of a word below 0", text: model(strings.Replace(good, "100", "-1", 1)), fine: true},
		{name: "a prefix that is a number", text: model(strings.Replace(good, `"##"`, "7", 1))},
		{name: "an added token of no text", text: strings.Replace(model(good), `"added_tokens": []`, `"added_tokens": [{"id": 9, "content": ""}]`, 1)},
		{name: "an added token of a large id", text: strings.Replace(model(good), `"added_tokens": []`, `"added_tokens": [{"id": 1099511627776, "content": "x"}]`, 1)},
		{name: "an added token twice", text: strings.Replace(model(good), `"added_tokens": []`, `"added_tokens": [{"id": 6, "content": "x"}, {"id": 6, "content": "y"}]`, 1)},
		{name: "a word of 1 MB", text: model(strings.Replace(good, `"the": 5`, `"`+strings.Repeat("x", 1<<20)+`": 5`, 1)), fine: true},
	}, noJSON...))
	options := attacksWith("tokenizer_config.json", "texts", "pub/tokenizer_config.json",
		[]string{"finetune", "--config", "pub.yaml", "--run", "n", "--set", "train.epochs=1", "--set", "data.tokenizer=pub"}, append([]file{
			{name: "another class", text: `{"tokenizer_class": "T5Tokenizer"}`, fine: true},
			{name: "a length of 1e30", text: `{"model_max_length": 1000000000000000019884624838656, "do_lower_case": true}`, takes: true},
			{name: "a token that is a number", text: `{"cls_token": 7}`, fine: true},
			{name: "lower case that is a word", text: `{"do_lower_case": "yes"}`},
			{name: "added tokens of no number", text: `{"added_tokens_decoder": {"x": {"content": "y"}}}`},
			{name: "added tokens of a large number", text: `{"added_tokens_decoder": {"1099511627776": {"content": "y"}}}`},
			{name: "added tokens that are a list", text: `{"added_tokens_decoder": []}`, fine: true},
		}, noJSON...))
	var more []attack
	for _, f := range []string{"special_tokens_map.json", "added_tokens.json"} {
		more = append(more, attacksWith(f, "texts", "pub/"+f,
			[]string{"finetune", "--config", "pub.yaml", "--run", "n", "--set", "train.epochs=1", "--set", "data.tokenizer=pub"}, noJSON)...)
	}
	all := append(append(append(append(append(vocab, bpe...), merges...), whole...), options...), more...)
	return append(all, attacksInPlaceOf("vocab.txt", "texts", "tok/vocab.txt", args)...)
}

func attacksOnTables() []attack {
	good := "runs: tables\nseeds: 1\nvariants: [{name: a, config: merge.yaml}]\n"
	return attacksWith("table", "rows", "bad.yaml", []string{"table", "bad.yaml"}, []file{
		{name: "empty"},
		{name: "a list", text: "[1]"},
		{name: "bytes", text: noise(4096)},
		{name: "no variants", text: "title: x\n"},
		{name: "variants that are none", text: "variants: []\n"},
		{name: "a variant twice", text: with(good, "]", ", {name: a, config: merge.yaml}]")},
		{name: "a variant above", text: with(good, "name: a", "name: ../a")},
		{name: "a variant of dots", text: with(good, "name: a", "name: ..")},
		{name: "no seeds", text: with(good, "seeds: 1", "seeds: 0")},
		{name: "seeds that are a word", text: with(good, "seeds: 1", "seeds: x")},
		{name: "an unknown key", text: good + "x: 1\n"},
		{name: "an alias of itself", text: good + "title: &a [*a]\n"},
		{name: "100,000 open lists", text: "variants: " + strings.Repeat("[", 100000)},
		{name: "40 MB", text: "# comment\n", times: 4 << 20},
		{name: "400 MB", text: "# comment\n", times: 40 << 20},
	})
}

// hostile is a server of files that are not what they should be.
func hostile(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/500", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "\x1b[2Jno", 500) })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	mux.HandleFunc("/html", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>log in</html>") })
	mux.HandleFunc("/short", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		_, _ = io.WriteString(w, "short")
	})
	mux.HandleFunc("/range", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 7-9/-1")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, "abc")
	})
	mux.HandleFunc("/garbage", func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 9999999 \x1b[2J\r\n\x00\x01\r\n\r\n")
			_ = c.Close()
		}
	})
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			line := []byte("X: " + strings.Repeat("x", 1<<16) + "\r\n")
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			for range 1000 {
				if _, err := c.Write(line); err != nil {
					break
				}
			}
			_ = c.Close()
		}
	})
	mux.HandleFunc("/archive.zip", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "PK\x03\x04"+noise(1000)) })
	mux.HandleFunc("/archive.tar.gz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, gzipped(noise(1000))) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func attacksOnFetch(t *testing.T) (all []attack) {
	t.Helper()
	s := hostile(t)
	const sum = "a000000000000000000000000000000000000000000000000000000000000000"
	get := func(name, source, want string, lines int) {
		all = append(all, attack{
			name: "fetch/" + name, on: "rows", want: []string{want}, lines: lines,
			args: []string{"train", "--config", "run.yaml", "--run", "n", "--set", "data.path=got/rows.tsv", "--set", "fetch={got: {files: {rows.tsv: " + sum + "}, from: [" + source + "]}}"},
		})
	}
	for _, path := range []string{"empty", "html"} {
		get(path, `{url: "`+s.URL+"/"+path+`?{file}"}`, "SHA-256", 1)
	}
	for _, path := range []string{"500", "loop", "file", "short", "range", "garbage", "header", "none"} {
		get(path, `{url: "`+s.URL+"/"+path+`?{file}"}`, "got lacks rows.tsv", -1)
		if path == "short" {
			all[len(all)-1].leaves = "got" // the part that came
		}
	}
	for _, a := range []string{"archive.zip", "archive.tar.gz", "empty", "html"} {
		get("an archive, "+a, `{url: "`+s.URL+"/"+a+`"}`, a, -1)
	}
	for name, url := range map[string]string{
		"a file's URL": "file:///etc/passwd?{file}", "a relative URL": "x/{file}", "a blank URL": "", "a URL of control characters": `http://a\x1b/{file}`,
		"another scheme": "ftp://127.0.0.1/{file}", "no host": "http:///{file}", "a port that is none": "http://127.0.0.1:99999/{file}", "no URL": "%zz{file}",
	} {
		get(name, `{url: "`+url+`"}`, "", -1)
	}
	for name, set := range map[string]string{
		"a file above":       `fetch={got: {files: {"../a": ""}, from: [{url: "` + s.URL + `/html?{file}"}]}}`,
		"a file elsewhere":   `fetch={got: {files: {"/tmp/a": ""}, from: [{url: "` + s.URL + `/html?{file}"}]}}`,
		"a sum that is none": `fetch={got: {files: {a: "xyz"}, from: [{url: "` + s.URL + `/html?{file}"}]}}`,
		"no sources":         `fetch={got: {files: {a: ""}, from: []}}`,
		"no files":           `fetch={got: {files: {}, from: [{url: "` + s.URL + `/html?{file}"}]}}`,
		"a list":             `fetch=[a]`,
	} {
		all = append(all, attack{name: "fetch/" + name, on: "rows", lines: -1, args: []string{"train", "--config", "run.yaml", "--run", "n", "--set", "data.path=got/rows.tsv", "--set", set}})
	}
	return all
}
