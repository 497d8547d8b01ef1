package token

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/sugarme/tokenizer"
	"github.com/sugarme/tokenizer/model/bpe"
	"github.com/sugarme/tokenizer/model/wordpiece"
	library "github.com/sugarme/tokenizer/normalizer"
	"github.com/sugarme/tokenizer/pretokenizer"
	"github.com/sugarme/tokenizer/processor"
)

// TestLibrary holds what the package's comment says of the library: which of its parts give the ids of the reference tokenizers, and
// which do not. It counts in how many cases a part differs from ours, which the other tests hold to the reference. Where a newer
// library differs less, it can do more here, and the comment has to follow.
func TestLibrary(t *testing.T) {
	texts := referenceTexts(t)
	uncased := normalizer{clean: true, chinese: true, strip: true, lower: true}
	normalized := func(n *library.BertNormalizer) func(string) string {
		return func(s string) string {
			out, err := n.Normalize(library.NewNormalizedFrom(s))
			return fmt.Sprint(out.GetNormalized(), err)
		}
	}
	split := func(p tokenizer.PreTokenizer) func(string) string {
		return func(s string) string {
			out, err := p.PreTokenize(tokenizer.NewPreTokenizedString(s))
			return fmt.Sprint(parts(out), err)
		}
	}
	byteLevel := pretokenizer.NewByteLevel()
	byteLevel.SetAddPrefixSpace(false)

	var prepared, repeated []string
	for _, s := range texts {
		prepared = append(prepared, string(uncased.append(nil, s)))
	}
	for n := range 40 {
		repeated = append(repeated, strings.Repeat("a", n+1))
	}
	merges := bpe.Merges{{C1: 0, C2: 0}: {Rank: 0, NewId: 1}, {C1: 1, C2: 1}: {Rank: 1, NewId: 2}} // a a, aa aa
	ours := &bytePieces{unk: None, merges: map[[2]int32]merge{{0, 0}: {0, 1}, {1, 1}: {1, 2}}}

	for _, tc := range []struct {
		part          string
		cases         []string
		library, ours func(string) string
		want          int // cases that differ
	}{
		{"BertPreTokenizer", prepared, split(pretokenizer.NewBertPreTokenizer()), func(s string) string {
			var out []string
			words([]byte(s), func(word []byte) bool { out = append(out, string(word)); return true })
			return fmt.Sprint(out, nil)
		}, 0},
		{"BertNormalizer, uncased", texts, normalized(library.NewBertNormalizer(true, true, true, true)), func(s string) string {
			return fmt.Sprint(string(uncased.append(nil, s)), nil)
		}, 181},
		{"BertNormalizer, cased", texts, normalized(library.NewBertNormalizer(true, false, true, false)), func(s string) string {
			return fmt.Sprint(string(normalizer{clean: true, chinese: true}.append(nil, s)), nil)
		}, 82},
		{"ByteLevel", texts, split(byteLevel), func(s string) string {
			var out []string
			for len(s) > 0 {
				n := wordLen(s)
				var word strings.Builder
				for _, b := range []byte(s[:n]) {
					word.WriteString(byteTexts[b])
				}
				out = append(out, word.String())
				s = s[n:]
			}
			return fmt.Sprint(out, nil)
		}, 43},
		{"BPE", repeated, func(s string) string {
			word := bpe.NewWord()
			for range s {
				word.Add(0, 1)
			}
			word.MergeAll(merges)
			return fmt.Sprint(word.GetChars())
		}, func(s string) string { return fmt.Sprint(ours.cut([]byte(s))) }, 34},
		{"AddedVocabulary, BERT", texts, added(bertNames), addedOurs(bertNames), 1},
		{"AddedVocabulary, RoBERTa", texts, added(robertaNames), addedOurs(robertaNames), 2},
	} {
		differ := 0
		for _, c := range tc.cases {
			got, panicked := caught(tc.library, c)
			if panicked || got != tc.ours(c) {
				differ++
			}
		}
		if differ != tc.want {
			t.Errorf("%s differs in %d of %d cases, %d were known", tc.part, differ, len(tc.cases), tc.want)
		}
	}

	punctuation, chinese := 0, 0
	for r := range rune(0x110000) {
		if library.IsBertPunctuation(r) != isPunct(r) {
			punctuation++
		}
		if library.IsChinese(r) != isChinese(r) {
			chinese++
		}
	}
	if unicode.Version != "15.0.0" {
		punctuation = 129 // what the library says follows the Unicode of Go
	}
	if punctuation != 129 || chinese != 6848 {
		t.Errorf("IsBertPunctuation differs in %d code points, IsChinese in %d: 129 and 6848 were known", punctuation, chinese)
	}
	differ := 0
	for n := range 10 * 10 * 20 {
		first, second, room := n%10, n/10%10, n/100
		a, b := tokenizer.TruncateEncodings(blank(first), blank(second),
			&tokenizer.TruncationParams{MaxLength: room, Strategy: tokenizer.LongestFirst})
		if x, y := longestFirst(first, second, room); a.Len() != x || b.Len() != y {
			differ++
		}
	}
	if differ != 638 {
		t.Errorf("TruncateEncodings differs in %d of 2000 cases, 638 were known", differ)
	}
	second := blank(1)
	second.TypeIds[0] = 1 // as the library's tokenizer has it before
	got := processor.DefaultRobertaProcessing().Process(blank(1), second, true)
	if slices.Equal(got.TypeIds, make([]int, 6)) {
		t.Errorf("RobertaProcessing gives the segments of the reference now")
	}
}

// referenceTexts returns the different texts of the reference cases.
func referenceTexts(t *testing.T) (texts []string) {
	text, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var reference map[string][]struct{ A, B string }
	if err := json.Unmarshal(text, &reference); err != nil {
		t.Fatal(err)
	}
	for _, cases := range reference {
		for _, c := range cases {
			texts = append(texts, c.A, c.B)
		}
	}
	slices.Sort(texts)
	return slices.DeleteFunc(slices.Compact(texts), func(s string) bool { return s == "" })
}

// caught calls f and says whether it panicked.
func caught(f func(string) string, s string) (out string, panicked bool) {
	defer func() { panicked = recover() != nil }()
	return f(s), false
}

// parts lists the parts of a text, added tokens by their ids.
func parts(p *tokenizer.PreTokenizedString) (out []string) {
	for _, part := range p.GetSplits(library.NormalizedTarget, tokenizer.Byte) {
		if part.Tokens != nil {
			part.Value = fmt.Sprint("#", part.Tokens[0].Id)
		}
		out = append(out, part.Value)
	}
	return out
}

// added finds the special tokens of a family with the library.
func added(n names) func(string) string {
	model := wordpiece.NewWordPieceBuilder().Build()
	v := tokenizer.NewAddedVocabulary()
	var tokens []tokenizer.AddedToken
	for i, name := range n {
		tokens = append(tokens, tokenizer.NewAddedToken(name, true, tokenizer.WithLStrip(i == 4)))
	}
	v.AddSpecialTokens(tokens, model, nil)
	return func(s string) string { return fmt.Sprint(parts(v.ExtractAndNormalize(s, nil))) }
}

// addedOurs finds them with ours.
func addedOurs(n names) func(string) string {
	seen := &seenTexts{}
	e := &encoder{pieces: seen}
	var tokens []addedToken
	for i, name := range n {
		tokens = append(tokens, addedToken{text: name, id: int32(i), lstrip: i == 4})
	}
	if err := e.addTokens(tokens); err != nil {
		panic(err)
	}
	return func(s string) string {
		seen.texts = nil
		ids, err := e.appendText(nil, new(scratch), s)
		if err != nil {
			return err.Error()
		}
		var out []string
		for _, id := range ids {
			if id < 0 {
				out = append(out, seen.texts[-id-1])
			} else {
				out = append(out, fmt.Sprint("#", id))
			}
		}
		return fmt.Sprint(out)
	}
}

// seenTexts are pieces that keep the texts that they are given.
type seenTexts struct{ texts []string }

func (s *seenTexts) appendIDs(dst []int32, text []byte) ([]int32, error) {
	s.texts = append(s.texts, string(text))
	return append(dst, -int32(len(s.texts))), nil
}

// blank is the library's form of a text of n ids.
func blank(n int) *tokenizer.Encoding {
	e := tokenizer.NewEncodingWithCapacity(n)
	for i := range e.Offsets {
		e.Offsets[i] = []int{0, 0}
	}
	return e
}
