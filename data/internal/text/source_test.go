package text_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	"github.com/splice-ml/splice/data/set"
)

// reviews opens 700 + 100 generated rows.
func reviews(t testing.TB) *data.Splits {
	o, _ := datatest.Options(t)
	o.Seed = 5
	return datatest.Open(t, datatest.Section(t,
		"{type: reviews, train: 700, valid: 100, test: 0, vocab_size: 200, max_length: 32, buckets: [8, 12, 16, 24]}"), o)
}

func TestTextOrder(t *testing.T) {
	s := reviews(t)
	tok := s.Map.Text.Tokenizer()
	train := func(epoch, size int) []textRow { return textsOf(t, s.Train, tok, epoch, size) }
	first := train(0, 8)
	for i, r := range byRow(first) {
		if r.Row != int64(i) {
			t.Fatalf("row %d is %d: a row is missing or there twice", i, r.Row)
		}
		if text, label := set.Review(1, i); int(r.Label) != label ||
			!strings.HasPrefix(strings.ReplaceAll(strings.ReplaceAll(r.Tokens, " ##", ""), "[CLS] ", ""), strings.Fields(text)[0]) {
			t.Errorf("row %d is %g %s, want %d %s", i, r.Label, r.Tokens, label, text)
		}
	}
	if slices.Equal(first, train(1, 8)) {
		t.Error("epochs 0 and 1 have one order")
	}
	if d := cmp.Diff(first, train(0, 8)); d != "" {
		t.Errorf("epoch 0 again: %s", d)
	}
	if d := cmp.Diff(byRow(first), byRow(train(1, 13))); d != "" {
		t.Errorf("other rows in epoch 1: %s", d)
	}
	valid := textsOf(t, s.Valid, tok, 0, 8)
	if d := cmp.Diff(valid, textsOf(t, s.Valid, tok, 3, 8)); d != "" {
		t.Errorf("another order of the validation rows in epoch 3: %s", d)
	}
	// Batches of like lengths: less padding than in the order of the file.
	padding := 0
	for b := range s.Train.Batches(0, 8) {
		for _, n := range b.Tokens.Len[:b.N] {
			padding += b.Tokens.L - int(n)
		}
	}
	if most := 700 * 4; padding > most {
		t.Errorf("%d ids of padding, want at most %d", padding, most)
	}
}

// max_train_rows leaves the same rows of the train part for every seed, in an order of each seed's own; other parts stay whole.
func TestTextMaxTrainRows(t *testing.T) {
	read := func(seed uint64, rows string) (train, valid []textRow) {
		o, _ := datatest.Options(t)
		o.Seed, o.CacheDir = seed, t.TempDir()
		s := datatest.Open(t, datatest.Section(t,
			"{type: reviews, train: 700, valid: 100, test: 0, vocab_size: 200, max_length: 32, max_train_rows: "+rows+"}"), o)
		tok := s.Map.Text.Tokenizer()
		train, valid = textsOf(t, s.Train, tok, 0, 8), textsOf(t, s.Valid, tok, 0, 8)
		if n := s.Train.(interface{ Rows() int64 }).Rows(); n != int64(len(train)) {
			t.Errorf("max_train_rows %s: %d rows, but the source says %d", rows, len(train), n)
		}
		return train, valid
	}
	some, valid := read(1, "100")
	other, _ := read(2, "100")
	if len(some) != 100 || len(valid) != 100 {
		t.Fatalf("%d train rows and %d validation rows, want 100 each", len(some), len(valid))
	}
	if d := cmp.Diff(byRow(some), byRow(other)); d != "" {
		t.Errorf("other rows for another seed: %s", d)
	}
	if slices.Equal(some, other) {
		t.Error("two seeds have one order")
	}
	for _, all := range []string{"0", "700", "1000"} {
		if train, _ := read(1, all); len(train) != 700 {
			t.Errorf("max_train_rows %s: %d rows, want 700", all, len(train))
		}
	}
	if rows := byRow(some); rows[99].Row < 350 {
		t.Errorf("the rows are the first ones, up to %d", rows[99].Row)
	}
}

func TestTextSkip(t *testing.T) {
	s := reviews(t)
	for _, src := range []data.Source{s.Train, s.Valid} {
		for _, skip := range []int{0, 1, 5, 12, 13, 100} {
			var want, got []string
			show := func(b *data.Batch) string { return fmt.Sprint(b.N, b.Row, b.Label, *b.Tokens) }
			at := 0
			for b := range src.Batches(2, 8) {
				if at++; at > skip {
					want = append(want, show(b))
				}
			}
			for b, err := range src.(data.Skipper).BatchesFrom(2, 8, skip) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, show(b))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("after %d batches: %s", skip, d)
			}
		}
	}
	for b, err := range s.Train.Batches(0, 0) {
		if err == nil {
			t.Errorf("batches of no rows: %v", b)
		}
	}
}

// Several epochs may be read at once.
func TestTextConcurrent(t *testing.T) {
	s := reviews(t)
	want := textsOf(t, s.Train, s.Map.Text.Tokenizer(), 0, 16)
	done := make(chan []textRow)
	for range 4 {
		go func() { done <- textsOf(t, s.Train, s.Map.Text.Tokenizer(), 0, 16) }()
	}
	for range 4 {
		if d := cmp.Diff(want, <-done); d != "" {
			t.Error(d)
		}
	}
}

func TestTextViews(t *testing.T) {
	s := reviews(t)
	tok := s.Map.Text.Tokenizer()
	all := byRow(textsOf(t, s.Train, tok, 0, 8))
	print := func(src data.Source) string { return src.(interface{ Fingerprint() string }).Fingerprint() }
	prints := map[string]string{print(s.Train): "train"}
	distinct := func(name string, src data.Source) {
		t.Helper()
		if other, ok := prints[print(src)]; ok {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		prints[print(src)] = name
	}
	distinct("valid", s.Valid)
	shards, err := data.Shard(t.Context(), s.Train, data.ShardOptions{By: data.ByRows, Count: 3, Seed: 1}, s.Map)
	if err != nil {
		t.Fatal(err)
	}
	var together []textRow
	for i, shard := range shards {
		distinct(fmt.Sprint("shard ", i), shard)
		together = append(together, textsOf(t, shard, tok, 0, 8)...)
	}
	if d := cmp.Diff(all, byRow(together)); d != "" {
		t.Errorf("shards: %s", d)
	}
	head, err := data.Head(shards[0], .5, 1)
	if err != nil {
		t.Fatal(err)
	}
	distinct("head", head)
	for _, r := range textsOf(t, head, tok, 0, 8) {
		if d := cmp.Diff(all[r.Row], r); d != "" {
			t.Errorf("head of a shard: %s", d)
		}
	}
	other, err := data.Reorder(s.Train, 99)
	if err != nil {
		t.Fatal(err)
	}
	if print(other) != print(s.Train) {
		t.Error("another order has another fingerprint")
	}
	if slices.Equal(textsOf(t, other, tok, 0, 8), textsOf(t, s.Train, tok, 0, 8)) {
		t.Error("another seed has the same order")
	}
	part, rest, err := data.HoldOut(s.Valid, .3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if part.Rows() != 30 || rest.Rows() != 70 {
		t.Errorf("parts of %d and %d rows", part.Rows(), rest.Rows())
	}
	if slices.Equal(textsOf(t, part, tok, 0, 8), textsOf(t, part, tok, 1, 8)) {
		t.Error("a part to learn from is not shuffled")
	}
	if _, err := data.Reorder(s.Valid, 1); err == nil {
		t.Error("another order of validation rows: no error")
	}
	_, err = data.Shard(t.Context(), s.Train, data.ShardOptions{By: "user", Count: 3}, s.Map)
	if err == nil || !strings.Contains(err.Error(), "no categorical features") {
		t.Errorf("shards by a feature: %v", err)
	}
}

func TestTextCache(t *testing.T) {
	file := datatest.WriteFile(t, "x.tsv", "text\tlabel\na b\tp\nc\tn\n")
	vocab := tokenizer(t, letters)
	o, log := datatest.Options(t)
	var last *data.Splits
	opened := func(what, options string, want bool) []textRow {
		t.Helper()
		log.Reset()
		last = datatest.Open(t, datatest.Section(t, fmt.Sprintf("{type: text, path: %s, label: label, tokenizer: %s%s}", file, vocab, options)),
			o)
		if got := strings.Contains(log.String(), "tokenised texts"); got != want {
			t.Errorf("%s: tokenised: %v, want %v; log: %s", what, got, want, log)
		}
		return byRow(textsOf(t, last.Train, last.Map.Text.Tokenizer(), 0, 2))
	}
	first := opened("new", "", true)
	print := last.Train.(interface{ Fingerprint() string }).Fingerprint()
	if d := cmp.Diff(first, opened("again", "", false)); d != "" {
		t.Error(d)
	}
	if got := last.Train.(interface{ Fingerprint() string }).Fingerprint(); got != print {
		t.Errorf("fingerprint %s, was %s", got, print)
	}
	if err := os.Chtimes(file, time.Now(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	opened("touched", "", false)
	opened("shorter", ", max_length: 8", true)
	opened("as before", "", false)
	if err := os.WriteFile(file, []byte("text\tlabel\na b\tp\nd\tn\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := opened("changed", "", true); got[1].Tokens != "[CLS] d [SEP]" {
		t.Errorf("a changed row is %v", got[1])
	}
	if got := last.Train.(interface{ Fingerprint() string }).Fingerprint(); got == print {
		t.Error("changed rows have the old fingerprint")
	}
	vocab = tokenizer(t, "x y z "+letters)
	opened("another tokenizer", "", true)
	bins, err := os.ReadDir(o.CacheDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range bins {
		if strings.HasSuffix(f.Name(), ".bin") {
			if err := os.WriteFile(o.CacheDir+"/"+f.Name(), []byte("damaged"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	opened("damaged", "", true)
	if !strings.Contains(log.String(), "cache is built again") {
		t.Errorf("a damaged cache: %s", log)
	}
}
