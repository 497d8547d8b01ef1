package token

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// pieces turns text without special tokens into ids.
type pieces interface {
	appendIDs(dst []int32, text string) ([]int32, error)
}

// encoder is the one implementation of Tokenizer: special tokens, cutting and templates round one kind of pieces.
type encoder struct {
	*vocabulary
	pieces   pieces
	special  Special
	added    []addedToken // the longest first
	first    [256]bool    // first bytes of added
	single   []slot
	pair     []slot
	files    []file
	settings string    // what of the tokenizer_config.json changes ids
	scratch  sync.Pool // of *[2][]int32
}

// addedToken is a token that is found in the raw text, before anything else is done with it.
type addedToken struct {
	text           string
	id             int32
	lstrip, rstrip bool // whether it takes the white space before it, and after it
}

// slot is a place in a template: a special token or one of the texts.
type slot struct {
	text    int   // 0 for the token id, 1 for the first text, 2 for the second
	id      int32 // of a special token
	segment int32
}

func (e *encoder) Special() Special { return e.special }

// addTokens sets the tokens that are found in the raw text.
func (e *encoder) addTokens(added []addedToken) {
	slices.SortStableFunc(added, func(a, b addedToken) int { return cmp.Compare(len(b.text), len(a.text)) })
	e.added = added
	for _, a := range added {
		e.first[a.text[0]] = true
	}
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
	ids, _ := e.scratch.Get().(*[2][]int32)
	if ids == nil {
		ids = new([2][]int32)
	}
	defer e.scratch.Put(ids)
	if ids[0], err = e.appendText(ids[0][:0], a); err != nil {
		return err
	}
	ids[1] = ids[1][:0]
	if texts > 1 {
		if ids[1], err = e.appendText(ids[1], b); err != nil {
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
		dst.IDs = append(dst.IDs, ids[s.text-1][:n[s.text-1]]...)
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
func (e *encoder) appendText(dst []int32, text string) (_ []int32, err error) {
	start := 0
	for i := 0; i < len(text); i++ {
		if !e.first[text[i]] {
			continue
		}
		k := slices.IndexFunc(e.added, func(a addedToken) bool { return strings.HasPrefix(text[i:], a.text) })
		if k < 0 {
			continue
		}
		a, before := e.added[k], text[start:i]
		if a.lstrip {
			before = strings.TrimRightFunc(before, unicode.IsSpace)
		}
		if dst, err = e.appendPart(dst, before); err != nil {
			return dst, err
		}
		dst = append(dst, a.id)
		start = i + len(a.text)
		if a.rstrip {
			start += len(text[start:]) - len(strings.TrimLeftFunc(text[start:], unicode.IsSpace))
		}
		i = start - 1
	}
	return e.appendPart(dst, text[start:])
}

func (e *encoder) appendPart(dst []int32, text string) ([]int32, error) {
	if text == "" {
		return dst, nil
	}
	if !utf8.ValidString(text) {
		text = string([]rune(text)) // each invalid byte becomes U+FFFD
	}
	return e.pieces.appendIDs(dst, text)
}
