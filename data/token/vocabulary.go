package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/splice-ml/splice/data/bound"
)

// Bounds that are well above what vocabularies have.
const (
	maxWords  = 1 << 22 // tokens, and pairs of tokens that are merged
	maxWord   = 1 << 16 // bytes of a token
	maxValues = 1 << 23 // values of a JSON file
)

// vocabulary is tokens by id, and ids by token.
type vocabulary struct {
	tokens []string // "" where no token has the id
	index  map[string]int32
	size   int // tokens of the vocabulary's file; the first token that is added to them has this id
}

func (v *vocabulary) Vocab() int { return len(v.tokens) }

func (v *vocabulary) Token(id int32) string {
	if id < 0 || int(id) >= len(v.tokens) {
		return ""
	}
	return v.tokens[id]
}

func (v *vocabulary) ID(token string) (int32, bool) {
	id, ok := v.index[token]
	return id, ok
}

// find returns the id of a token, None if there is none.
func (v *vocabulary) find(token string) int32 {
	if id, ok := v.index[token]; ok {
		return id
	}
	return None
}

// names are the special tokens of a family, in the order of Special's fields.
type names [5]string

var (
	bertNames    = names{"[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"}
	robertaNames = names{"<s>", "</s>", "<pad>", "<unk>", "<mask>"}
)

func (v *vocabulary) special(n names) Special {
	return Special{CLS: v.find(n[0]), SEP: v.find(n[1]), Pad: v.find(n[2]), Unk: v.find(n[3]), Mask: v.find(n[4])}
}

// parseText reads a vocab.txt: one token a line, its id is the number of the line, from 0. White space at the end of a line, of any kind,
// is no part of a token, so a line may hold none. Of a token that is there twice the last line counts.
func parseText(path string, text []byte) (*vocabulary, error) {
	v := &vocabulary{index: map[string]int32{}}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fmt.Errorf("token: %s: no tokens: want one a line", path)
	}
	blank := 0
	for line := range strings.SplitSeq(string(bytes.TrimSuffix(text, []byte("\n"))), "\n") {
		t, id := strings.TrimRightFunc(line, isSpace), int32(len(v.tokens))
		if err := checkWord(t, len(v.tokens)); err != nil {
			return nil, fmt.Errorf("token: %s:%d: %w", path, id+1, err)
		}
		if !utf8.ValidString(t) {
			return nil, fmt.Errorf("token: %s:%d: invalid UTF-8 in %q: want a vocab.txt in UTF-8", path, id+1, t)
		}
		v.tokens = append(v.tokens, t)
		if t == "" {
			blank = 1
			continue
		}
		if was, ok := v.index[t]; ok {
			v.tokens[was] = ""
		}
		v.index[t] = id
	}
	for v.tokens[len(v.tokens)-1] == "" {
		v.tokens = v.tokens[:len(v.tokens)-1]
	}
	v.size = len(v.index) + blank
	return v, nil
}

// parseMap reads a JSON object of token: id. The text is that of the whole file, from which the object was taken.
func parseMap(path string, file, object []byte) (*vocabulary, error) {
	v := &vocabulary{index: map[string]int32{}}
	d := json.NewDecoder(bytes.NewReader(object))
	base := max(0, bytes.Index(file, object))
	at := func() string { return place(path, file, base+int(d.InputOffset())) }
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("token: %s: the vocabulary is no object: want {\"token\": id, ...}", at())
	}
	byID := map[int32]string{}
	most := int32(0)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("token: %s: %w", at(), err)
		}
		token := key.(string)
		var id int32
		if err := d.Decode(&id); err != nil || id < 0 {
			return nil, fmt.Errorf("token: %s: id of token %q: want a whole number from 0", at(), token)
		}
		if err := checkWord(token, len(v.index)); err != nil {
			return nil, fmt.Errorf("token: %s: %w", at(), err)
		}
		if _, ok := v.index[token]; ok {
			return nil, fmt.Errorf("token: %s: token %q is there twice: fetch the file again, since ids cannot be told apart", at(), token)
		}
		if was, ok := byID[id]; ok {
			return nil, fmt.Errorf("token: %s: tokens %q and %q have the same id %d: fetch the file again", at(), was, token, id)
		}
		v.index[token], byID[id] = id, token
		most = max(most, id)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("token: %s: %w", at(), err)
	}
	if len(byID) == 0 {
		return nil, fmt.Errorf("token: %s: no tokens: want {\"token\": id, ...}", at())
	}
	if int(most) > 2*len(byID)+1024 {
		return nil, fmt.Errorf("token: %s: id %d of token %q among %d tokens: ids should be without large gaps",
			path, most, byID[most], len(byID))
	}
	v.tokens, v.size = make([]string, most+1), len(byID)
	for id, t := range byID {
		v.tokens[id] = t
	}
	return v, nil
}

// checkWord returns an error for a token that no vocabulary of so many tokens before it has.
func checkWord(token string, before int) error {
	switch {
	case len(token) > maxWord:
		return fmt.Errorf("a token of %d bytes, the longest may have %d: is it a vocabulary?", len(token), maxWord)
	case before == maxWords:
		return fmt.Errorf("more than %d tokens: is it a vocabulary?", maxWords)
	}
	return nil
}

// add gives a token an id of its own, after the vocabulary.
func (v *vocabulary) add(token string, id int32) {
	for int(id) >= len(v.tokens) {
		v.tokens = append(v.tokens, "")
	}
	v.tokens[id], v.index[token] = token, id
}

// place is file:line of an offset.
func place(path string, text []byte, offset int) string {
	return fmt.Sprintf("%s:%d", path, 1+bytes.Count(text[:min(max(offset, 0), len(text))], []byte("\n")))
}

// parseMerges reads a merges.txt: a pair of tokens a line, the most important first.
func parseMerges(path string, text []byte, v *vocabulary) (map[[2]int32]merge, error) {
	merges, line := map[[2]int32]merge{}, 0
	for l := range strings.SplitSeq(string(text), "\n") {
		line++
		l = strings.TrimSuffix(l, "\r")
		if l == "" || line == 1 && strings.HasPrefix(l, "#version") {
			continue
		}
		if err := addMerge(merges, v, strings.Split(l, " ")); err != nil {
			return nil, fmt.Errorf("token: %s:%d: %w", path, line, err)
		}
	}
	if len(merges) == 0 {
		return nil, fmt.Errorf("token: %s: no merges: want a pair of tokens a line, as in \"h e\"", path)
	}
	return merges, nil
}

// addMerge adds a pair with the next rank.
func addMerge(merges map[[2]int32]merge, v *vocabulary, pair []string) error {
	if len(pair) != 2 {
		return fmt.Errorf("merge %q: want two tokens", bound.Name(strings.Join(pair, " ")))
	}
	if len(merges) == maxWords {
		return fmt.Errorf("more than %d merges: are they a tokenizer's?", maxWords)
	}
	for _, token := range []string{pair[0], pair[1], pair[0] + pair[1]} {
		if v.find(token) == None {
			return fmt.Errorf("merge %q: token %q is not in the vocabulary: use the files of one model", strings.Join(pair, " "), token)
		}
	}
	a, b, both := v.find(pair[0]), v.find(pair[1]), v.find(pair[0]+pair[1])
	if _, ok := merges[[2]int32{a, b}]; ok {
		return fmt.Errorf("merge %q is there twice", strings.Join(pair, " "))
	}
	merges[[2]int32{a, b}] = merge{int32(len(merges)), both}
	return nil
}
