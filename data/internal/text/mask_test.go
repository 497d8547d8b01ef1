package text_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// hidden is a row of a masked language model: its ids, the places to predict and what is there.
type hidden struct {
	row     int64
	ids     []int32
	at      []int32 // within the row
	targets []float32
}

// masksOf returns the rows of an epoch by their number. It checks the layout of what is to be predicted.
func masksOf(t testing.TB, src data.Source, epoch, size int) []hidden {
	t.Helper()
	var out []hidden
	for b, err := range src.Batches(epoch, size) {
		if err != nil {
			t.Fatal(err)
		}
		m := src.Schema().Text.Predictions(b.Tokens.L)
		if len(b.Tokens.At) != size*m || len(b.Tokens.Target) != size*m {
			t.Fatalf("%d places, %d targets, want %d", len(b.Tokens.At), len(b.Tokens.Target), size*m)
		}
		for i := range size {
			h := hidden{row: b.Row[i], ids: slices.Clone(b.Tokens.IDs[i*b.Tokens.L:][:b.Tokens.Len[i]])}
			for k := i * m; k < (i+1)*m; k++ {
				at, target := b.Tokens.At[k], b.Tokens.Target[k]
				if target < 0 {
					if at != -1 || target != -1 {
						t.Fatalf("no target, but place %d, %g", at, target)
					}
					continue
				}
				if n := int(at) - i*b.Tokens.L; n < 0 || n >= int(b.Tokens.Len[i]) {
					t.Fatalf("place %d is not in row %d of length %d", at, i, b.Tokens.Len[i])
				}
				h.at, h.targets = append(h.at, at-int32(i*b.Tokens.L)), append(h.targets, target)
			}
			if i < b.N {
				out = append(out, h)
			} else if h.at != nil {
				t.Fatalf("padding row %d has places to predict", i)
			}
		}
	}
	slices.SortFunc(out, func(a, b hidden) int { return int(a.row - b.row) })
	return out
}

func TestTextMasks(t *testing.T) {
	words := strings.Fields("w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 x0 x1 x2 x3 x4 x5 x6 x7 x8 x9")
	var text strings.Builder
	for i := range 3000 {
		for k := range i%30 + 1 {
			text.WriteString(words[(i+k*7)%len(words)] + " ")
		}
		text.WriteString("\n")
	}
	file := datatest.WriteFile(t, "x.txt", text.String())
	dir := tokenizer(t, strings.Join(words, " "))
	o, _ := datatest.Options(t)
	sec := fmt.Sprintf("{type: text, path: %s, valid_path: %s, mask_rate: 0.15, tokenizer: %s, max_length: 40}", file,
		datatest.WriteFile(t, "v.txt", text.String()), dir)
	s := datatest.Open(t, datatest.Section(t, sec), o)
	tok := s.Map.Text.Tokenizer()
	plain := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	var masked, other, same float64
	rows := masksOf(t, s.Train, 0, 16)
	for i, h := range rows {
		want := strings.Fields(plain[i])
		if n := max(1, int(math.Round(.15*float64(len(want))))); len(h.at) != n {
			t.Fatalf("row %d of %d words: %d places, want %d", i, len(want), len(h.at), n)
		}
		for k, id := range h.ids {
			at := slices.Index(h.at, int32(k))
			word := "[CLS]"
			if k == len(h.ids)-1 {
				word = "[SEP]"
			} else if k > 0 {
				word = want[k-1]
			}
			switch have := tok.Token(id); {
			case at < 0 && have != word:
				t.Fatalf("row %d, place %d: %s, want %s", i, k, have, word)
			case at < 0:
			case tok.Token(int32(h.targets[at])) != word:
				t.Fatalf("row %d, place %d: target %g, want %s", i, k, h.targets[at], word)
			case have == "[MASK]":
				masked++
			case have == word:
				same++
			default:
				other++
			}
		}
	}
	all := masked + other + same
	if got := masked / all; math.Abs(got-(.8+.1/25)) > .02 { // [MASK] is one of the 25 ids that a random one can be
		t.Errorf("%.3f of %g places are [MASK], want .804", got, all)
	}
	if got := same / all; math.Abs(got-(.1+.1/25)) > .015 {
		t.Errorf("%.3f are as they were, want .104", got)
	}
	compare := func(what string, a, b []hidden, want bool) {
		t.Helper()
		if got := cmp.Equal(a, b, cmp.AllowUnexported(hidden{})); got != want {
			t.Errorf("%s: equal masks: %v, want %v", what, got, want)
		}
	}
	compare("one epoch", rows, masksOf(t, s.Train, 0, 7), true)
	compare("two epochs", rows, masksOf(t, s.Train, 1, 16), false)
	compare("validation", masksOf(t, s.Valid, 0, 16), masksOf(t, s.Valid, 1, 5), true)
	o.Seed = 1
	again := datatest.Open(t, datatest.Section(t, sec), o)
	compare("two seeds", rows, masksOf(t, again.Train, 0, 16), false)
	compare("validation, two seeds", masksOf(t, s.Valid, 0, 16), masksOf(t, again.Valid, 0, 16), true)
}

func TestTextLines(t *testing.T) {
	file := datatest.WriteFile(t, "x.txt", "a b c\n\nd e f g h i j a b\n \nc\n\u200b\n")
	for _, tc := range []struct{ name, options, want string }{
		{"lines", "", "[CLS] a b c [SEP]|[CLS] d e f g [SEP]|[CLS] h i j a [SEP]|[CLS] b [SEP]|[CLS] c [SEP]"},
		{"blocks", ", blocks: true", "[CLS] a b c [SEP] [SEP]|[CLS] d e f g [SEP]|[CLS] h i j a [SEP]|[CLS] b [SEP] c [SEP]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, _ := datatest.Options(t)
			s := datatest.Open(t, datatest.Section(t,
				fmt.Sprintf("{type: text, path: %s, mask_rate: 0.3, tokenizer: %s, max_length: 6%s}", file, tokenizer(t, letters), tc.options)), o)
			tok := s.Map.Text.Tokenizer()
			var got []string
			for _, h := range masksOf(t, s.Train, 0, 2) {
				for k, at := range h.at {
					h.ids[at] = int32(h.targets[k])
				}
				var row []string
				for _, id := range h.ids {
					row = append(row, tok.Token(id))
				}
				got = append(got, strings.Join(row, " "))
			}
			if strings.Join(got, "|") != tc.want {
				t.Errorf("rows %s\nwant %s", strings.Join(got, "|"), tc.want)
			}
		})
	}
}
