package token

import (
	"sort"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

//go:generate go run ./tablegen

// normalizer prepares text as BERT does (Devlin et al. 2019, its published code), in this order: control characters are
// removed and white space becomes a space; Chinese characters get spaces round them; accents are stripped; letters become
// lower case.
type normalizer struct {
	clean   bool
	chinese bool
	strip   bool
	lower   bool
}

// append appends the prepared text, which is valid UTF-8.
func (n normalizer) append(dst []byte, text string) []byte {
	start, ascii := len(dst), true
	for _, r := range text {
		if r < utf8.RuneSelf {
			c := byte(r)
			switch {
			case n.clean && (c == '\t' || c == '\n' || c == '\r'):
				c = ' '
			case n.clean && (c < ' ' || c == 0x7f):
				continue
			case n.lower && 'A' <= c && c <= 'Z':
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			continue
		}
		switch {
		case n.clean && (r == utf8.RuneError || isControl(r)):
			continue
		case n.clean && isSpace(r):
			dst = append(dst, ' ')
			continue
		case n.chinese && isChinese(r):
			dst = append(dst, ' ')
			dst = append(utf8.AppendRune(dst, r), ' ')
		default:
			dst = utf8.AppendRune(dst, r)
		}
		ascii = false
	}
	if ascii || !n.strip && !n.lower {
		return dst
	}
	s := string(dst[start:])
	if n.strip {
		s = normalForm(norm.NFD, s)
	}
	dst = dst[:start]
	for _, r := range s {
		switch {
		case n.strip && isAccent(r):
		case n.lower && r == 'İ': // alone in becoming two
			dst = append(dst, "i̇"...)
		case n.lower:
			dst = utf8.AppendRune(dst, toLower(r))
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// normalForm brings text into a normal form as the reference does, which knows Unicode 9.0.0: it leaves later characters as they are, and
// nothing goes past them. What it knows has the same forms in every later Unicode.
func normalForm(form norm.Form, text string) string {
	var out []byte
	start := 0
	for i, r := range text {
		if r >= utf8.RuneSelf && unicode.Is(lateTable, r) {
			out = append(append(out, form.String(text[start:i])...), string(r)...)
			start = i + utf8.RuneLen(r)
		}
	}
	if start == 0 {
		return form.String(text)
	}
	return string(append(out, form.String(text[start:])...))
}

// isSpace says that a rune is white space.
func isSpace(r rune) bool {
	if r < utf8.RuneSelf {
		return r == ' ' || '\t' <= r && r <= '\r'
	}
	return unicode.Is(spaceTable, r)
}

// isControl says that cleaning removes a rune: the categories Cc, Cf and Co, and not Cn as the first code of BERT also did.
func isControl(r rune) bool {
	return unicode.Is(controlTable, r)
}

// isChinese says that a rune is in a block of CJK ideographs. The seventh starts at U+2B920 in the reference, too.
func isChinese(r rune) bool {
	return r >= 0x3400 && (r <= 0x4dbf || r >= 0x4e00 && r <= 0x9fff || r >= 0xf900 && r <= 0xfaff ||
		r >= 0x20000 && r <= 0x2a6df || r >= 0x2a700 && r <= 0x2b73f || r >= 0x2b740 && r <= 0x2b81f ||
		r >= 0x2b920 && r <= 0x2ceaf || r >= 0x2f800 && r <= 0x2fa1f)
}

// isAccent says that a rune is a mark that is stripped.
func isAccent(r rune) bool {
	return unicode.Is(accentTable, r)
}

// isPunct says that a rune is a word for itself.
func isPunct(r rune) bool {
	if r < utf8.RuneSelf { // most of a text, and sooner said here
		return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
	}
	return unicode.Is(punctTable, r)
}

// toLower returns the lower case of a rune.
func toLower(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	i := sort.Search(len(lowerTable), func(i int) bool { return r <= lowerTable[i].hi })
	if i < len(lowerTable) && r >= lowerTable[i].lo && (r-lowerTable[i].lo)%lowerTable[i].stride == 0 {
		r += lowerTable[i].delta
	}
	return r
}

// lowerRange says that each stride-th rune from lo to hi has a lower case, delta runes on.
type lowerRange struct{ lo, hi, stride, delta rune }

// words yields the words of prepared text: what stands between white space, each punctuation mark for itself.
// It returns false once yield did.
func words(text []byte, yield func(word []byte) bool) bool {
	start := 0
	for i, width := 0, 0; i < len(text); i += width {
		r := rune(text[i])
		width = 1
		if r >= utf8.RuneSelf {
			r, width = utf8.DecodeRune(text[i:])
		}
		space := isSpace(r)
		if !space && !isPunct(r) {
			continue
		}
		if start < i && !yield(text[start:i]) {
			return false
		}
		start = i + width
		if !space && !yield(text[i:start]) {
			return false
		}
	}
	return start == len(text) || yield(text[start:])
}
