package set_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

const frappeHeader = "user\titem\tcnt\tdaytime\tweekday\tisweekend\thomework\tcost\tweather\tcountry\tcity\n"

// frappeText is a log of users u0.., of whom ui used the apps a(i), a(i+1), ..., 4 of 12.
func frappeText(users int) string {
	var b strings.Builder
	b.WriteString(frappeHeader)
	for u := range users {
		for k := range 4 {
			fmt.Fprintf(&b, "u%d\ta%d\t%d\tmorning\tday%d\tworkday\thome\tfree\tsunny\tSpain\t%d\n", u, (u+k)%12, u*k, k, u%3)
		}
	}
	return b.String()
}

// rowsOf returns the rows of a source as text, in order: label, then the token of every feature.
func rowsOf(t *testing.T, s *data.Splits, src data.Source) []string {
	t.Helper()
	all := datatest.Read(t, src)
	var rows []string
	for i, label := range all.Label {
		var row strings.Builder
		row.WriteString(fmt.Sprint(label))
		for _, f := range s.Schema.Features {
			token, ok := s.Map.Token(f.Name, all.IDs[f.Name][i])
			if !ok {
				token = "?"
			}
			row.WriteString(" " + token)
		}
		rows = append(rows, row.String())
	}
	return rows
}

func TestFrappe(t *testing.T) {
	path := datatest.WriteFile(t, "frappe.csv", frappeText(30))
	d := datatest.Section(t, fmt.Sprintf("{type: frappe, path: %s, seed: 3, split: {ratio: [1, 0]}}", path))
	o, _ := datatest.Options(t)
	s := datatest.Open(t, d, o)
	if got := len(s.Schema.Features); got != 10 || s.Schema.NumDense != 0 || s.Schema.Features[1].Name != "item" {
		t.Fatalf("schema %+v, want 10 fields", s.Schema)
	}
	negatives := map[string]int{} // by user and context
	rows := rowsOf(t, s, s.Train)
	for _, row := range rows {
		var label, user, item int
		var rest string
		if _, err := fmt.Sscanf(row, "%d u%d a%d %s", &label, &user, &item, &rest); err != nil {
			t.Fatalf("row %q: %v", row, err)
		}
		if used := (item-user%12+12)%12 < 4; used != (label == 1) {
			t.Errorf("row %q: the user used the app: %v", row, used)
		}
		if label == 0 {
			cells := strings.Fields(row)
			negatives[strings.Join(append(cells[1:2], cells[3:]...), " ")]++
		}
	}
	if len(rows) != 360 || len(negatives) != 120 {
		t.Errorf("%d rows, negatives of %d entries; want 360, 120", len(rows), len(negatives))
	}
	for context, n := range negatives {
		if n != 2 {
			t.Errorf("%d negatives of %s, want 2", n, context)
		}
	}

	again := rowsOf(t, s, datatest.Open(t, d, o).Train)
	if !slices.Equal(again, rows) {
		t.Error("a second Open has other rows")
	}
	o2, _ := datatest.Options(t)
	other := datatest.Section(t, fmt.Sprintf("{type: frappe, path: %s, seed: 4, split: {ratio: [1, 0]}}", path))
	if s := datatest.Open(t, other, o2); slices.Equal(rowsOf(t, s, s.Train), rows) {
		t.Error("another seed has the same negatives")
	}
}

func TestFrappeSplit(t *testing.T) {
	path := datatest.WriteFile(t, "frappe.csv", frappeText(31)) // 372 rows: 260.4, 334.8 are rounded up
	for _, tc := range []struct {
		options string
		want    []int64
	}{
		{"", []int64{261, 74, 37}},
		{", split: {ratio: [.5, .5]}", []int64{186, 186}},
		{", split: {counts: [300, 70, 2]}", []int64{300, 70, 2}},
		{", negatives: 3, split: {by: order, ratio: [.8, .1, .1]}", []int64{397, 50, 49}},
	} {
		o, _ := datatest.Options(t)
		s := datatest.Open(t, datatest.Section(t, fmt.Sprintf("{type: frappe, path: %s%s}", path, tc.options)), o)
		var got []int64
		for _, src := range []data.Source{s.Train, s.Valid, s.Test} {
			if src != nil {
				got = append(got, src.Rows())
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: rows %v, want %v", tc.options, got, tc.want)
		}
	}
}

func TestFrappeStream(t *testing.T) {
	path := datatest.WriteFile(t, "frappe.csv", frappeText(30))
	d := datatest.Section(t, fmt.Sprintf("{type: frappe, path: %s}", path))
	o, _ := datatest.Options(t)
	s := datatest.Open(t, d, o)
	got := datatest.Read(t, d.Stream(t.Context(), path, s.Map, data.StreamOptions{}))
	want, err := s.Map.ID("item", "a3")
	if err != nil || len(got.Label) != 120 || got.IDs["item"][3] != want {
		t.Errorf("%d rows, item of row 3 is %d, want 120, %d (%v)", len(got.Label), got.IDs["item"][3], want, err)
	}
}

func TestFrappeErrors(t *testing.T) {
	row := "u1\ta1\t2\tmorning\tsunday\tweekend\thome\tfree\tsunny\tSpain\t0\n"
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "x.csv: the file is empty; want the Frappe log"},
		{"header only", frappeHeader, "x.csv: has a header but no rows"},
		{"commas", strings.ReplaceAll(frappeHeader, "\t", ","), "x.csv:1: the header has no user, item, daytime"},
		{"columns", frappeHeader + row + "u1\ta1\n", "x.csv:3: 2 columns, the header has 11 separated by tabs"},
		{"blank user", frappeHeader + strings.TrimPrefix(row, "u1"), "x.csv:2: column user: is blank"},
		{"utf-8", frappeHeader + strings.Replace(row, "sunny", "s\xff", 1), "x.csv:2: column weather: invalid UTF-8"},
		{"no negatives", frappeHeader + row, "user u1 used all but 0 of 1 apps"},
		{"long", frappeHeader + strings.Repeat("u", 3<<20), "a row is longer than 1048576 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, _ := datatest.Options(t)
			d := datatest.Section(t, fmt.Sprintf("{type: frappe, path: %s}", datatest.WriteFile(t, "x.csv", tc.text)))
			if _, err := d.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	o, _ := datatest.Options(t)
	d := datatest.Section(t, "{type: frappe, path: nowhere/frappe.csv}")
	if _, err := d.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "nowhere/frappe.csv: no such file") ||
		!strings.Contains(err.Error(), "want the Frappe log frappe.csv") {
		t.Errorf("no file: %v", err)
	}
	for text, want := range map[string]string{
		"{type: frappe, path: x, negatives: 0}":                   "negatives: must be in [1, 1000], have 0",
		"{type: frappe, path: x, split: {by: time}}":              "the Frappe log has no times",
		"{type: frappe, path: x, test_path: y}":                   "negatives are sampled from one log",
		"{type: frappe, path: x, columns: {cnt: {type: ignore}}}": "no such column",
	} {
		if _, err := datatest.TrySection(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

func TestFrappeBadRows(t *testing.T) {
	text := strings.Replace(frappeText(30), "u7\ta9\t", "u7\ta9\tx\t", 1)
	d := datatest.Section(t, fmt.Sprintf("{type: frappe, path: %s, bad_rows: skip, split: {ratio: [1, 0]}}",
		datatest.WriteFile(t, "x.csv", text)))
	o, log := datatest.Options(t)
	s := datatest.Open(t, d, o)
	if s.Train.Rows() != 357 || !strings.Contains(log.String(), "skipped=1") {
		t.Errorf("%d rows, want 357; log %s", s.Train.Rows(), log)
	}
}

// A damaged file of sampled rows in the cache is made again.
func TestFrappeCache(t *testing.T) {
	d := datatest.Section(t, fmt.Sprintf("{type: frappe, path: %s, split: {ratio: [1, 0]}}", datatest.WriteFile(t, "x.csv", frappeText(30))))
	o, _ := datatest.Options(t)
	s := datatest.Open(t, d, o)
	want := rowsOf(t, s, s.Train)
	files, _ := filepath.Glob(filepath.Join(o.CacheDir, "*-frappe.tsv"))
	if len(files) != 1 {
		t.Fatalf("files of rows: %v, want 1", files)
	}
	if err := os.Truncate(files[0], 1000); err != nil {
		t.Fatal(err)
	}
	if got := rowsOf(t, s, datatest.Open(t, d, o).Train); !slices.Equal(got, want) {
		t.Error("other rows after the file was damaged")
	}
}

func TestRealFrappeNegatives(t *testing.T) {
	d := datatest.Section(t, fmt.Sprintf("{type: frappe, path: %s}", datatest.RealData(t, "frappe/raw/frappe.csv")))
	o, _ := datatest.Options(t)
	s := datatest.Open(t, d, o)
	got := []int64{s.Train.Rows(), s.Valid.Rows(), s.Test.Rows()}
	if want := []int64{202027, 57722, 28860}; !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	var positive float64
	for _, src := range []data.Source{s.Train, s.Valid, s.Test} {
		var n float64
		for b, err := range src.Batches(0, 8192) {
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range b.Label[:b.N] {
				n += float64(v)
			}
		}
		if share := n / float64(src.Rows()); share < .325 || share > .342 {
			t.Errorf("%g of a part positive, want a third", share)
		}
		positive += n
	}
	if positive != 96203 {
		t.Errorf("%g positive rows, want 96203", positive)
	}
}
