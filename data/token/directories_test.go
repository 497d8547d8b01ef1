package token_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/splice-ml/splice/data/token"
)

// TestDirectories holds the ids of made-up directories to those that AutoTokenizer gives there; testdata/directories.py wrote them. A
// tokenizer that is saved is the same one again.
func TestDirectories(t *testing.T) {
	text, err := os.ReadFile(directories)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Name  string
		Files map[string]string
		Texts []struct {
			A             string
			B             *string
			Max           int
			IDs, Segments []int32
		}
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		t.Run(d.Name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range d.Files {
				write(t, filepath.Join(dir, name), text)
			}
			tok := open(t, dir)
			for _, c := range d.Texts {
				var got token.Encoding
				if c.B == nil {
					err = tok.Encode(&got, c.Max, c.A)
					c.Segments = make([]int32, len(c.IDs))
				} else {
					err = tok.EncodePair(&got, c.Max, c.A, *c.B)
				}
				if err != nil || !slices.Equal(got.IDs, c.IDs) || !slices.Equal(got.Segments, c.Segments) {
					t.Errorf("%+q, %v, at most %d: %v\n got %v %v\nwant %v %v", c.A, c.B, c.Max, err, got.IDs, got.Segments, c.IDs, c.Segments)
				}
			}
			saved := t.TempDir()
			if err := tok.Save(saved); err != nil {
				t.Fatal(err)
			}
			if err := token.WriteConfig(saved, tok, 9); err != nil {
				t.Fatal(err)
			}
			if again := open(t, saved); again.Fingerprint() != tok.Fingerprint() {
				t.Error("another tokenizer after saving")
			}
		})
	}
}

const directories = "testdata/directories.json"

// A special token that no line of the vocabulary has is text where AutoTokenizer gives it the id after the last: docs/data.md says so.
func TestAbsentSpecialTokens(t *testing.T) {
	const vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n[\n]\nmask\n"
	dir := t.TempDir()
	write(t, filepath.Join(dir, "vocab.txt"), vocab)
	tok := open(t, dir)
	var got token.Encoding
	if err := tok.Encode(&got, 20, "the [MASK]"); err != nil || !slices.Equal(got.IDs, []int32{2, 4, 5, 7, 6, 3}) || tok.Vocab() != 8 {
		t.Errorf("ids %v of %d tokens, %v, want [MASK] as text", got.IDs, tok.Vocab(), err)
	}
	write(t, filepath.Join(dir, "added_tokens.json"), `{"[MASK]": 8}`) // as transformers saves it
	tok, got = open(t, dir), token.Encoding{}
	if err := tok.Encode(&got, 20, "the [MASK]"); err != nil || !slices.Equal(got.IDs, []int32{2, 4, 8, 3}) || tok.Vocab() != 9 {
		t.Errorf("ids %v of %d tokens, %v, want [MASK] as 8", got.IDs, tok.Vocab(), err)
	}
}
