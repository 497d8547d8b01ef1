package registry

import (
	"slices"
	"strings"
)

// Nearest returns the name that is most likely meant by got: the one of the smallest edit distance (insertions,
// deletions, substitutions, swaps of neighbours), if that is small for the length; a prefix counts as near. Ties go
// to the first name in alphabetical order.
func Nearest(got string, names []string) (string, bool) {
	const longest = 64 // no key is longer; keeps the distance cheap on any input
	if len(got) > longest {
		return "", false
	}
	norm := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	g := norm(got)
	best, bestDist := "", 1<<30
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	for _, name := range sorted {
		n := norm(name)
		d := distance(g, n)
		limit := 1 + max(len(g), len(n))/4
		if len(g) >= 3 && (strings.HasPrefix(n, g) || strings.HasPrefix(g, n) && len(n) >= 3) {
			limit = d
		}
		if d <= limit && d < bestDist && d < max(len(g), len(n)) {
			best, bestDist = name, d
		}
	}
	return best, bestDist < 1<<30
}

// distance is the optimal string alignment distance of a and b.
func distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}

// hint returns `; did you mean "x"?` or, without a near name, the list of valid names.
func hint(got string, names []string) string {
	if n, ok := Nearest(got, names); ok {
		return "; did you mean \"" + n + "\"?"
	}
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	if len(sorted) == 0 {
		return "; no keys are allowed here"
	}
	return "; valid: " + strings.Join(sorted, ", ")
}
