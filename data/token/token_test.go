package token_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/splice-ml/splice/data/token"
)

func ids(t testing.TB, tok token.Tokenizer, text string) []int32 {
	t.Helper()
	var e token.Encoding
	if err := tok.Encode(&e, 0, text); err != nil {
		t.Fatal(err)
	}
	return e.IDs
}

// small are tokenizers with little vocabularies that need no other files.
func small(t testing.TB) map[string]token.Tokenizer {
	t.Helper()
	out := map[string]token.Tokenizer{}
	for name, files := range map[string]map[string]string{
		"text":  {"vocab.txt": smallText},
		"bytes": {"vocab.json": smallVocab, "merges.txt": smallMerges},
		"json":  {"tokenizer.json": smallJSON},
		"bpe":   {"tokenizer.json": smallBPE},
	} {
		dir := t.TempDir()
		for file, text := range files {
			write(t, filepath.Join(dir, file), text)
		}
		out[name] = open(t, dir)
	}
	return out
}

const (
	smallText   = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhe\n##llo\n,\nworld\n"
	smallVocab  = `{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "h": 5, "e": 6, "l": 7, "Ġ": 8, "he": 9, "ll": 10, "Ġhe": 11}`
	smallMerges = "#version: 0.2\nh e\nl l\nĠ he\n"
	smallJSON   = `{
  "added_tokens": [{"id": 1, "content": "[CLS]"}, {"id": 6, "content": "[NEW]", "rstrip": true}],
  "normalizer": {"type": "BertNormalizer", "lowercase": true},
  "pre_tokenizer": {"type": "BertPreTokenizer"},
  "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]},
  "model": {"type": "WordPiece", "vocab": {
    "[UNK]": 0,
    "[CLS]": 1,
    "[SEP]": 2,
    "he": 3, "##llo": 4
  }}
}
`
	smallBPE = `{
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "$", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "$", "type_id": 1}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"$": {"id": "$", "ids": [0, 0], "tokens": ["$", "$"]}}},
  "model": {"type": "BPE", "unk_token": "?", "vocab": {"$": 0, "?": 1, "h": 2, "e": 3, "he": 4}, "merges": [["h", "e"]]}
}
`
)

func TestSmall(t *testing.T) {
	toks := small(t)
	for _, tc := range []struct {
		name, text string
		want       []int32
	}{
		{"text", "HELLO, world [MASK] heyo", []int32{2, 5, 6, 7, 8, 4, 1, 3}},
		{"text", "h\xffe", []int32{2, 5, 3}},
		{"bytes", "hello hex", []int32{0, 9, 10, 11, 2}}, // bytes without a token are left out
		{"json", "hello[NEW]  he", []int32{1, 3, 4, 6, 3, 2}},
		{"bpe", "he\xffh", []int32{4, 1, 1, 1, 2, 0, 0}}, // three bytes of U+FFFD
	} {
		if got := ids(t, toks[tc.name], tc.text); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q: got %v, want %v", tc.name, tc.text, got, tc.want)
		}
	}
	var e token.Encoding
	if err := toks["bpe"].EncodePair(&e, 0, "hh", "e"); err != nil || fmt.Sprint(e) != "{[3 0 0 2 2] [1 1 1 0 0] 0}" {
		t.Errorf("pair of a template: %v, %v", e, err)
	}
	for name, want := range map[string]token.Special{
		"text":  {CLS: 2, SEP: 3, Pad: 0, Unk: 1, Mask: 4},
		"bytes": {CLS: 0, SEP: 2, Pad: 1, Unk: 3, Mask: 4},
		"json":  {CLS: 1, SEP: 2, Pad: token.None, Unk: 0, Mask: token.None},
		"bpe":   {CLS: token.None, SEP: token.None, Pad: token.None, Unk: 1, Mask: token.None},
	} {
		if got := toks[name].Special(); got != want {
			t.Errorf("%s: special tokens %+v, want %+v", name, got, want)
		}
	}
	if got, want := toks["json"].Vocab(), 7; got != want {
		t.Errorf("vocabulary with a gap before an added token: %d ids, want %d", got, want)
	}
	for _, id := range []int32{-1, 5, 7, 1 << 30} {
		if got := toks["json"].Token(id); got != "" {
			t.Errorf("token of id %d: %q, want none", id, got)
		}
	}
}

func TestEncodeAppends(t *testing.T) {
	tok := small(t)["text"]
	var e token.Encoding
	for range 2 {
		if err := tok.EncodePair(&e, 6, "hello world", "he he he"); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := fmt.Sprint(e), "{[2 5 3 5 5 3 2 5 3 5 5 3] [0 0 0 1 1 1 0 0 0 1 1 1] 6}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, max := range []int{-1, 1, 2} {
		if err := tok.EncodePair(&e, max, "he", "he"); err == nil || !strings.Contains(err.Error(), "3 special tokens") || len(e.IDs) != 12 {
			t.Errorf("at most %d: %v, %d ids", max, err, len(e.IDs))
		}
	}
}

// TestConcurrent holds that many goroutines get the ids that one gets.
func TestConcurrent(t *testing.T) {
	var texts []string
	for i := range 50 {
		texts = append(texts, fmt.Sprintf("he%dllo hell%d, world %s", i, i%7, strings.Repeat("he", i)))
	}
	one := small(t)
	for name, tok := range small(t) {
		want := make([][]int32, len(texts))
		for i, text := range texts {
			want[i] = ids(t, one[name], text)
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				var e token.Encoding
				for k := range 40 * len(texts) {
					i := (k*7 + g) % len(texts)
					e.Reset()
					if err := tok.Encode(&e, 0, texts[i]); err != nil || !slices.Equal(e.IDs, want[i]) {
						t.Errorf("%s: %q: got %v, %v, want %v", name, texts[i], e.IDs, err, want[i])
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestSave(t *testing.T) {
	for name, tok := range small(t) {
		dir := t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		if again := open(t, dir); again.Fingerprint() != tok.Fingerprint() {
			t.Errorf("%s: another tokenizer after saving", name)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
			t.Errorf("%s: temporary files are left: %v", name, left)
		}
		if err := tok.Save(filepath.Join(dir, "none")); err == nil {
			t.Errorf("%s: saved into a folder that there is not", name)
		}
	}
}

func TestLongTexts(t *testing.T) {
	for name, tok := range small(t) {
		for _, text := range []string{
			strings.Repeat("he", 500_000), strings.Repeat("he ", 10_000), strings.Repeat(" ", 1_000_000),
			strings.Repeat("[", 100_000),
		} {
			var e token.Encoding
			if err := tok.Encode(&e, 512, text); err != nil || len(e.IDs) > 512 || len(e.IDs) != len(e.Segments) {
				t.Errorf("%s: %.10q...: %d ids, %d segments, %v", name, text, len(e.IDs), len(e.Segments), err)
			}
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, name := range []string{"bert", "roberta"} {
		b.Run(name, func(b *testing.B) {
			tok := published[name](b)
			text, err := os.ReadFile("token.go")
			if err != nil {
				b.Fatal(err)
			}
			var e token.Encoding
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				e.Reset()
				if err := tok.Encode(&e, 0, string(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What AutoTokenizer is told: the class and what it needs to know, and segments where a pair has them. What the file said stays.
func TestWriteConfig(t *testing.T) {
	said := t.TempDir()
	write(t, filepath.Join(said, "tokenizer.json"), smallJSON)
	write(t, filepath.Join(said, "tokenizer_config.json"),
		`{"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids"], "model_max_length": 7, "x": [1]}`)
	flat := filepath.Join(t.TempDir(), "tokenizer.json")
	write(t, flat, strings.ReplaceAll(smallBPE, `"type_id": 1`, `"type_id": 0`))
	toks := small(t)
	toks["said"], toks["flat"] = open(t, said), open(t, flat)
	for name, want := range map[string]string{
		"text":  `{"cls_token":"[CLS]","do_lower_case":true,"mask_token":"[MASK]","model_max_length":9,"pad_token":"[PAD]","sep_token":"[SEP]","tokenizer_class":"BertTokenizer","unk_token":"[UNK]"}`,
		"bytes": `{"cls_token":"<s>","mask_token":"<mask>","model_max_length":9,"pad_token":"<pad>","sep_token":"</s>","tokenizer_class":"RobertaTokenizer","unk_token":"<unk>"}`,
		"json":  `{"cls_token":"[CLS]","model_input_names":["input_ids","token_type_ids","attention_mask"],"model_max_length":9,"tokenizer_class":"PreTrainedTokenizerFast"}`,
		"bpe":   `{"model_input_names":["input_ids","token_type_ids","attention_mask"],"model_max_length":9,"tokenizer_class":"PreTrainedTokenizerFast"}`,
		"flat":  `{"model_input_names":["input_ids","attention_mask"],"model_max_length":9,"tokenizer_class":"PreTrainedTokenizerFast"}`,
		"said":  `{"cls_token":"[CLS]","model_input_names":["input_ids"],"model_max_length":7,"tokenizer_class":"PreTrainedTokenizerFast","x":[1]}`,
	} {
		dir := t.TempDir()
		if err := token.WriteConfig(dir, toks[name], 9); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := json.Compact(&got, text); err != nil || got.String() != want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, &got, want)
		}
	}
}

// TestFingerprints holds that tokenizers that were read before files beside them counted are the same ones, so that what was trained with
// them stays usable, and that what changes ids changes the fingerprint.
func TestFingerprints(t *testing.T) {
	for name, want := range map[string]string{"bpe": "3017c63424edab8f", "bytes": "c63a3c5475910ead", "json": "c921189aab3b916e", "text": "2edfa321b832df72"} {
		if got := fmt.Sprintf("%016x", small(t)[name].Fingerprint()); got != want {
			t.Errorf("%s: fingerprint %s, want %s", name, got, want)
		}
	}
	seen := map[uint64]string{}
	for _, files := range []map[string]string{
		{},
		{"tokenizer_config.json": `{"truncation_side": "left"}`},
		{"tokenizer_config.json": `{"additional_special_tokens": ["he"]}`},
		{"added_tokens.json": `{"[E1]": 9}`},
		{"added_tokens.json": `{"[E2]": 9}`},
		{"tokenizer_config.json": `{"added_tokens_decoder": {"9": {"content": "[E1]", "single_word": true}}}`},
		{"tokenizer_config.json": `{"cls_token": "he"}`},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "vocab.txt"), smallText)
		for name, text := range files {
			write(t, filepath.Join(dir, name), text)
		}
		print := open(t, dir).Fingerprint()
		if was, ok := seen[print]; ok {
			t.Errorf("%v has the fingerprint of %s", files, was)
		}
		seen[print] = fmt.Sprint(files)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "vocab.txt"), smallText)
	write(t, filepath.Join(dir, "tokenizer_config.json"), `{"truncation_side": "right", "mask_token": "[MASK]", "added_tokens_decoder": {}}`)
	if open(t, dir).Fingerprint() != small(t)["text"].Fingerprint() {
		t.Error("what changes no id changes the fingerprint")
	}
}
