package bound_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/splice-ml/splice/data/bound"
)

// A list of names in a message has a bounded length, is text if the names are, and says how many names it leaves out.
func FuzzNames(f *testing.F) {
	for _, s := range []string{
		"", "a", "a,b", "\x00", "a\xff,\xfe", "\x1b[2Ja,b\u2028c", "\u202eb", strings.Repeat("n", 1<<20), strings.Repeat("k,", 30000), strings.Repeat("é", 300),
		"sentence,other,label", "a and 3 more,b", strings.Repeat("\x80", 1000),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		names := strings.Split(s, ",")
		got := bound.Names(names)
		if len(got) > 1<<14 {
			t.Fatalf("%d names are listed in %d bytes", len(names), len(got))
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Fatalf("%q is no text", got)
		}
		if len(names) <= 3 && len(s) < 60 && got != strings.Join(names, ", ") {
			t.Fatalf("%q is listed as %q", names, got)
		}
	})
}
