package token_test

import (
	"path/filepath"
	"testing"

	"github.com/splice-ml/splice/data/token"
)

// TestWritten: what Save and WriteConfig write is opened as the same tokenizer, also where special tokens are in the vocabulary alone.
func TestWritten(t *testing.T) {
	from := t.TempDir()
	write(t, filepath.Join(from, "tokenizer.json"), `{"added_tokens": [], "normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
		"model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"": 0, "[UNK]": 1, "[PAD]": 2, "[CLS]": 3, "[SEP]": 4, "film": 5}}}`)
	toks := small(t)
	toks["plain"] = open(t, from)
	for name, tok := range toks {
		dir := t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		if err := token.WriteConfig(dir, tok, 16); err != nil {
			t.Fatal(err)
		}
		if again := open(t, dir); again.Fingerprint() != tok.Fingerprint() {
			t.Errorf("%s: fingerprint %x, opened again %x", name, tok.Fingerprint(), again.Fingerprint())
		}
	}
}
