package token_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/token"
)

// TestBadFiles holds the exact message of each mistake; DIR stands for the folder.
func TestBadFiles(t *testing.T) {
	replace := func(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no files", nil, "DIR: no tokenizer in the folder: want tokenizer.json, vocab.txt, or vocab.json and merges.txt"},
		{"text empty", map[string]string{"vocab.txt": "\n"}, "DIR/vocab.txt: no tokens: want one a line"},
		{"text bytes", map[string]string{"vocab.txt": "[PAD]\na\xff\n"}, `DIR/vocab.txt:2: invalid UTF-8 in "a\xff": want a vocab.txt in UTF-8`},
		{
			"text special",
			map[string]string{"vocab.txt": "[PAD]\n[CLS]\n[SEP]\nx\n"},
			"DIR/vocab.txt: no token [UNK]: want the vocab.txt of a BERT, or make one with token.Train",
		},
		{
			"config",
			map[string]string{"vocab.txt": smallText, "tokenizer_config.json": "{\n\"do_lower_case\": 3}"},
			"DIR/tokenizer_config.json:2: json: cannot unmarshal number into Go struct field config.do_lower_case of type bool: is the file whole? fetch it again",
		},
		{
			"merges alone",
			map[string]string{"vocab.json": smallVocab},
			"open DIR/merges.txt: no such file or directory: vocab.json and merges.txt have to be in one folder",
		},
		{
			"vocab cut",
			map[string]string{"vocab.json": "{\"a\": 0,\n\"b\"", "merges.txt": smallMerges},
			"DIR/vocab.json:2: unexpected end of JSON input: is the file whole? fetch it again",
		},
		{
			"vocab list",
			map[string]string{"vocab.json": "[]", "merges.txt": smallMerges},
			`DIR/vocab.json:1: the vocabulary is no object: want {"token": id, ...}`,
		},
		{"vocab none", map[string]string{"vocab.json": "{}", "merges.txt": smallMerges}, `DIR/vocab.json:1: no tokens: want {"token": id, ...}`},
		{
			"vocab id",
			map[string]string{"vocab.json": "{\"a\": 0,\n\"b\": 1.5}", "merges.txt": smallMerges},
			`DIR/vocab.json:2: id of token "b": want a whole number from 0`,
		},
		{
			"vocab same id",
			map[string]string{"vocab.json": "{\"a\": 0,\n\"b\": 0}", "merges.txt": smallMerges},
			`DIR/vocab.json:2: tokens "a" and "b" have the same id 0: fetch the file again`,
		},
		{
			"vocab twice",
			map[string]string{"vocab.json": "{\"a\": 0,\n\"a\": 1}", "merges.txt": smallMerges},
			`DIR/vocab.json:2: token "a" is there twice: fetch the file again, since ids cannot be told apart`,
		},
		{
			"vocab gap",
			map[string]string{"vocab.json": `{"a": 2000000000}`, "merges.txt": smallMerges},
			`DIR/vocab.json: id 2000000000 of token "a" among 1 tokens: ids should be without large gaps`,
		},
		{
			"vocab special",
			map[string]string{"vocab.json": replace(smallVocab, "<pad>", "<p>"), "merges.txt": smallMerges},
			"DIR/vocab.json: no token <pad>: want the vocab.json of a RoBERTa",
		},
		{
			"merge of three",
			map[string]string{"vocab.json": smallVocab, "merges.txt": smallMerges + "h e l\n"},
			`DIR/merges.txt:5: merge "h e l": want two tokens`,
		},
		{
			"merge unknown",
			map[string]string{"vocab.json": smallVocab, "merges.txt": smallMerges + "e h\n"},
			`DIR/merges.txt:5: merge "e h": token "eh" is not in the vocabulary: use the files of one model`,
		},
		{
			"merge twice",
			map[string]string{"vocab.json": smallVocab, "merges.txt": smallMerges + "h e\n"},
			`DIR/merges.txt:5: merge "h e" is there twice`,
		},
		{
			"merges none",
			map[string]string{"vocab.json": smallVocab, "merges.txt": "#version: 0.2\n"},
			`DIR/merges.txt: no merges: want a pair of tokens a line, as in "h e"`,
		},
		{
			"json cut",
			map[string]string{"tokenizer.json": smallJSON[:200]},
			"DIR/tokenizer.json:4: unexpected end of JSON input: is the file whole? fetch it again",
		},
		{
			"json other",
			map[string]string{"tokenizer.json": "{}"},
			"DIR/tokenizer.json: no section model with a vocab: want the tokenizer.json of a BERT or RoBERTa",
		},
		{
			"json model",
			map[string]string{"tokenizer.json": replace(smallJSON, `"WordPiece"`, `"Unigram"`)},
			`DIR/tokenizer.json:6: model of type "Unigram": want WordPiece or BPE`,
		},
		{
			"json same id",
			map[string]string{"tokenizer.json": replace(smallJSON, `"he": 3`, `"he": 2`)},
			`DIR/tokenizer.json:10: tokens "[SEP]" and "he" have the same id 2: fetch the file again`,
		},
		{
			"json normalizer",
			map[string]string{"tokenizer.json": replace(smallJSON, "BertNormalizer", "Nmt")},
			`DIR/tokenizer.json: normalizer of type "Nmt": want BertNormalizer, Lowercase, StripAccents, NFC, NFD, NFKC, NFKD, Strip, a Sequence of them, or null`,
		},
		{
			"json words",
			map[string]string{"tokenizer.json": replace(smallJSON, "BertPreTokenizer", "Split")},
			`DIR/tokenizer.json: pre_tokenizer of type "Split": want BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation, Digits, or a Sequence of them`,
		},
		{
			"json unknown",
			map[string]string{"tokenizer.json": replace(smallJSON, `"[UNK]"`, `"[unk]"`)},
			`DIR/tokenizer.json: unk_token "[UNK]" is not in the vocabulary: fetch the file again`,
		},
		{
			"json post",
			map[string]string{"tokenizer.json": replace(smallJSON, `["[SEP]", 2]`, `["[SEP]", 3]`)},
			`DIR/tokenizer.json:5: post_processor: token "[SEP]" has id 3, but 2 in the vocabulary: fetch the file again`,
		},
		{
			"json post none",
			map[string]string{"tokenizer.json": replace(smallJSON, `["[SEP]", 2]`, `["[SEQ]", -1]`)},
			`DIR/tokenizer.json:5: post_processor: token "[SEQ]" has id -1, but -1 in the vocabulary: fetch the file again`,
		},
		{
			"json added id",
			map[string]string{"tokenizer.json": replace(smallJSON, `"id": 6`, `"id": 3`)},
			`DIR/tokenizer.json:2: added token "[NEW]": id 3 belongs to token "he": fetch the file again`,
		},
		{
			"json added known",
			map[string]string{"tokenizer.json": replace(smallJSON, `"id": 1`, `"id": 2`)},
			`DIR/tokenizer.json:2: added token "[CLS]": id 2, but 1 in the vocabulary: fetch the file again`,
		},
		{
			"json added far",
			map[string]string{"tokenizer.json": replace(smallJSON, `"id": 6`, `"id": 60000000`)},
			`DIR/tokenizer.json:2: added token "[NEW]": id 60000000: want one from 0 without large gaps`,
		},
		{
			"json added blank",
			map[string]string{"tokenizer.json": replace(smallJSON, `"[NEW]", "rstrip"`, `"\u200b", "normalized"`, `"lowercase"`, `"clean_text"`)},
			`DIR/tokenizer.json: added token of id 6: the normalizer leaves nothing of it: set its normalized to false`,
		},
		{
			"json class",
			map[string]string{"tokenizer.json": smallBPE, "tokenizer_config.json": `{"tokenizer_class": "BertTokenizerFast"}`},
			"DIR/tokenizer.json: model of type BPE, but tokenizer_config.json says the class BertTokenizerFast: set tokenizer_class there to " +
				"RobertaTokenizer, or to PreTrainedTokenizerFast to read tokenizer.json as it is",
		},
		{
			"side",
			map[string]string{"vocab.txt": smallText, "tokenizer_config.json": `{"truncation_side": "middle"}`},
			`DIR/tokenizer_config.json: truncation_side is "middle": want left or right`,
		},
		{
			"added far",
			map[string]string{"vocab.txt": smallText, "added_tokens.json": `{"[E1]": 12}`},
			`DIR/vocab.txt: added token "[E1]": id 12, but AutoTokenizer gives it 9, since ids follow on the vocabulary's 9 tokens: save the tokenizer again, so that the files agree`,
		},
		{
			"added same id",
			map[string]string{"vocab.txt": smallText, "added_tokens.json": `{"b": 9, "a": 9}`},
			`DIR/added_tokens.json: tokens "a" and "b" have the same id 9: save the tokenizer again`,
		},
		{
			"added alike",
			map[string]string{"vocab.txt": smallText, "added_tokens.json": `{"Hi": 9, "hi": 10}`},
			`DIR/vocab.txt: added tokens of the ids 9 and 10 are both "hi" once they are normalized, so a text does not say which is meant (AutoTokenizer takes either, by chance): remove one, or set its normalized to false`,
		},
		{
			"added on a doubled line",
			map[string]string{"vocab.txt": "he\n" + smallText + "[E2]\n", "special_tokens_map.json": `{"mask_token": "[E2]", "additional_special_tokens": ["[E1]"]}`},
			`DIR/vocab.txt: added tokens "[E2]" and "[E1]" both get the id 10, since ids follow on the vocabulary's 10 tokens, of which lines are blank or there twice: save the tokenizer again`,
		},
		{
			"special",
			map[string]string{"vocab.txt": smallText, "special_tokens_map.json": "{\n\"cls_token\": {\"text\": \"x\"}}"},
			`DIR/special_tokens_map.json:2: cls_token: token {"text": "x"}: want a text, or an object with content`,
		},
		{
			"decoder id",
			map[string]string{"vocab.txt": smallText, "tokenizer_config.json": `{"added_tokens_decoder": {"x": {"content": "y"}}}`},
			`DIR/tokenizer_config.json:1: added_tokens_decoder: id "x": want a whole number from 0`,
		},
		{
			"bpe dropout",
			map[string]string{"tokenizer.json": replace(smallBPE, `"unk_token"`, `"dropout": 0.1, "unk_token"`)},
			"DIR/tokenizer.json: model with continuing_subword_prefix, end_of_word_suffix, dropout, fuse_unk or byte_fallback is not supported: want none of them",
		},
		{
			"bpe merge",
			map[string]string{"tokenizer.json": replace(smallBPE, `["h", "e"]`, `"e h"`)},
			`DIR/tokenizer.json: merges: number 1: merge "e h": token "eh" is not in the vocabulary: use the files of one model`,
		},
		{
			"bpe template",
			map[string]string{"tokenizer.json": replace(smallBPE, `"id": "B"`, `"id": "A"`)},
			`DIR/tokenizer.json:3: post_processor: pair: sequence A is there 2 times: want once`,
		},
		{
			"bpe place",
			map[string]string{"tokenizer.json": replace(smallBPE, `"SpecialToken": {"id": "$"`, `"SpecialToken": {"id": "%"`)},
			`DIR/tokenizer.json:3: post_processor: single: token "%" is not among special_tokens`,
		},
		{
			"bpe token id",
			map[string]string{"tokenizer.json": replace(smallBPE, `[0, 0]`, `[0, 9]`)},
			`DIR/tokenizer.json:3: post_processor: single: token "$": id 9 is not in the vocabulary: fetch the file again`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tc.files {
				write(t, filepath.Join(dir, name), text)
			}
			tok, err := token.Open(dir)
			if got := strings.ReplaceAll(filepath.ToSlash(fmt.Sprint(err)), filepath.ToSlash(dir), "DIR"); got != "token: "+tc.want || tok != nil {
				t.Errorf("%v\n got %s\nwant token: %s", tok, got, tc.want)
			}
		})
	}
}

// What no vocabulary has is refused before it fills the memory: words without an end, words and values without number.
func TestTooMuch(t *testing.T) {
	many := strings.Repeat("\n", 1<<22)
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"a long line", map[string]string{"vocab.txt": smallText + strings.Repeat("a", 1<<17) + "\n"}, "a token of 131072 bytes, the longest may have 65536"},
		{"many lines", map[string]string{"vocab.txt": smallText + many}, "more than 4194304 tokens: is it a vocabulary?"},
		{
			"a long token of JSON",
			map[string]string{"vocab.json": `{"` + strings.Repeat("a", 1<<17) + `": 0}`, "merges.txt": "#version: 0.2\n"},
			"a token of 131072 bytes, the longest may have 65536",
		},
		{
			"many values",
			map[string]string{"vocab.txt": smallText, "added_tokens.json": "[" + strings.Repeat("[],", 1<<22) + "0]"},
			"added_tokens.json: more than 8,388,608 values: is it the right file?",
		},
		{
			"deep",
			map[string]string{"tokenizer.json": strings.Repeat("[", 1<<20)},
			"exceeded max depth: is the file whole? fetch it again",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tc.files {
				write(t, filepath.Join(dir, name), text)
			}
			if _, err := token.Open(dir); err == nil || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 500 {
				t.Errorf("%.500v, want %s", err, tc.want)
			}
		})
	}
}

func TestOpenPath(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"vocab.json": smallVocab, "merges.txt": "\ufeff" + strings.ReplaceAll(smallMerges, "\n", "\r\n"),
		"my.txt": strings.ReplaceAll(smallText, "\n", "\r\n"), "my.json": smallJSON, "x.bin": "",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	for name, want := range map[string]int{"": 12, "vocab.json": 12, "merges.txt": 12, "my.txt": 9, "my.json": 7} {
		if got := open(t, filepath.Join(dir, name)).Vocab(); got != want {
			t.Errorf("%s: %d ids, want %d", name, got, want)
		}
	}
	for name, want := range map[string]string{"x.bin": "unknown kind of file", "none": "want a folder or a file"} {
		if _, err := token.Open(filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}
