package nn

import (
	"fmt"
	"strings"

	"github.com/splice-ml/splice/data/bound"
)

// Match returns a function that reports whether a list of patterns matches the full name of a parameter. In a pattern `*` stands
// for any characters, dots included, and `?` for one; all others stand for themselves. A pattern that starts with `!` takes names
// out again: the last pattern that matches a name decides. An empty list matches nothing. An empty pattern, a `!` alone and a list
// that begins by taking out are errors, and all errors are reported at once.
func Match(patterns []string) (func(name string) bool, error) {
	var errs []error
	bad := func(p, why string) { errs = append(errs, fmt.Errorf("pattern %q: %s", p, why)) }
	for i, p := range patterns {
		q, out := strings.CutPrefix(p, "!")
		switch {
		case q == "":
			bad(p, "is empty: give a parameter's name, with * for any characters and ? for one")
		case strings.TrimSpace(p) != p || strings.HasPrefix(q, " "):
			bad(p, "has blanks at an end")
		case strings.HasPrefix(q, "!"):
			bad(p, "has more than one !")
		case out && i == 0:
			bad(p, `takes names out of nothing: put "*" or another pattern before it`)
		}
	}
	if len(errs) > 0 {
		return nil, bound.Join(errs...)
	}
	patterns = append([]string(nil), patterns...)
	return func(name string) bool {
		for i := len(patterns) - 1; i >= 0; i-- {
			q, out := strings.CutPrefix(patterns[i], "!")
			if glob(q, name) {
				return !out
			}
		}
		return false
	}, nil
}

// Unmatched returns the patterns that match none of the names. They are most likely misspelt.
func Unmatched(patterns, names []string) []string {
	var out []string
next:
	for _, p := range patterns {
		q, _ := strings.CutPrefix(p, "!")
		for _, n := range names {
			if glob(q, n) {
				continue next
			}
		}
		out = append(out, p)
	}
	return out
}

// glob reports whether the pattern matches all of s. On a mismatch it goes back to the last `*`, which takes one byte more:
// the time is bounded by the product of the lengths.
func glob(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			w := 1
			if pattern[p] == '?' {
				w = runeLen(s[i:])
			}
			p++
			i += w
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// runeLen returns the bytes of the first character of s.
func runeLen(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}
