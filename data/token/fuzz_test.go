package token_test

import (
	"path/filepath"
	"slices"
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
