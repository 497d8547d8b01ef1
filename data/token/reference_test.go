package token_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/splice-ml/splice/data/token"
)

// shared returns a path below the folder of shared data, or skips the test.
func shared(t testing.TB, path ...string) string {
	t.Helper()
	root := os.Getenv("SPLICE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	full := filepath.Join(append([]string{root, "tokenizers"}, path...)...)
	if _, err := os.Stat(full); err != nil {
		t.Skipf("needs %s in ../shared/data or $SPLICE_DATA", filepath.Join(append([]string{"tokenizers"}, path...)...))
	}
	return full
}

// folder returns a new folder with copies of files, each under its base name, and a tokenizer_config.json.
func folder(t testing.TB, config string, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, filepath.Base(f)), string(text))
	}
	if config != "" {
		write(t, filepath.Join(dir, "tokenizer_config.json"), config)
	}
	return dir
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, path string) token.Tokenizer {
	t.Helper()
	tok, err := token.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// published opens the tokenizers that testdata/reference.json is about.
var published = map[string]func(t testing.TB) token.Tokenizer{
	"minilm": func(t testing.TB) token.Tokenizer { return open(t, shared(t, "all-minilm-l6-v2")) },
	"bert":   func(t testing.TB) token.Tokenizer { return open(t, shared(t, "bert-base-uncased", "vocab.txt")) },
	"bert_cased": func(t testing.TB) token.Tokenizer {
		return open(t, folder(t, `{"do_lower_case": false}`, shared(t, "bert-base-uncased", "vocab.txt")))
	},
	"roberta": func(t testing.TB) token.Tokenizer { return open(t, roberta(t, "")) },
	"roberta_space": func(t testing.TB) token.Tokenizer {
		return open(t, roberta(t, `{"add_prefix_space": true}`))
	},
}

func roberta(t testing.TB, config string) string {
	return folder(t, config, shared(t, "roberta-base", "merges.txt"), shared(t, "roberta-base", "derived", "vocab.json"))
}

// runs is a list of ids in which [id, n] stands for n equal ones.
type runs []int32

func (r *runs) UnmarshalJSON(text []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*r = runs{}
	for _, x := range list {
		var id int32
		var run [2]int32
		if json.Unmarshal(x, &id) == nil {
			*r = append(*r, id)
		} else if err := json.Unmarshal(x, &run); err != nil {
			return err
		} else {
			*r = append(*r, slices.Repeat([]int32{run[0]}, int(run[1]))...)
		}
	}
	return nil
}

// TestReference holds the ids of hard texts to those of the reference tokenizers; testdata/make.py wrote them.
func TestReference(t *testing.T) {
	text, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var reference map[string][]struct {
		A        string
		B        *string
		Max      int
		IDs      runs
		Segments runs
	}
	if err := json.Unmarshal(text, &reference); err != nil {
		t.Fatal(err)
	}
	for name, cases := range reference {
		t.Run(name, func(t *testing.T) {
			tok, bad := published[name](t), 0
			var got token.Encoding
			for _, c := range cases {
				got.Reset()
				if c.B == nil {
					err = tok.Encode(&got, c.Max, c.A)
					c.Segments = make(runs, len(c.IDs))
				} else {
					err = tok.EncodePair(&got, c.Max, c.A, *c.B)
				}
				if err != nil || !slices.Equal(got.IDs, []int32(c.IDs)) || !slices.Equal(got.Segments, []int32(c.Segments)) {
					if bad++; bad <= 20 {
						t.Errorf("%+q, %v, at most %d: %v\n got %v %v\nwant %v %v", c.A, c.B, c.Max, err, got.IDs, got.Segments, c.IDs, c.Segments)
					}
				}
			}
			if bad > 0 {
				t.Errorf("%d of %d texts differ", bad, len(cases))
			}
		})
	}
}
