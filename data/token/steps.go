package token

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// step is one step of a normalizer: it returns the text that the next one gets.
type step func(text string) string

// steps returns the steps of a section normalizer; nil is no step.
func (p *jsonPart) steps() ([]step, error) {
	if p == nil {
		return nil, nil
	}
	one := func(s step) ([]step, error) { return []step{s}, nil }
	switch p.Type {
	case "Sequence":
		var all []step
		for i := range p.Normalizers {
			some, err := p.Normalizers[i].steps()
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		return all, nil
	case "BertNormalizer":
		n := p.bert()
		return one(func(text string) string { return string(n.append(nil, text)) })
	case "Lowercase":
		return one(func(text string) string { return string(normalizer{lower: true}.append(nil, text)) })
	case "StripAccents":
		return one(func(text string) string {
			return strings.Map(func(r rune) rune {
				if unicode.Is(markTable, r) {
					return -1
				}
				return r
			}, text)
		})
	case "NFD":
		return one(func(text string) string { return normalForm(norm.NFD, text) })
	case "NFC":
		return one(func(text string) string { return normalForm(norm.NFC, text) })
	case "NFKD":
		return one(func(text string) string { return normalForm(norm.NFKD, text) })
	case "NFKC":
		return one(func(text string) string { return normalForm(norm.NFKC, text) })
	case "Strip":
		left, right := value(p.StripLeft, true), value(p.StripRight, true)
		return one(func(text string) string {
			if left {
				text = strings.TrimLeftFunc(text, isSpace)
			}
			if right {
				text = strings.TrimRightFunc(text, isSpace)
			}
			return text
		})
	}
	return nil, fmt.Errorf("normalizer of type %q: want BertNormalizer, Lowercase, StripAccents, NFC, NFD, NFKC, NFKD, Strip, "+
		"a Sequence of them, or null", p.Type)
}

// bert returns the options of a BertNormalizer.
func (p *jsonPart) bert() normalizer {
	lower := value(p.Lower, true)
	return normalizer{clean: value(p.Clean, true), chinese: value(p.Chinese, true), strip: value(p.Strip, lower), lower: lower}
}

// splitter yields the words of prepared text. It returns false once yield did.
type splitter func(text []byte, yield func(word []byte) bool) bool

// splitter returns the splitter of a section pre_tokenizer of a WordPiece model.
func (p *jsonPart) splitter() (splitter, error) {
	want := "want BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation, Digits, or a Sequence of them"
	if p == nil {
		return nil, fmt.Errorf("pre_tokenizer of type \"null\": %s", want)
	}
	switch p.Type {
	case "BertPreTokenizer":
		return words, nil
	case "Whitespace":
		return runsOf(func(r rune) int {
			switch {
			case isSpace(r):
				return 0
			case isWord(r):
				return 1
			}
			return 2
		}), nil
	case "WhitespaceSplit":
		return runsOf(func(r rune) int {
			if isSpace(r) {
				return 0
			}
			return 1
		}), nil
	case "Punctuation":
		if p.Behavior != "" && p.Behavior != "Isolated" {
			return nil, fmt.Errorf("pre_tokenizer Punctuation with behavior %q: want Isolated", p.Behavior)
		}
		return runsOf(func(r rune) int {
			if isPunct(r) {
				return alone
			}
			return 1
		}), nil
	case "Digits":
		digit := 2
		if value(p.Individual, false) {
			digit = alone
		}
		return runsOf(func(r rune) int {
			if unicode.Is(digitTable, r) {
				return digit
			}
			return 1
		}), nil
	case "Sequence":
		var all []splitter
		for i := range p.PreTokenizers {
			s, err := p.PreTokenizers[i].splitter()
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
		if len(all) > 0 {
			return inTurn(all), nil
		}
	}
	return nil, fmt.Errorf("pre_tokenizer of type %q: %s", p.Type, want)
}

// inTurn splits by the first, its words by the second, and so on.
func inTurn(all []splitter) splitter {
	if len(all) == 1 {
		return all[0]
	}
	rest := inTurn(all[1:])
	return func(text []byte, yield func([]byte) bool) bool {
		return all[0](text, func(word []byte) bool { return rest(word, yield) })
	}
}

const alone = -1 // the kind of a character that is a word for itself

// runsOf splits into the longest runs of characters of one kind. Those of kind 0 are left out.
func runsOf(kind func(rune) int) splitter {
	return func(text []byte, yield func([]byte) bool) bool {
		start, last := 0, 0
		for i := 0; i < len(text); {
			r, width := utf8.DecodeRune(text[i:])
			k := kind(r)
			if (k != last || k == alone) && start < i {
				if last != 0 && !yield(text[start:i]) {
					return false
				}
				start = i
			}
			last = k
			i += width
		}
		return start == len(text) || last == 0 || yield(text[start:])
	}
}

// isWord says that \w of the reference's expressions matches a rune: letters, marks, digits and what joins them.
func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'
	}
	return unicode.Is(wordTable, r)
}

// prepare applies steps in turn.
func prepare(all []step, text string) string {
	for _, s := range all {
		text = s(text)
	}
	return text
}
