package token

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// TestClasses holds what is done with each single code point to the reference: testdata/make.py wrote the hashes. Nothing of it may depend
// on the Unicode of the Go that builds the program, nor on that of golang.org/x/text.
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
	step := func(kind string) func(string) string {
		steps, err := (&jsonPart{Type: kind}).steps()
		if err != nil {
			t.Fatal(err)
		}
		return steps[0]
	}
	count := func(kind string, names ...string) func(string) string {
		split, err := (&jsonPart{Type: kind}).splitter()
		if err != nil {
			t.Fatal(err)
		}
		return func(s string) string {
			n := 0
			split([]byte("a"+s+"b"), func([]byte) bool { n++; return true })
			return names[n-1]
		}
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
		"strip_any":        step("StripAccents"),
		"trim":             step("Strip"),
		"nfc":              step("NFC"),
		"nfd":              step("NFD"),
		"order":            func(s string) string { return step("NFD")("\u0345" + s) },
		"nfkc":             step("NFKC"),
		"nfkd":             step("NFKD"),
		"whitespace":       count("Whitespace", "word", "space", "other"),
		"whitespace_split": count("WhitespaceSplit", "word", "space"),
		"punctuation":      count("Punctuation", "word", "", "punct"),
		"digits":           count("Digits", "word", "", "number"),
	}
	if len(got) != len(want) {
		t.Errorf("%d kinds of classes, testdata/classes.json has %d", len(got), len(want))
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

// TestLateCharacters: what Unicode has since 9.0.0 is left as it is by normal forms, beside what it would join or move past too. The
// reference does the same; later versions of golang.org/x/text join the first two.
func TestLateCharacters(t *testing.T) {
	for _, text := range []string{
		"\U000113c2\U000113c2", // of Unicode 16
		"\U00016d67\U00016d67", // of Unicode 16
		"\U00011935\U00011930", // of Unicode 13
		"\u0301\u1abf",         // U+1ABF, of Unicode 13, would stand before U+0301
		"\u32ff\u0301",         // of Unicode 12.1, of two characters by NFKC
		"\ua7f2\u0301",         // of Unicode 14, C by NFKC
	} {
		for _, form := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD} {
			if got := normalForm(form, text); got != text {
				t.Errorf("form %d of %+q is %+q, want it as it is", form, text, got)
			}
		}
	}
}
