package token

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// pieces turns prepared text without added tokens into ids.
type pieces interface {
	appendIDs(dst []int32, text []byte) ([]int32, error)
}

// encoder is the one implementation of Tokenizer: special tokens, cutting and templates round one kind of pieces.
type encoder struct {
	*vocabulary
	pieces   pieces
	prepare  func(dst []byte, text string) []byte // the normalizer; nil leaves text as it is
	special  Special
	added    []addedToken
	raw      matcher // the tokens of added that are found in the raw text
	prepared matcher // those that are found in the prepared text
	left     bool    // ids are cut from the start of a text
	single   []slot
	pair     []slot
	files    []file
	settings string    // what changes ids and is not in the files of the vocabulary
	told     bool      // whether files beside the vocabulary ask for more than their options of text
	class    string    // that transformers makes of a tokenizer.json, "" where no file says
	how      string    // the normalizer and the pieces, to tell two encoders of one vocabulary apart
	scratch  sync.Pool // of *scratch
}

// scratch is the memory of one Encode.
type scratch struct {
	ids  [2][]int32
	text []byte
}

// addedToken is a token that is looked for before text is cut into pieces.
type addedToken struct {
	text           string
	id             int32
	lstrip, rstrip bool // whether it takes the white space before it, and after it
	single         bool // whether it is one only where no letter or digit touches it
	normalized     bool // whether it is found in the prepared text, itself prepared, and not in the raw one
	special        bool // whether it is called a special token
	plain          bool // whether its text is read like any other, since a tokenizer_config.json says split_special_tokens
}

// slot is a place in a template: a special token or one of the texts.
type slot struct {
	text    int   // 0 for the token id, 1 for the first text, 2 for the second
	id      int32 // of a special token
	segment int32
}

func (e *encoder) Special() Special { return e.special }

// addTokens sets the tokens that are looked for. The normalizer must have been set.
func (e *encoder) addTokens(added []addedToken) error {
	e.added = added
	var raw, prepared []addedToken
	for _, a := range added {
		if !a.normalized {
			raw = append(raw, a)
			continue
		}
		if e.prepare != nil {
			a.text = string(e.prepare(nil, a.text))
		}
		if a.text == "" {
			return fmt.Errorf("added token of id %d: the normalizer leaves nothing of it: set its normalized to false", a.id)
		}
		for _, b := range prepared {
			if a.text == b.text {
				return fmt.Errorf("added tokens of the ids %d and %d are both %q once they are normalized, so a text does not say which is meant "+
					"(AutoTokenizer takes either, by chance): remove one, or set its normalized to false", b.id, a.id, a.text)
			}
		}
		prepared = append(prepared, a)
	}
	e.raw, e.prepared = newMatcher(raw), newMatcher(prepared)
	return nil
}

func (e *encoder) Encode(dst *Encoding, maxLen int, text string) error {
	return e.encode(dst, maxLen, e.single, text, "")
}

func (e *encoder) EncodePair(dst *Encoding, maxLen int, a, b string) error {
	return e.encode(dst, maxLen, e.pair, a, b)
}

func (e *encoder) encode(dst *Encoding, maxLen int, slots []slot, a, b string) (err error) {
	texts := 0
	for _, s := range slots {
		texts += min(s.text, 1)
	}
	room := maxLen - (len(slots) - texts)
	if maxLen < 0 || maxLen > 0 && room < 0 {
		return fmt.Errorf("token: a length of at most %d has no room for the %d special tokens: want that many or more, or 0 for no limit",
			maxLen, len(slots)-texts)
	}
	tmp, _ := e.scratch.Get().(*scratch)
	if tmp == nil {
		tmp = new(scratch)
	}
	defer e.scratch.Put(tmp)
	ids := &tmp.ids
	if ids[0], err = e.appendText(ids[0][:0], tmp, a); err != nil {
		return err
	}
	ids[1] = ids[1][:0]
	if texts > 1 {
		if ids[1], err = e.appendText(ids[1], tmp, b); err != nil {
			return err
		}
	}
	n := [2]int{len(ids[0]), len(ids[1])}
	if maxLen > 0 {
		n[0], n[1] = longestFirst(n[0], n[1], room)
	}
	dst.Cut += len(ids[0]) - n[0] + len(ids[1]) - n[1]
	for _, s := range slots {
		if s.text == 0 {
			dst.IDs = append(dst.IDs, s.id)
			dst.Segments = append(dst.Segments, s.segment)
			continue
		}
		kept := ids[s.text-1]
		if e.left {
			kept = kept[len(kept)-n[s.text-1]:]
		}
		dst.IDs = append(dst.IDs, kept[:n[s.text-1]]...)
		for range n[s.text-1] {
			dst.Segments = append(dst.Segments, s.segment)
		}
	}
	return nil
}

// longestFirst returns how much is kept of a and b ids where there is room for so many. The longer loses ids until both
// are equally long; then each keeps half, and the odd one stays with the longer, of two equal ones with the second.
func longestFirst(a, b, room int) (int, int) {
	if a+b <= room {
		return a, b
	}
	if b == 0 {
		return room, 0
	}
	if a > b {
		b, a = longestFirst(b, a, room)
		return a, b
	}
	if a > room/2 {
		return room / 2, room - room/2
	}
	return a, room - a
}

// appendText appends the ids of a text in which added tokens may stand.
func (e *encoder) appendText(dst []int32, tmp *scratch, text string) (_ []int32, err error) {
	token := func(id int32) { dst = append(dst, id) }
	cut := func(part []byte) (err error) {
		dst, err = e.pieces.appendIDs(dst, part)
		return err
	}
	err = e.raw.each(text, token, func(part string) error {
		if !utf8.ValidString(part) {
			part = string([]rune(part)) // each invalid byte becomes U+FFFD
		}
		if e.prepare != nil {
			tmp.text = e.prepare(tmp.text[:0], part)
		} else {
			tmp.text = append(tmp.text[:0], part...)
		}
		switch {
		case len(tmp.text) == 0:
			return nil
		case len(e.prepared.tokens) == 0:
			return cut(tmp.text)
		}
		return e.prepared.each(string(tmp.text), token, func(part string) error { return cut([]byte(part)) })
	})
	return dst, err
}

// matcher finds tokens in a text.
type matcher struct {
	tokens []addedToken // the longest first
	first  [256]bool    // first bytes of tokens
}

func newMatcher(tokens []addedToken) (m matcher) {
	slices.SortStableFunc(tokens, func(a, b addedToken) int { return cmp.Compare(len(b.text), len(a.text)) })
	m.tokens = tokens
	for _, a := range tokens {
		m.first[a.text[0]] = true
	}
	return m
}

// each calls token for each token of a text, from the left, of several at one place for the longest, and part for what stands between them.
// A place where a token is none, since it touches a word, is gone over whole, as by the reference.
func (m *matcher) each(text string, token func(id int32), part func(string) error) error {
	start := 0
	for i := 0; i < len(text); {
		k := -1
		if m.first[text[i]] {
			k = slices.IndexFunc(m.tokens, func(a addedToken) bool { return strings.HasPrefix(text[i:], a.text) })
		}
		if k < 0 {
			i++
			continue
		}
		a, from := m.tokens[k], i
		i += len(a.text)
		if a.plain || a.single && touches(text, from, i) {
			continue
		}
		to := i
		if a.lstrip {
			from = max(start, len(strings.TrimRightFunc(text[:from], isSpace)))
		}
		if a.rstrip {
			to = len(text) - len(strings.TrimLeftFunc(text[to:], isSpace))
		}
		if start < from {
			if err := part(text[start:from]); err != nil {
				return err
			}
		}
		token(a.id)
		start = to
	}
	if start == len(text) {
		return nil
	}
	return part(text[start:])
}

// touches says that a letter or digit stands right before or after text[from:to].
func touches(text string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	after, _ := utf8.DecodeRuneInString(text[to:])
	return from > 0 && isWord(before) || to < len(text) && isWord(after)
}
