package actions

import (
	"compress/gzip"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/internal/scan"
)

// read reads a file of that text, and returns the actions of each user as "user: item item".
func read(t *testing.T, name, text string, o Options) ([]string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	o.Path = []string{path}
	if o.MaxLine == 0 {
		o.MaxLine = 1 << 20
	}
	l, sums, err := o.Read(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if len(sums) != 1 || sums[0].Size != int64(len(text)) {
		t.Errorf("%s: sums %v of a file of %d bytes", name, sums, len(text))
	}
	var out []string
	for u, user := range l.Users {
		var line strings.Builder
		line.WriteString(user + ":")
		for _, i := range l.Item[l.Start[u]:l.Start[u+1]] {
			line.WriteString(" " + l.Names[i])
		}
		out = append(out, line.String())
	}
	return out, nil
}

var csv = Options{Layout: Log, User: "user", Item: "item", Time: "time", Rating: "rating", Delimiter: ","}

// TestTaken are files that are odd, and are read.
func TestTaken(t *testing.T) {
	low := -1.0
	rated, skip := csv, csv
	rated.MinRating, skip.Bad, skip.MaxLine = &low, scan.BadRows{Skip: true, Limit: 9}, 100
	h := "user,item,time,rating\n"
	for _, c := range []struct {
		name, text string
		o          Options
		want       []string
	}{
		{"plain", h + "u,b,2,1\nu,a,1,1\n", csv, []string{"u: a b"}},
		{"CRLF", "user,item,time,rating\r\nu,b,2,1\r\nu,a,1,1\r\n", csv, []string{"u: a b"}},
		{"no end of the last line", h + "u,b,2,1\nu,a,1,1", csv, []string{"u: a b"}},
		{"a byte order mark", "\ufeff" + h + "u,a,1,1\n", csv, []string{"u: a"}},
		{"blank lines", "\n \n" + h + "\n\r\nu,a,1,1\n\n", csv, []string{"u: a"}},
		{"equal times", h + "u,b,2,1\nu,c,1,1\nu,a,2,1\nu,d,2,1\n", csv, []string{"u: c b a d"}},
		{"a repeated action", h + "u,a,1,1\nu,a,1,1\n", csv, []string{"u: a a"}},
		{"users that alternate", h + "u,a,1,1\nv,a,1,1\nu,b,1,1\nv,b,1,1\n", csv, []string{"u: a b", "v: a b"}},
		{"a time before 1970", h + "u,a,5,1\nu,b,-5,1\n", csv, []string{"u: b a"}},
		{"a rating that nobody reads", h + "u,a,1,nan\n", csv, []string{"u: a"}},
		{"a negative rating", h + "u,a,1,-3\nu,b,2,-1\n", rated, []string{"u: b"}},
		{"quotes", "\"user\",\"item\",time,rating\n\"u\",\"a\",1,1\n", csv, []string{"u: a"}},
		{"blanks around cells", h + " u , a,1,1\n", csv, []string{"u: a"}},
		{"an id of 900 KB", h + "u," + strings.Repeat("x", 900<<10) + ",1,1\n", csv, []string{"u: " + strings.Repeat("x", 900<<10)}},
		{"lines that are left out", h + "u,,1,1\nu,a,1,1\nu," + strings.Repeat("x", 1<<20) + ",1,1\nu,\xff,3,1\nu,b,2,1\nu,c\nu,d,soon,1\n", skip, []string{"u: a b"}},
		{"a header of words", "user item\nu a\n", Options{Layout: "pairs"}, []string{"user: item", "u: a"}}, // nothing tells it from an action
		{"numbers in JSON", `{"reviewerID": 7, "asin": "a", "unixReviewTime": 3}`, Options{Layout: "amazon_reviews"}, []string{"7: a"}},
	} {
		if got, err := read(t, "log", c.text, c.o); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %.200q, %v; want %.200q", c.name, got, err, c.want)
		}
	}
	var z strings.Builder
	w := gzip.NewWriter(&z)
	fmt.Fprint(w, h+"u,b,2,1\nu,a,1,1\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, "log.gz", z.String(), csv); err != nil || !slices.Equal(got, []string{"u: a b"}) {
		t.Errorf("gz: %q, %v", got, err)
	}
	if _, err := read(t, "log.gz", z.String()[:z.Len()-9], csv); err == nil || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("half a gz: %v", err)
	}
}

// TestRefused are files that are not read, and why.
func TestRefused(t *testing.T) {
	min := 2.0
	rated := csv
	rated.MinRating = &min
	few := csv
	few.Bad = scan.BadRows{Skip: true, Limit: 1}
	small := csv
	small.MaxLine = 100
	h, json := "user,item,time,rating\n", Options{Layout: "amazon_reviews"}
	for _, c := range []struct {
		name, text string
		o          Options
		want       string
	}{
		{"empty", "", csv, "log: the file is empty"},
		{"blank lines", "\n\n \n", csv, "log: the file is empty"},
		{"a header alone", h, csv, "log: has no actions"},
		{"no header", "u,a,1,1\n", csv, "log:1: no column user (user); there are u, a, 1, 1; the first line looks like values"},
		{"a column twice", "user,user,item,time\n", csv, "log:1: column user (user) is there twice"},
		{"tabs", strings.ReplaceAll(h, ",", "\t"), csv, `if its delimiter is tab, set delimiter: "tab"`},
		{"CR", "user,item,time,rating\ru,a,1,1\ru,b,1,1\r", csv, "its lines end in CR"},
		{"UTF-16", "\xff\xfeu\x00s\x00", csv, "log:1: invalid UTF-8"},
		{"a cell more", h + "u,a,1,1,1\n", csv, "log:2: 5 cells, want 4"},
		{"a delimiter in quotes", h + "u,\"a,b\",1,1\n", csv, "log:2: 5 cells, want 4"},
		{"a cell less behind blank lines", h + "\n\nu,a,1\n", csv, "log:4: 3 cells, want 4"},
		{"a blank user", h + ",a,1,1\n", csv, "log:2: column user: is blank"},
		{"an item of blanks", h + "u, \t,1,1\n", csv, "log:2: column item: is blank"},
		{"an item of quotes", h + "u,\"\",1,1\n", csv, "log:2: column item: is blank"},
		{"a control character", h + "u,a\x1b[2J,1,1\n", csv, `log:2: "a\x1b[2J" has a control character`},
		{"a tab in an id", h + "u,a\tb,1,1\n", csv, `log:2: "a\tb" has a control character`},
		{"no UTF-8", h + "u,\xff,1,1\n", csv, "log:2: invalid UTF-8 (byte 0xff)"},
		{"a NUL", h + "u,a\x00,1,1\n", csv, "log:2: holds a NUL byte"},
		{"a time that is a word", h + "u,a,soon,1\n", csv, `log:2: column time: "soon" is not a time`},
		{"a blank time", h + "u,a,,1\n", csv, `log:2: column time: "" is not a time`},
		{"a time that is NaN", h + "u,a,nan,1\n", csv, `"nan" is not a time`},
		{"an endless time", h + "u,a,1e999,1\n", csv, `"1e999" is not a time`},
		{"a date among numbers", h + "u,a,1,1\nu,b,2020-01-01,1\n", csv, "log:3: column time: \"2020-01-01\" is a date without a zone, the times before are each a number"},
		{"milliseconds among seconds", h + "u,a,1767225600,1\nu,b,1767225601000,1\n", csv, "1767225600 looks like seconds since 1970, but 1767225601000 like milliseconds"},
		{"a rating that is NaN", h + "u,a,1,nan\n", rated, `log:2: column rating: "nan" is not a number`},
		{"an endless rating", h + "u,a,1,inf\n", rated, `"inf" is not a number`},
		{"a blank rating", h + "u,a,1,\n", rated, `"" is not a number`},
		{"low ratings", h + "u,a,1,1\n", rated, "no action has a rating of 2 or more"},
		{"a long line", h + "u," + strings.Repeat("x", 200) + ",1,1\n", small, "log:2: the row is longer than 100 bytes (max_line)"},
		{"a line of 3 MB", h + "u," + strings.Repeat("x", 3<<20) + ",1,1\n", csv, "log:2: the row is longer than 1048576 bytes"},
		{"bad lines", h + "u,,1,1\nu,,1,1\n", few, "more than 1 rows cannot be read (max_bad_rows)"},
		{"too few for the core", "u a\nv b\n", Options{Layout: "pairs", MinItem: 2}, "min_item 2 leave none of 2 actions"},
		{"three words", "u a\nu a b\n", Options{Layout: "pairs"}, "log:2: 3 words, want two"},
		{"a user alone", "u a\nv\n", Options{Layout: "sequences"}, "log:2: a user without items"},
		{"a list", "[1]\n", json, "log:1: is no JSON object"},
		{"open lists", strings.Repeat("[", 100000), json, "log:1: is no JSON object"},
		{"two objects", `{"reviewerID": "u", "asin": "a", "unixReviewTime": 3} {}`, json, "log:1: has more behind its JSON object"},
		{"an item that is a list", `{"reviewerID": "u", "asin": ["a"], "unixReviewTime": 3}`, json, "column asin: is neither a string nor a number"},
		{"an item that is true", `{"reviewerID": "u", "asin": true, "unixReviewTime": 3}`, json, "column asin: is neither a string nor a number"},
		{"an item that is null", `{"reviewerID": "u", "asin": null, "unixReviewTime": 3}`, json, "column asin: is missing"},
		{"a line end in an id", `{"reviewerID": "u", "asin": "a\nb", "unixReviewTime": 3}`, json, "has a control character"},
	} {
		if got, err := read(t, "log", c.text, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.200q, error %v, want %q", c.name, got, err, c.want)
		}
	}
}
