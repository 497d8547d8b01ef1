package set_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

func near(got, want, tol float64) bool { return math.Abs(got-want) <= tol }

func TestRealCriteo(t *testing.T) {
	train := datatest.RealData(t, "criteo/head8000/train.csv")
	d := datatest.Section(t, fmt.Sprintf("{type: criteo, path: %s, valid_path: %s, test_path: %s, categorical: {min_count: 2}, numeric: {transform: log1p}}",
		train, datatest.RealData(t, "criteo/head8000/dev.csv"), datatest.RealData(t, "criteo/head8000/test.csv")))
	o, _ := datatest.Options(t)
	s := datatest.Open(t, d, o)
	var rows []int64
	pos := 0.0
	for _, src := range []data.Source{s.Train, s.Valid, s.Test} {
		got := datatest.Read(t, src)
		rows = append(rows, src.Rows())
		pos += rate(got.Label) * float64(len(got.Label))
		for i, v := range got.Dense {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("number %d is %v", i, v)
			}
		}
	}
	if want := []int64{7200, 409, 391}; fmt.Sprint(rows) != fmt.Sprint(want) {
		t.Errorf("rows = %v, want %v", rows, want)
	}
	if got := pos / 8000; !near(got, .216, .0005) {
		t.Errorf("positive rate = %.4f, want .216", got)
	}
	if n := len(s.Schema.Features); n != 39 || s.Schema.NumDense != 13 {
		t.Errorf("%d features, %d numbers, want 39, 13", n, s.Schema.NumDense)
	}
}

func TestRealOrdinal(t *testing.T) {
	dir := datatest.RealData(t, "criteo/ordinal20k")
	d := datatest.Section(t, fmt.Sprintf("{type: csv, path: %s/part-*.csv, label: Label, columns: {I*: {type: numeric, transform: log_square_bucket}, C*: categorical, Id: ignore}, split: {by: order, counts: [16000, 2000, 2000]}}", dir))
	o, _ := datatest.Options(t)
	s := datatest.Open(t, d, o)
	all := rate(datatest.Read(t, s.Train).Label)*16000 + rate(datatest.Read(t, s.Valid).Label)*2000 + rate(datatest.Read(t, s.Test).Label)*2000
	if got := all / 20000; !near(got, .243, .0005) {
		t.Errorf("positive rate = %.4f, want .243", got)
	}
	// All tokens of all rows, as counted in the list of sources.
	whole := datatest.Section(t,
		fmt.Sprintf("{type: csv, path: %s/part-*.csv, label: Label, columns: {'*': ignore, C*: categorical, Id: ignore, I1: numeric}}", dir))
	if _, err := whole.Open(t.Context(), o); err == nil {
		t.Errorf("two patterns for one column: no error")
	}
	whole = datatest.Section(t,
		fmt.Sprintf("{type: csv, path: %s/part-*.csv, label: Label, columns: {I*: ignore, C*: categorical, Id: ignore}}", dir))
	m := datatest.Open(t, whole, o).Map
	for name, want := range map[string]int{"C3": 10960, "C12": 10491, "C21": 10002, "C4": 7643} {
		if got := len(m.Table(name).Tokens); got != want {
			t.Errorf("%s has %d tokens, want %d", name, got, want)
		}
	}
}

func TestRealFrappe(t *testing.T) {
	d := datatest.Section(t, fmt.Sprintf("{type: libfm, path: %s, test_path: %s}",
		datatest.RealData(t, "frappe/nfm_libfm/frappe.validation.libfm"), datatest.RealData(t, "frappe/nfm_libfm/frappe.test.libfm")))
	o, _ := datatest.Options(t)
	s := datatest.Open(t, d, o)
	if s.Train.Rows() != 57722 || s.Test.Rows() != 28860 || len(s.Schema.Features) != 10 {
		t.Errorf("%d + %d rows, %d fields, want 57722 + 28860, 10", s.Train.Rows(), s.Test.Rows(), len(s.Schema.Features))
	}
	for _, src := range []data.Source{s.Train, s.Test} {
		if got := rate(datatest.Read(t, src).Label); !near(got, .333, .005) {
			t.Errorf("positive rate = %.4f, want .33", got)
		}
	}
	total := 0
	both := datatest.Open(t, datatest.Section(t, fmt.Sprintf("{type: libfm, path: [%s, %s]}",
		datatest.RealData(t, "frappe/nfm_libfm/frappe.validation.libfm"), datatest.RealData(t, "frappe/nfm_libfm/frappe.test.libfm"))), o)
	for _, v := range both.Map.Tables {
		total += len(v.Tokens)
	}
	if total != 5328 {
		t.Errorf("%d features in both files, want 5328", total)
	}
}

// rate returns the mean of labels.
func rate(label []float32) float64 {
	sum := 0.0
	for _, y := range label {
		sum += float64(y)
	}
	return sum / float64(len(label))
}

// TestRealHistories reads logs as they are published: how many users, items and rows there are, and what is known of items.
func TestRealHistories(t *testing.T) {
	open := func(t *testing.T, text string) (*data.Splits, string) {
		o, log := datatest.Options(t)
		return datatest.Open(t, datatest.Section(t, "type: interactions\nnegatives: 4\neval_negatives: 99\nmax_len: 10\n"+text), o), log.String()
	}
	count := func(t *testing.T, s *data.Splits, items int, rows ...int64) {
		t.Helper()
		if n := len(s.Map.Table("item").Tokens); n != items {
			t.Errorf("%d items, want %d", n, items)
		}
		if got := []int64{s.Train.Rows(), s.Valid.Rows(), s.Test.Rows()}; fmt.Sprint(got) != fmt.Sprint(rows) {
			t.Errorf("%d rows, want %d", got, rows)
		}
	}
	t.Run("MovieLens-100k", func(t *testing.T) {
		genres := "unknown, Action, Adventure, Animation, Children, Comedy, Crime, Documentary, Drama, Fantasy, Film-Noir, Horror, Musical, Mystery, Romance, Sci-Fi, Thriller, War, Western"
		s, log := open(t, fmt.Sprintf("layout: movielens_100k\npath: %s\nitems: {path: %s, delimiter: '|', encoding: latin1, names: [item, title, date, video, url, %s], columns: {genre: {from: [%s]}}}",
			datatest.RealData(t, "ml-100k/u.data"), datatest.RealData(t, "ml-100k/u.item"), genres, genres))
		count(t, s, 1682, 5*(100000-3*943), 100*943, 100*943)
		if n := len(s.Map.Table("genre").Tokens); n > 19 || n < 15 {
			t.Errorf("%d genres come first", n)
		}
		if strings.Contains(log, "nothing is known") {
			t.Errorf("of some films nothing is known: %s", log)
		}
		id, err := s.Map.ID("item", "1") // Toy Story: Animation, Children, Comedy
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := s.Map.Token("genre", s.Map.Table("genre").Of[id]); got != "Animation" {
			t.Errorf("Toy Story is of the genre %q", got)
		}
	})
	t.Run("Amazon with categories", func(t *testing.T) {
		s, _ := open(t, fmt.Sprintf("layout: log\ndelimiter: tab\nnames: [user, item, rating, time]\nrating: rating\nmin_rating: 4\npath: %s\nitems: {path: %s, names: [item, category], columns: {category: {several: all}}}",
			datatest.RealData(t, "amazon_hin/user_item.dat"), datatest.RealData(t, "amazon_hin/item_category.dat")))
		if c, m := s.Map.Table("category"), s.Map.Table("item"); len(c.Of) != m.Size() || len(c.Tokens) < 5 {
			t.Errorf("%d categories of %d items, of %d", len(c.Tokens), len(c.Of), m.Size())
		}
	})
	t.Run("Amazon's core", func(t *testing.T) {
		s, _ := open(t, fmt.Sprintf("layout: sequences\nrows: sequences\nstride: 10\npath: %s", datatest.RealData(t, "amazon_s3rec/Beauty.txt")))
		whole, _ := open(t, fmt.Sprintf("layout: sequences\nrows: sequences\npath: %s", datatest.RealData(t, "amazon_s3rec/Beauty.txt")))
		count(t, whole, 12101, 22363, 22363, 22363)
		if s.Train.Rows() <= whole.Train.Rows() {
			t.Errorf("%d windows of %d users", s.Train.Rows(), whole.Train.Rows())
		}
	})
	t.Run("Douban", func(t *testing.T) {
		s, _ := open(t, fmt.Sprintf("layout: sequences\norder: random\npath: [%s, %s]", datatest.RealData(t, "douban_book/train.txt"), datatest.RealData(t, "douban_book/test.txt")))
		tested := int64(13024 - 1325) // of 1325 users there are fewer than three actions
		count(t, s, 22347, 5*(792062-13024-2*tested), 100*tested, 100*tested)
	})
}
