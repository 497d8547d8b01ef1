package token

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// TestClasses holds what is done with each single code point to the reference: testdata/make.py wrote the hashes. It fails if
// a newer Go or golang.org/x/text knows a newer Unicode; then ranges.go has to follow.
func TestClasses(t *testing.T) {
	text, err := os.ReadFile("testdata/classes.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	normalize := func(n normalizer) func(string) string {
		return func(s string) string { return string(n.append(nil, s)) }
	}
	got := map[string]func(string) string{
		"clean":   normalize(normalizer{clean: true}),
		"chinese": normalize(normalizer{chinese: true}),
		"strip":   normalize(normalizer{strip: true}),
		"lower":   normalize(normalizer{lower: true}),
		"uncased": normalize(normalizer{clean: true, chinese: true, strip: true, lower: true}),
		"words": func(s string) string {
			n := 0
			words([]byte("a"+s+"b"), func([]byte) bool { n++; return true })
			return []string{"", "word", "space", "punct"}[n]
		},
		"byte_level": func(s string) string {
			for _, c := range [][2]string{{"a", "letter"}, {"1", "number"}, {"#", "other"}} {
				if wordLen(c[0]+s) == 1+len(s) {
					return c[1]
				}
			}
			return "space"
		},
	}
	for name, f := range got {
		h := sha256.New()
		for r := range rune(0x110000) {
			if r < 0xd800 || r >= 0xe000 {
				h.Write([]byte(f(string(r)) + "\n"))
			}
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want[name] {
			t.Errorf("%s: the code points give %s, want %s", name, got, want[name])
		}
	}
}
