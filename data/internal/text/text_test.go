package text_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/token"

	"github.com/splice-ml/splice/data/datatest"
	"github.com/splice-ml/splice/data/set"
)

// textRow is a row of a batch, as its tokens.
type textRow struct {
	Row      int64
	Label    float32
	Tokens   string // separated by spaces, without padding
	Segments string // a digit a token
}

// textsOf returns the rows of batches in their order. It checks that padding is what it must be and that each batch has the
// length of the smallest bucket that holds its rows.
func textsOf(t testing.TB, src data.Source, tok token.Tokenizer, epoch, size int) []textRow {
	t.Helper()
	var out []textRow
	s := src.Schema().Text
	partial := false
	for b, err := range src.Batches(epoch, size) {
		if err != nil {
			t.Fatal(err)
		}
		if partial {
			t.Errorf("a batch after one of %d of %d rows", len(out), size)
		}
		partial = b.N < size
		longest := int(slices.Max(b.Tokens.Len))
		if i := slices.IndexFunc(s.Lengths, func(n int) bool { return n >= longest }); s.Lengths[i] != b.Tokens.L {
			t.Errorf("batch of length %d for rows of at most %d, buckets %v", b.Tokens.L, longest, s.Lengths)
		}
		if b.Size != size || len(b.Tokens.IDs) != size*b.Tokens.L || len(b.Tokens.Segments) != size*b.Tokens.L || len(b.Label) != size {
			t.Fatalf("batch of %d rows, %d ids, %d segments, %d labels", b.Size, len(b.Tokens.IDs), len(b.Tokens.Segments), len(b.Label))
		}
		for i := range size {
			ids, segments := b.Tokens.IDs[i*b.Tokens.L:][:b.Tokens.L], b.Tokens.Segments[i*b.Tokens.L:][:b.Tokens.L]
			n := int(b.Tokens.Len[i])
			for k := n; k < len(ids); k++ {
				if ids[k] != s.Pad || segments[k] != 0 {
					t.Fatalf("row %d, padding %d: id %d, segment %d", i, k, ids[k], segments[k])
				}
			}
			if i >= b.N {
				if n != 0 || b.Label[i] != 0 || b.Row[i] != 0 {
					t.Fatalf("padding row %d: length %d, label %g, row %d", i, n, b.Label[i], b.Row[i])
				}
				continue
			}
			r := textRow{Row: b.Row[i], Label: b.Label[i]}
			for k, id := range ids[:n] {
				r.Tokens += " " + tok.Token(id)
				r.Segments += fmt.Sprint(segments[k])
			}
			r.Tokens = strings.TrimPrefix(r.Tokens, " ")
			out = append(out, r)
		}
	}
	return out
}

// byRow sorts rows by their number.
func byRow(rows []textRow) []textRow {
	out := slices.Clone(rows)
	slices.SortFunc(out, func(a, b textRow) int { return int(a.Row - b.Row) })
	return out
}

// tokenizer returns the folder of a WordPiece vocabulary of whole words.
func tokenizer(t testing.TB, words string) string {
	t.Helper()
	dir := t.TempDir()
	text := strings.Join(append(strings.Fields("[PAD] [UNK] [CLS] [SEP] [MASK]"), strings.Fields(words)...), "\n")
	if err := os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

const letters = "a b c d e f g h i j \" \ufffd \u00b7 1 0"

func TestTextFormats(t *testing.T) {
	want := []textRow{{0, 1, "[CLS] a b [SEP]", "0000"}, {1, 0, "[CLS] c [SEP]", "000"}, {2, 1, "[CLS] d \" e [SEP]", "00000"}}
	for _, tc := range []struct{ name, file, options, text string }{
		{"tsv", "x.tsv", "", "text\tlabel\na b\tpos\nc\tneg\nd \" e\tpos\n"},
		{"tsv and columns in another order and others too", "x.tsv", "", "id\tlabel\ttext\n1\tpos\ta b\n2\tneg\tc\n3\tpos\td \" e\n"},
		{"tsv and BOM and CRLF and no end", "x.tsv", "", "\xef\xbb\xbftext\tlabel\r\na b\tpos\r\nc\tneg\r\n\r\nd \" e\tpos"},
		{"tsv and a quote at the start", "x.tsv", "", "label\ttext\npos\ta b\nneg\tc\npos\td \"e\n"},
		{"csv", "x.csv", "", "text,label\na b,pos\nc,neg\n\"d \"\" e\",pos\n"},
		{"csv and a cell of two lines", "x.csv", "", "text,label\n\"a\nb\",pos\nc,neg\n\"d \"\" e\",pos\n"},
		{"csv and semicolons", "x.csv", ", delimiter: ;", "text;label\na b;pos\nc;neg\n\"d \"\" e\";pos\n"},
		{"jsonl", "x.jsonl", "", `{"text": "a b", "label": "pos"}` + "\n" + `{"label": "neg", "text": "\u0063"}` + "\n\n" +
			`{"text": "d \" e", "label": "pos", "x": [1]}`},
		{
			"jsonl and numbers", "x.jsonl", "",
			`{"text": "a b", "label": 1}` + "\n" + `{"label": 0, "text": "c"}` + "\n" + `{"text": "d \" e", "label": 1}`,
		},
		{"label and the rest", "x.train", `, format: tsv, delimiter: " ", names: [label, text], max_columns: 2`, "pos a b\nneg c\npos d \" e\n"},
		{"numbers for names", "x.tsv", "", "text\tlabel\na b\t1\nc\t0\nd \" e\t1\n"},
		{"gzip", "x.tsv.gz", "", datatest.Gzip(t, "text\tlabel\na b\tpos\nc\tneg\nd \" e\tpos\n")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, _ := datatest.Options(t)
			s := datatest.Open(t, datatest.Section(t,
				fmt.Sprintf("{type: text, path: %s, label: label, labels: [neg, pos], tokenizer: %s%s}", datatest.WriteFile(t, tc.file, tc.text),
					tokenizer(t, letters), tc.options)), o)
			got := byRow(textsOf(t, s.Train, s.Map.Text.Tokenizer(), 0, 2))
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			if s.Valid != nil || s.Test != nil || s.Synthetic != nil {
				t.Errorf("other parts: %v, %v, %v", s.Valid, s.Test, s.Synthetic)
			}
		})
	}
}

func TestTextPairs(t *testing.T) {
	o, _ := datatest.Options(t)
	file := datatest.WriteFile(t, "x.tsv", "q\ts\ty\na b\tc\t2.5\nd\t\t-1\na b c d e f\tg h i j a b\t0\n")
	s := datatest.Open(t, datatest.Section(t,
		fmt.Sprintf("{type: text, path: %s, text: q, text_pair: s, label: y, regression: true, tokenizer: %s, max_length: 9}", file,
			tokenizer(t, letters))), o)
	got := byRow(textsOf(t, s.Train, s.Map.Text.Tokenizer(), 0, 4))
	want := []textRow{
		{0, 2.5, "[CLS] a b [SEP] c [SEP]", "000011"},
		{1, -1, "[CLS] d [SEP] [SEP]", "0001"},
		{2, 0, "[CLS] a b c [SEP] g h i [SEP]", "000001111"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if sc := s.Schema.Text; sc.Labels != nil || sc.MaskRate != 0 || fmt.Sprint(sc.Lengths) != "[8 9]" || sc.Vocab != 20 {
		t.Errorf("schema %+v", sc)
	}
}

// Labels that nobody names are those of the train rows.
func TestTextLabels(t *testing.T) {
	for _, tc := range []struct{ labels, want string }{
		{"b a b c", "[a b c]"},
		{"10 9 1 10", "[1 9 10]"},
		{"1 0 1 0", "[0 1]"},
	} {
		var text strings.Builder
		for i, l := range strings.Fields(tc.labels) {
			fmt.Fprintf(&text, "%c\t%s\n", 'a'+i, l)
		}
		o, _ := datatest.Options(t)
		s := datatest.Open(t, datatest.Section(t,
			fmt.Sprintf("{type: text, path: %s, names: [text, label], label: label, tokenizer: %s}", datatest.WriteFile(t, "x.tsv", text.String()),
				tokenizer(t, letters))), o)
		if got := fmt.Sprint(s.Schema.Text.Labels); got != tc.want {
			t.Errorf("labels of %s: %s, want %s", tc.labels, got, tc.want)
		}
		for i, r := range byRow(textsOf(t, s.Train, s.Map.Text.Tokenizer(), 0, 4)) {
			if got, want := s.Schema.Text.Labels[int(r.Label)], strings.Fields(tc.labels)[i]; got != want {
				t.Errorf("%s: row %d has the label %s, want %s", tc.labels, i, got, want)
			}
		}
	}
}

func TestTextOddities(t *testing.T) {
	long := strings.Repeat("a b ", 5000)
	file := datatest.WriteFile(t, "x.tsv", "text\tlabel\n\tp\na\xff\xfe b\tn\n"+long+"\tp\n \u00a0 \tn\n")
	o, log := datatest.Options(t)
	sec := datatest.Section(t,
		fmt.Sprintf("{type: text, path: %s, label: label, tokenizer: %s, max_length: 32}", file, tokenizer(t, letters+" a\ufffd\ufffd")))
	s := datatest.Open(t, sec, o)
	got := byRow(textsOf(t, s.Train, s.Map.Text.Tokenizer(), 0, 4))
	want := []textRow{
		{0, 1, "[CLS] [SEP]", "00"}, // an empty sentence
		{1, 0, "[CLS] a b [SEP]", "0000"},
		{2, 1, "[CLS] " + strings.Repeat("a b ", 15) + "[SEP]", strings.Repeat("0", 32)},
		{3, 0, "[CLS] [SEP]", "00"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// The first line of a file may have bytes that are no UTF-8 too.
	one := datatest.Open(t, datatest.Section(t,
		fmt.Sprintf("{type: text, path: %s, names: [text, label], label: label, labels: [n, p], tokenizer: %s}",
			datatest.WriteFile(t, "y.tsv", "a\xff b\tn\n"), tokenizer(t, letters))), o)
	if got := textsOf(t, one.Train, one.Map.Text.Tokenizer(), 0, 1)[0].Tokens; got != "[CLS] a b [SEP]" {
		t.Errorf("invalid bytes: %s", got)
	}
	if n := strings.Count(log.String(), "texts were cut"); n != 1 || !strings.Contains(log.String(), "cut=1 rows=4 max_length=32") {
		t.Errorf("%d messages of cut texts, want 1:\n%s", n, log)
	}
}

// The cache is the same for any number of threads.
func TestTextThreads(t *testing.T) {
	var text strings.Builder
	text.WriteString("text\tlabel\n")
	for i := range 30000 {
		s, label := set.Review(3, i)
		fmt.Fprintf(&text, "%s\t%d\n", s, label)
	}
	file := datatest.WriteFile(t, "x.tsv", text.String())
	if text.Len() < 3<<19 {
		t.Fatalf("%d bytes are too few for several blocks", text.Len())
	}
	for _, options := range []string{"label: label, split: {ratio: [0.8, 0.2]}", "mask_rate: 0.15, blocks: true"} {
		var files []map[string][]byte
		for _, threads := range []int{1, 4} {
			o, _ := datatest.Options(t)
			o.Threads = threads
			datatest.Open(t, datatest.Section(t, fmt.Sprintf("{type: text, path: %s, %s, vocab_size: 300}", file, options)), o)
			found := map[string][]byte{}
			paths, _ := filepath.Glob(filepath.Join(o.CacheDir, "*.bin"))
			for _, p := range paths {
				found[filepath.Base(p)], _ = os.ReadFile(p)
			}
			files = append(files, found)
		}
		if len(files[0]) == 0 {
			t.Fatal("no cache")
		}
		for name, want := range files[0] {
			if !bytes.Equal(files[1][name], want) {
				t.Errorf("%s: %s differs", options, name)
			}
		}
	}
}
