package token

import (
	"strings"
	"unicode"
	"unicode/utf8"

	bert "github.com/sugarme/tokenizer/normalizer"
	"golang.org/x/text/unicode/norm"
)

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
		case n.clean && unicode.IsSpace(r):
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
		s = decompose(s)
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

// decompose returns the canonical decomposition (NFD), but of one letter that the reference leaves as it is.
func decompose(s string) string {
	const kept = "\U00011938"
	parts := strings.Split(s, kept)
	for i, p := range parts {
		parts[i] = norm.NFD.String(p)
	}
	return strings.Join(parts, kept)
}

// isControl says that cleaning removes a rune: the categories Cc, Cf and Co, and not Cn as the first code of BERT also did.
func isControl(r rune) bool {
	return r != '\t' && r != '\n' && r != '\r' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) && !unicode.Is(keptFormat, r)
}

// isChinese says that a rune is in a block of CJK ideographs. The seventh starts at U+2B920 in the reference, too.
func isChinese(r rune) bool {
	return r >= 0x3400 && (r <= 0x4dbf || r >= 0x4e00 && r <= 0x9fff || r >= 0xf900 && r <= 0xfaff ||
		r >= 0x20000 && r <= 0x2a6df || r >= 0x2a700 && r <= 0x2b73f || r >= 0x2b740 && r <= 0x2b81f ||
		r >= 0x2b920 && r <= 0x2ceaf || r >= 0x2f800 && r <= 0x2fa1f)
}

// isAccent says that a rune is a mark that is stripped.
func isAccent(r rune) bool {
	return unicode.Is(unicode.Mn, r) && !unicode.Is(keptMark, r) || unicode.Is(moreMark, r)
}

// isPunct says that a rune is a word for itself. So the library says of all runes but 129.
func isPunct(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z': // most of a text, and sooner said here
		return false
	case r < utf8.RuneSelf:
		return bert.IsBertPunctuation(r)
	}
	return bert.IsBertPunctuation(r) && !unicode.Is(notPunct, r) || unicode.Is(morePunct, r)
}

// toLower is unicode.ToLower with the letters of Unicode 16 and 17.
func toLower(r rune) rune {
	switch {
	case r == 0xa7cb:
		return 0x264
	case r == 0xa7dc:
		return 0x19b
	case r == 0x1c89 || r == 0xa7cc || r == 0xa7ce || r == 0xa7d2 || r == 0xa7d4 || r == 0xa7da:
		return r + 1
	case r >= 0x10d50 && r <= 0x10d65:
		return r + 0x20
	case r >= 0x16ea0 && r <= 0x16eb8:
		return r + 0x1b
	}
	return unicode.ToLower(r)
}

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
		space := unicode.IsSpace(r)
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
