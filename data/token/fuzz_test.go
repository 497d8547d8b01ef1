package token_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/splice-ml/splice/data/token"
)

func FuzzEncode(f *testing.F) {
	for _, text := range []string{"", "hello, world", "he\xffllo", "[CLS][NEW] <mask>", "中e\u0301İ\U00011938", " 's  \n"} {
		f.Add(text, "he", 8)
	}
	toks := small(f)
	f.Fuzz(func(t *testing.T, a, b string, maxLen int) {
		for name, tok := range toks {
			var e, again token.Encoding
			if err := tok.EncodePair(&e, maxLen, a, b); err != nil {
				if maxLen >= 4 || maxLen == 0 {
					t.Fatalf("%s: %v", name, err)
				}
				continue
			}
			if len(e.IDs) != len(e.Segments) || maxLen > 0 && len(e.IDs) > maxLen {
				t.Fatalf("%s: %d ids, %d segments, at most %d", name, len(e.IDs), len(e.Segments), maxLen)
			}
			for _, id := range e.IDs {
				if tok.Token(id) == "" {
					t.Fatalf("%s: id %d is not in the vocabulary", name, id)
				}
			}
			valid := [2]string{string([]rune(a)), string([]rune(b))}
			if err := tok.EncodePair(&again, maxLen, valid[0], valid[1]); err != nil || !slices.Equal(e.IDs, again.IDs) {
				t.Fatalf("%s: %v, and %v of the text made valid, %v (%v)", name, e, again, err, utf8.ValidString(a+b))
			}
		}
	})
}

func FuzzOpen(f *testing.F) {
	for _, text := range []string{smallText, smallVocab, smallMerges, smallJSON, smallBPE, "{", `{"model": {"vocab": {"": 0}}}`} {
		for kind := range uint8(4) {
			f.Add(kind, []byte(text))
		}
	}
	const words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nfilm\nwas\n"
	for kind, texts := range [][]string{{
		"", "the\nfilm\n", words + "a\x00b\n", words + "\xff\xfe\n", "\xff\xfe[\x00P\x00", strings.Repeat("\n", 1000), words + "the\n", words + "\n\n", words + "a\u2028b\n",
		words + strings.Repeat("x", 1<<17),
	}, {
		`{"a": -1}`, `{"a": 1.5}`, `{"a": 99999999999999999999}`, `{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a": 1099511627776}`, `{"<s>": 0, "<pad>": 0}`,
		`{"a": 0, "a": 1}`, "null", "[1]", "{} {}", `{"x": ` + strings.Repeat("[", 10000), `{"": 0, "<s>": 1, "</s>": 2, "<pad>": 3, "<unk>": 4, "h": 5, "e": 6, "he": 7}`,
	}, {
		"", "#version: 0.2\na b c\n", "#version: 0.2\nab\n", "#version: 0.2\nx y\n", "h e\nh e\n", " \n", "h  e\n", "\x00",
	}, hostileJSON} {
		for _, text := range texts {
			f.Add(uint8(kind), []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, text []byte) {
		dir := t.TempDir()
		name := []string{"vocab.txt", "vocab.json", "merges.txt", "tokenizer.json"}[kind%4]
		write(t, filepath.Join(dir, "vocab.json"), smallVocab)
		write(t, filepath.Join(dir, "merges.txt"), smallMerges)
		write(t, filepath.Join(dir, name), string(text))
		tok, err := token.Open(filepath.Join(dir, name))
		if err != nil {
			return
		}
		var e token.Encoding
		if err := tok.Encode(&e, 0, "Hello, wörld [MASK] <mask>"); err != nil {
			t.Fatal(err)
		}
		for _, id := range e.IDs {
			if id < 0 || int(id) >= tok.Vocab() {
				t.Fatalf("id %d of %d", id, tok.Vocab())
			}
		}
	})
}

// A directory of a tokenizer is refused, or its tokenizer has ids within its vocabulary. An empty file is none.
func FuzzDirectory(f *testing.F) {
	names := []string{"vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json"}
	for _, options := range []string{
		"", "{}", "[]", "null", `{"do_lower_case": false}`, `{"cls_token": 7}`, `{"truncation_side": "left"}`, `{"model_max_length": 1e30}`, `{"pad_token": "hello"}`,
		`{"added_tokens_decoder": {"x": {"content": "y"}}}`, `{"added_tokens_decoder": {"1099511627776": {"content": "y"}}}`, `{"tokenizer_class": "T5Tokenizer"}`,
		`{"additional_special_tokens": ["a", {"content": "b", "lstrip": true}]}`, `{"extra_special_tokens": {"a_token": "b"}}`, `{"a": `,
	} {
		f.Add([]byte(smallText), []byte(""), []byte(options), []byte(""), []byte(`{"new": 40}`), []byte(""))
		f.Add([]byte(""), []byte(smallJSON), []byte(options), []byte(`{"mask_token": {"content": "[NEW]"}}`), []byte(""), []byte(`{"model_type": "bert"}`))
	}
	for _, text := range hostileJSON {
		f.Add([]byte(""), []byte(text), []byte(""), []byte(""), []byte(""), []byte(""))
	}
	f.Fuzz(func(t *testing.T, vocab, whole, options, special, added, config []byte) {
		dir := t.TempDir()
		for i, text := range [][]byte{vocab, whole, options, special, added, config} {
			if len(text) > 0 {
				write(t, filepath.Join(dir, names[i]), string(text))
			}
		}
		tok, err := token.Open(dir)
		if err != nil {
			return
		}
		saved := t.TempDir()
		if err := errors.Join(tok.Save(saved), token.WriteConfig(saved, tok, 16)); err != nil {
			t.Fatal(err)
		}
		if again, err := token.Open(saved); err != nil || again.Fingerprint() != tok.Fingerprint() {
			t.Fatalf("saved, it is another tokenizer, or none: %v", err)
		}
		var e token.Encoding
		if err := tok.Encode(&e, 0, "Hello, wörld [MASK] <mask> new"); err != nil {
			t.Fatal(err)
		}
		for _, id := range e.IDs {
			if id < 0 || int(id) >= tok.Vocab() {
				t.Fatalf("id %d of %d", id, tok.Vocab())
			}
		}
	})
}

// hostileJSON are texts of a tokenizer.json that are odd, or none.
var hostileJSON = func() []string {
	model := func(s string) string {
		return `{"version": "1.0", "added_tokens": [], "normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}, ` +
			`"post_processor": null, "decoder": null, "model": ` + s + `}`
	}
	good := `{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, ` +
		`"vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "the": 5}}`
	all := []string{
		"", "null", "[1]", "7", `{"digest": "2c05`, "{} {}", "\x00\x00", "\xff\xfe{\x00}\x00", `{"x": ` + strings.Repeat("[", 10000), `{"version": "1.0"}`, model(good), model("null"), model("[]"),
		model(`{"type": "Unigram", "vocab": [["a", 0.5]]}`), model(`{"type": "WordPiece", "unk_token": "[UNK]", "vocab": {}}`),
		model(`{"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"": 0, "[UNK]": 1, "[PAD]": 2, "[CLS]": 3, "[SEP]": 4}}`),
		model(`{"type": "WordPiece", "unk_token": "[XXX]", "vocab": {"a": 0}}`), model(`{"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"a": 0, "[UNK]": 0}}`),
	}
	replace := func(old string, texts ...string) {
		for _, text := range texts {
			all = append(all, strings.Replace(model(good), old, text, 1))
		}
	}
	replace(`"the": 5`, `"the": 1099511627776`, `"the": -5`, `"`+strings.Repeat("x", 1<<12)+`": 5`, `"": 5`)
	replace(`BertNormalizer`, "Magic", "Lowercase", "NFKC", "StripAccents")
	replace(`{"type": "BertNormalizer"}`, "null", strings.Repeat(`{"type": "Sequence", "normalizers": [`, 90)+strings.Repeat(`]}`, 90),
		`{"type": "Replace", "pattern": {"Regex": "(((("}, "content": "x"}`, `{"type": "Sequence", "normalizers": [`+
			strings.TrimSuffix(strings.Repeat(`{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaaaa"},`, 12), ",")+`]}`)
	replace("100", "-1", "0", "1e9", "null")
	replace(`"##"`, "7", `""`, "null")
	replace(`"added_tokens": []`, `"added_tokens": [{"id": 9, "content": ""}]`, `"added_tokens": [{"id": 1099511627776, "content": "x"}]`,
		`"added_tokens": [{"id": 6, "content": "x"}, {"id": 6, "content": "y"}]`, `"added_tokens": [{"id": 4, "content": "[MASK]", "special": true, "lstrip": true}]`,
		`"added_tokens": [{"id": 6, "content": "THE", "normalized": true, "single_word": true}]`, `"added_tokens": null`, `"added_tokens": {}`)
	return all
}()
