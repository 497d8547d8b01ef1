package token_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/token"
)

// all yields lines and then an error, if there is one.
func all(lines []string, err error) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

// corpus is lines of made-up words, some of them often.
func corpus(seed uint64, lines int) []string {
	r := rand.New(rand.NewPCG(seed, 1))
	var words []string
	for range 60 {
		var b strings.Builder
		for range 1 + r.IntN(9) {
			b.WriteByte("aabbcde"[r.IntN(7)])
		}
		words = append(words, b.String())
	}
	out := make([]string, lines)
	for i := range out {
		for range 8 {
			out[i] += words[min(r.IntN(60), r.IntN(60))] + " "
		}
	}
	return out
}

// naive is the definition of Train: it counts all pairs anew for each merge.
func naive(lines []string, size, minCount int) []string {
	vocab := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	counts := map[string]int{}
	for w := range strings.FieldsSeq(strings.Join(lines, " ")) {
		counts[w]++
	}
	var starts, insides []string
	split := map[string][]string{}
	for w := range counts {
		for i, c := range strings.Split(w, "") {
			starts = append(starts, c)
			if i > 0 {
				c = "##" + c
				insides = append(insides, c)
			}
			split[w] = append(split[w], c)
		}
	}
	for _, list := range [][]string{starts, insides} {
		slices.Sort(list)
		vocab = append(vocab, slices.Compact(list)...)
	}
	for len(vocab) < size {
		pairs := map[[2]string]int{}
		for w, n := range counts {
			for i := range len(split[w]) - 1 {
				pairs[[2]string{split[w][i], split[w][i+1]}] += n
			}
		}
		best, most := [2]string{}, 0
		for p, n := range pairs {
			before := slices.Compare(
				[]int{slices.Index(vocab, p[0]), slices.Index(vocab, p[1])},
				[]int{slices.Index(vocab, best[0]), slices.Index(vocab, best[1])}) < 0
			if n > most || n == most && before {
				best, most = p, n
			}
		}
		if most < minCount {
			break
		}
		both := best[0] + strings.TrimPrefix(best[1], "##")
		if !slices.Contains(vocab, both) {
			vocab = append(vocab, both)
		}
		for w, s := range split {
			for i := 0; i+1 < len(s); i++ {
				if s[i] == best[0] && s[i+1] == best[1] {
					s = slices.Concat(s[:i], []string{both}, s[i+2:])
				}
			}
			split[w] = s
		}
	}
	return vocab
}

func vocab(tok token.Tokenizer) (tokens []string) {
	for id := range tok.Vocab() {
		tokens = append(tokens, tok.Token(int32(id)))
	}
	return tokens
}

func TestTrain(t *testing.T) {
	for seed := range uint64(8) {
		lines := corpus(seed, 40)
		for _, o := range []token.TrainOptions{{Size: 20}, {Size: 60}, {Size: 120, MinCount: 5}, {Size: 10000, MinCount: 1}} {
			tok, err := token.Train(t.Context(), all(lines, nil), o)
			if err != nil {
				t.Fatal(err)
			}
			want := naive(lines, o.Size, max(o.MinCount, 2-min(o.MinCount, 1)))
			if got := vocab(tok); !slices.Equal(got, want) {
				t.Errorf("corpus %d, %+v:\n got %q\nwant %q", seed, o, got, want)
			}
			slices.Reverse(lines)
			again, err := token.Train(t.Context(), all(lines, nil), o)
			if err != nil || again.Fingerprint() != tok.Fingerprint() {
				t.Errorf("corpus %d, %+v: the order of lines changed the vocabulary (%v)", seed, o, err)
			}
		}
	}
}

func TestTrainSave(t *testing.T) {
	lines := []string{"Café au lait, café noir", "Der Café-Besuch ÄÖÜ", "one\xfftwo"}
	for _, cased := range []bool{false, true} {
		tok, err := token.Train(t.Context(), all(lines, nil), token.TrainOptions{Size: 80, Cased: cased})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		again := open(t, dir)
		if got, want := vocab(again), vocab(tok); !slices.Equal(got, want) {
			t.Errorf("cased %v: saved %q, read %q", cased, want, got)
		}
		if got, want := ids(t, again, "CAFÉ Café"), ids(t, tok, "CAFÉ Café"); !slices.Equal(got, want) {
			t.Errorf("cased %v: ids %v, after saving %v", cased, want, got)
		}
		if _, ok := tok.ID("C"); ok != cased {
			t.Errorf("cased %v: vocabulary has C: %v", cased, ok)
		}
		if text, err := os.ReadFile(filepath.Join(dir, "vocab.txt")); err != nil ||
			!strings.HasPrefix(string(text), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n") {
			t.Errorf("vocab.txt: %.60q, %v", text, err)
		}
	}
}

func TestTrainAlphabet(t *testing.T) {
	tok, err := token.Train(t.Context(), all([]string{"aaa aab aab xyz"}, nil), token.TrainOptions{Size: 50, Alphabet: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "aa", "aab"}
	if got := vocab(tok); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTrainRefuses(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, tc := range []struct {
		name  string
		ctx   context.Context
		lines iter.Seq2[string, error]
		size  int
		want  string
	}{
		{"empty", t.Context(), all([]string{"", " \t"}, nil), 100, "token: train: no words in the corpus: want lines of text"},
		{
			"small", t.Context(), all([]string{"ab"}, nil), 7,
			"token: train: a vocabulary of 7 has no room for 8 special tokens and single characters: want that many or more, or a smaller alphabet",
		},
		{"error", t.Context(), all([]string{"ab"}, errors.New("disk gone")), 100, "token: train: line 2: disk gone"},
		{"stopped", stopped, all([]string{"ab"}, nil), 100, "context canceled"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := token.Train(tc.ctx, tc.lines, token.TrainOptions{Size: tc.size}); fmt.Sprint(err) != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}
