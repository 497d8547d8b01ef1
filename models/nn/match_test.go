package nn_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
)

func TestMatch(t *testing.T) {
	names := []string{
		"embedding.user.weight", "embedding.ad.weight", "linear.bias", "mlp.0.weight", "mlp.0.bias", "mlp.10.bn.weight", "größe",
	}
	for _, tc := range []struct {
		patterns, want []string
	}{
		{nil, nil},
		{[]string{"*"}, names},
		{[]string{"embedding.*"}, names[:2]},
		{[]string{"*.weight", "!embedding.*"}, []string{"mlp.0.weight", "mlp.10.bn.weight"}},
		{[]string{"*.weight", "!embedding.*", "*.ad.*"}, []string{"embedding.ad.weight", "mlp.0.weight", "mlp.10.bn.weight"}},
		{[]string{"mlp.?.weight"}, []string{"mlp.0.weight"}},
		{[]string{"mlp.*weight"}, []string{"mlp.0.weight", "mlp.10.bn.weight"}},
		{[]string{"mlp"}, nil},
		{[]string{"gr??e"}, []string{"größe"}},
		{[]string{"*e*e*"}, []string{"embedding.user.weight", "embedding.ad.weight"}},
	} {
		m, err := nn.Match(tc.patterns)
		if err != nil {
			t.Errorf("%q: %v", tc.patterns, err)
			continue
		}
		var got []string
		for _, n := range names {
			if m(n) {
				got = append(got, n)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%q matches %q, want %q", tc.patterns, got, tc.want)
		}
	}
}

// TestMatchIsTheRegexp compares with the regular expression that says the same.
func TestMatchIsTheRegexp(t *testing.T) {
	r := rng.New(rng.Key(1, "match"))
	word := func(letters string, n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	for range 5000 {
		p, s := word("ab.*?", 1+r.IntN(6)), word("ab.", r.IntN(8))
		m, err := nn.Match([]string{p})
		if err != nil {
			t.Fatal(err)
		}
		re := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(p))
		if got, want := m(s), regexp.MustCompile("^"+re+"$").MatchString(s); got != want {
			t.Fatalf("%q on %q: %v, want %v", p, s, got, want)
		}
	}
}

func TestMatchRefuses(t *testing.T) {
	for _, tc := range []struct{ pattern, want string }{
		{"", "is empty"}, {"!", "is empty"}, {" a", "blanks"}, {"a ", "blanks"}, {"!!a", "more than one !"}, {"!a", "out of nothing"},
	} {
		if _, err := nn.Match([]string{tc.pattern}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: error %v, want one with %q", tc.pattern, err, tc.want)
		}
	}
	if _, err := nn.Match([]string{"a", "", "!"}); err == nil || strings.Count(err.Error(), "is empty") != 2 {
		t.Errorf("two bad patterns: %v", err)
	}
}

func TestUnmatched(t *testing.T) {
	got := nn.Unmatched([]string{"mlp.*", "embeding.*", "!nothing", "!*.bias"}, []string{"mlp.0.bias", "embedding.a.weight"})
	if want := []string{"embeding.*", "!nothing"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
