package data_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/splice-ml/splice/data"
)

func near(got, want, tol float64) bool { return math.Abs(got-want) <= tol }

func TestRealCriteo(t *testing.T) {
	train := realData(t, "criteo/head8000/train.csv")
	d := section(t, fmt.Sprintf("{type: criteo, path: %s, valid_path: %s, test_path: %s, categorical: {min_count: 2}, numeric: {transform: log1p}}",
		train, realData(t, "criteo/head8000/dev.csv"), realData(t, "criteo/head8000/test.csv")))
	o, _ := logTo(t)
	s := open(t, d, o)
	var rows []int64
	pos := 0.0
	for _, src := range []data.Source{s.Train, s.Valid, s.Test} {
		got := read(t, src)
		rows = append(rows, src.Rows())
		pos += rate(got.label) * float64(len(got.label))
		for i, v := range got.dense {
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
	dir := realData(t, "criteo/ordinal20k")
	d := section(t, fmt.Sprintf("{type: csv, path: %s/part-*.csv, label: Label, columns: {I*: {type: numeric, transform: log_square_bucket}, C*: categorical, Id: ignore}, split: {by: order, counts: [16000, 2000, 2000]}}", dir))
	o, _ := logTo(t)
	s := open(t, d, o)
	all := rate(read(t, s.Train).label)*16000 + rate(read(t, s.Valid).label)*2000 + rate(read(t, s.Test).label)*2000
	if got := all / 20000; !near(got, .243, .0005) {
		t.Errorf("positive rate = %.4f, want .243", got)
	}
	// All tokens of all rows, as counted in the list of sources.
	whole := section(t, fmt.Sprintf("{type: csv, path: %s/part-*.csv, label: Label, columns: {'*': ignore, C*: categorical, Id: ignore, I1: numeric}}", dir))
	if _, err := whole.Open(t.Context(), o); err == nil {
		t.Errorf("two patterns for one column: no error")
	}
	whole = section(t, fmt.Sprintf("{type: csv, path: %s/part-*.csv, label: Label, columns: {I*: ignore, C*: categorical, Id: ignore}}", dir))
	m := open(t, whole, o).Map
	for name, want := range map[string]int{"C3": 10960, "C12": 10491, "C21": 10002, "C4": 7643} {
		if got := len(m.Table(name).Tokens); got != want {
			t.Errorf("%s has %d tokens, want %d", name, got, want)
		}
	}
}

func TestRealFrappe(t *testing.T) {
	d := section(t, fmt.Sprintf("{type: libfm, path: %s, test_path: %s}",
		realData(t, "frappe/nfm_libfm/frappe.validation.libfm"), realData(t, "frappe/nfm_libfm/frappe.test.libfm")))
	o, _ := logTo(t)
	s := open(t, d, o)
	if s.Train.Rows() != 57722 || s.Test.Rows() != 28860 || len(s.Schema.Features) != 10 {
		t.Errorf("%d + %d rows, %d fields, want 57722 + 28860, 10", s.Train.Rows(), s.Test.Rows(), len(s.Schema.Features))
	}
	for _, src := range []data.Source{s.Train, s.Test} {
		if got := rate(read(t, src).label); !near(got, .333, .005) {
			t.Errorf("positive rate = %.4f, want .33", got)
		}
	}
	total := 0
	both := open(t, section(t, fmt.Sprintf("{type: libfm, path: [%s, %s]}",
		realData(t, "frappe/nfm_libfm/frappe.validation.libfm"), realData(t, "frappe/nfm_libfm/frappe.test.libfm"))), o)
	for _, v := range both.Map.Tables {
		total += len(v.Tokens)
	}
	if total != 5328 {
		t.Errorf("%d features in both files, want 5328", total)
	}
}
