package output_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"reflect"
	"testing"

	"github.com/splice-ml/splice/data/output"
)

func TestCSV(t *testing.T) {
	rows := [][]string{{"plain", `a "word", and`, ""}, {"", "two\nlines", "é"}, {"", "", ""}}
	var b bytes.Buffer
	w := output.NewCSV(&b, []output.Column{{Name: "x"}, {Name: "y,"}, {Name: "z"}})
	for _, r := range rows {
		if err := w.Write([][]byte{[]byte(r[0]), []byte(r[1]), []byte(r[2])}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(&b).ReadAll()
	if want := append([][]string{{"x", "y,", "z"}}, rows...); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %q, want %q", err, got, want)
	}
	one := output.NewCSV(&b, []output.Column{{Name: "x"}})
	b.Reset()
	if err := errors.Join(one.Write([][]byte{nil}), one.Close()); err != nil || b.String() != "x\n\"\"\n" {
		t.Errorf("a blank row of one column is %q, %v", b.String(), err)
	}
	if err := (errorWriter{}).table().Close(); err == nil {
		t.Error("what cannot be written is no error")
	}
	if err := output.CheckColumns([]output.Column{{Name: "a"}, {Name: "b"}, {Name: "a"}}); err == nil {
		t.Error("two columns of one name are no error")
	}
}

type errorWriter struct{}

func (errorWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

func (w errorWriter) table() output.Table { return output.NewCSV(w, []output.Column{{Name: "x"}}) }
