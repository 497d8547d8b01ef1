package set_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/datatest"
	"pgregory.net/rapid"
)

// encoderOf opens the data set of a case and returns its encoder and a batch for it.
func encoderOf(t testing.TB, c datatest.Case, size int) (data.RowEncoder, *data.Batch) {
	t.Helper()
	s := datatest.Open(t, c.Data, data.OpenOptions{CacheDir: t.TempDir()})
	e, err := c.Data.Encoder(s.Map)
	if err != nil {
		t.Fatal(err)
	}
	if e.Schema().Text != nil {
		return e, data.NewTokenBatch(e.Schema(), size, e.Schema().Text.MaxLen())
	}
	return e, data.NewBatch(e.Schema(), size)
}

func csvRow(name string, v any) map[string]any {
	row := map[string]any{"user": "1", "name": "plain", "price": 2.5, "age": 7, "tags": []any{"a", "b"}, "y": 1, "junk": nil}
	if name != "" {
		row[name] = v
	}
	return row
}

func TestRowErrors(t *testing.T) {
	without := func(names ...string) map[string]any {
		row := csvRow("", nil)
		for _, n := range names {
			delete(row, n)
		}
		return row
	}
	for _, tc := range []struct {
		c    func(testing.TB) datatest.Case
		row  map[string]any
		want string
	}{
		{
			csvCase, csvRow("price", "cheap"),
			`data: row 1: column price: "cheap" is not a number in the range of float32; want digits like -12 or 0.5, or a blank`,
		},
		{
			csvCase, csvRow("price", 1e39),
			`data: row 1: column price: "1e+39" is not a number in the range of float32; want digits like -12 or 0.5, or a blank`,
		},
		{csvCase, csvRow("price", math.NaN()), "data: row 1: column price: NaN is not a finite number; want one, or nil for a blank"},
		{
			csvCase, csvRow("price", []float64{1}),
			"data: row 1: column price: a list of values in a column that has one; want a string or a number",
		},
		{
			csvCase, csvRow("user", true),
			"data: row 1: column user: a bool is no value; want a string, a number, a list of these, or nil for a blank",
		},
		{csvCase, csvRow("user", "\xff"), "data: row 1: column user: invalid UTF-8 (byte 0xff); convert the file to UTF-8"},
		{
			csvCase, csvRow("tags", []string{"a", "b|c"}),
			`data: row 1: column tags: value 1 of the list: "b|c" holds the separator "|", so that a file would have two values; give both, or another separator`,
		},
		{
			csvCase, csvRow("tags", []any{[]any{1}}),
			"data: row 1: column tags: value 0 of the list: a []interface {} is no value; want a string, a number, a list of these, or nil for a blank",
		},
		{csvCase, csvRow("pric", 1), `data: row 1: column pric: there is no such column; did you mean "price"?`},
		{csvCase, csvRow("zzz", 1), "data: row 1: column zzz: there is no such column; there are user, name, price, age, tags"},
		{csvCase, without("price"), "data: row 1: column price: is missing; the row has age, junk, name, tags, user, y"},
		{csvCase, without("price", "age"), "data: row 1: columns price, age are missing; the row has junk, name, tags, user, y"},
		{csvCase, nil, "data: row 1: columns user, name, price, age, tags are missing; the row has none"},
		{libfmCase, map[string]any{"user": 1, "item": 1.5, "price": 1}, `data: row 1: column item: index "1.5" is not a whole number`},
		{
			libfmCase,
			map[string]any{"user": 1, "item": nil, "price": 1},
			"data: row 1: column item: is blank; the libfm layout has no blanks, want an index such as 17, or of a numeric field its value",
		},
		{textCase, map[string]any{"q": "a"}, "data: row 1: column a: is missing; the row has q"},
		{
			textCase,
			map[string]any{"q": "a", "a": "b\x00"},
			"data: row 1: column a: holds a NUL byte; is the file binary, or UTF-16? Convert it to UTF-8",
		},
		{
			textCase,
			map[string]any{"q": "a", "a": []string{"b"}},
			"data: row 1: column a: a list of values in a column that has one; want a string or a number",
		},
		{textCase, map[string]any{"q": "a", "a": "b", "n": 1}, "data: row 1: column n: there is no such column; there are q, a"},
	} {
		c := tc.c(t)
		e, b := encoderOf(t, c, 2)
		_, rows := c.Test(t, nil)
		err := e.Encode(b, rows[0], tc.row)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%v: error\n%v, want\n%v", tc.row, err, tc.want)
		}
		if err := e.Encode(b, rows[0], rows[1]); err != nil || b.N != 2 {
			t.Errorf("after an error, %d rows (%v), want 2", b.N, err)
		}
	}
}

// A number is the token of its digits, whatever its type; it is the number that these digits are.
func TestRowNumbers(t *testing.T) {
	e, b := encoderOf(t, csvCase(t), 1)
	encode := func(name string, v any) (id int32, price float32) {
		t.Helper()
		if err := e.Encode(b, csvRow(name, v)); err != nil {
			t.Fatal(err)
		}
		return b.IDs["user"][0], b.Dense[0]
	}
	for _, like := range []struct {
		text string
		same []any
	}{
		{"3", []any{
			3, int8(3), int16(3), int32(3), int64(3), uint(3), uint8(3), uint16(3), uint32(3), uint64(3), 3., float32(3),
			json.Number("3"),
		}},
		{"0.5", []any{.5, float32(.5), json.Number("0.5")}},
		{"0.1", []any{.1, float32(.1)}},
		{"-0.000000001", []any{-1e-9}},
		{"0", []any{0, math.Copysign(0, -1)}},
		{"", []any{nil, "NA"}},
	} {
		token, _ := encode("user", like.text)
		_, number := encode("price", like.text)
		for _, v := range like.same {
			if like.text != "-0.000000001" {
				if got, _ := encode("user", v); got != token {
					t.Errorf("%T %v has id %d, want %d as %q", v, v, got, token, like.text)
				}
			}
			if _, got := encode("price", v); math.Float32bits(got) != math.Float32bits(number) {
				t.Errorf("%T %v is %v, want %v as %q", v, v, got, number, like.text)
			}
		}
	}
	if a, _ := encode("user", 3); a == data.OOVID {
		t.Error("user 3 is unknown: the test shows nothing")
	}
}

func TestRowsAllocateNothing(t *testing.T) {
	e, b := encoderOf(t, csvCase(t), 3)
	rows := []map[string]any{
		csvRow("price", "17.25"), csvRow("price", -1.5e-7),
		{"user": 5, "name": "plain", "price": int64(12), "age": "", "tags": []any{"a", 7, 2.5}, "when": "2024-01-01"},
	}
	encode := func() {
		if err := e.Encode(b, rows...); err != nil {
			t.Fatal(err)
		}
	}
	encode()
	if n := testing.AllocsPerRun(50, encode); n != 0 {
		t.Errorf("%g allocations for 3 rows, want none", n)
	}
	rows[0]["tags"], rows[1]["tags"] = []string{"a", "b"}, []int{1, 2}
	encode()
	if n := testing.AllocsPerRun(50, encode); n != 0 {
		t.Errorf("%g allocations for 3 rows with lists of strings and numbers, want none", n)
	}
}

// A map of other data is refused before any row.
func TestEncoderRefusesOtherMap(t *testing.T) {
	texts, table := textCase(t), csvCase(t)
	m := datatest.Open(t, texts.Data, data.OpenOptions{CacheDir: t.TempDir()}).Map
	if _, err := table.Data.Encoder(m); err == nil {
		t.Error("rows of features are encoded by a map of texts")
	}
	if _, err := table.Data.Encoder(nil); err == nil {
		t.Error("rows are encoded without a feature map")
	}
	m = datatest.Open(t, table.Data, data.OpenOptions{CacheDir: t.TempDir()}).Map
	if _, err := texts.Data.Encoder(m); err == nil {
		t.Error("texts are encoded by a map of features")
	}
}

// Any text and any number has the same bits in memory and in a file that encoding/csv wrote.
func TestRowsAreThoseOfAnyFile(t *testing.T) {
	c := csvCase(t)
	s := datatest.Open(t, c.Data, data.OpenOptions{CacheDir: t.TempDir()})
	e, err := c.Data.Encoder(s.Map)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rows.csv")
	names := []string{"user", "name", "price", "age", "tags"}
	number := rapid.OneOf(
		rapid.Custom(func(t *rapid.T) any { return rapid.Float64Range(-1e30, 1e30).Draw(t, "float") }),
		rapid.Custom(func(t *rapid.T) any { return rapid.IntRange(-1<<40, 1<<40).Draw(t, "int") }),
		rapid.Custom(func(t *rapid.T) any { return rapid.Float32Range(-9, 9).Draw(t, "float32") }),
		rapid.SampledFrom([]any{nil, "", "NA", 2., 3., float32(4), 1, "1e-3", "007", "+5", ".5", 1e-300, 1e21}))
	text := rapid.Custom(func(t *rapid.T) any {
		return rapid.StringOf(rapid.RuneFrom([]rune("ab17 ,|\"\n\té. NA"))).Draw(t, "text")
	})
	rapid.Check(t, func(t *rapid.T) {
		var rows []map[string]any
		var file bytes.Buffer
		w := csv.NewWriter(&file)
		w.Write(append(names, "y", "when", "junk"))
		for range rapid.IntRange(1, 5).Draw(t, "rows") {
			row := map[string]any{"price": number.Draw(t, "price"), "age": number.Draw(t, "age"), "name": text.Draw(t, "name")}
			row["user"] = rapid.OneOf(text, number).Draw(t, "user")
			row["tags"] = rapid.OneOf(text, number).Draw(t, "tags")
			var cells []string
			for _, n := range names {
				v := row[n]
				switch x := v.(type) { // the digits that a person writes
				case float64:
					v = strconv.FormatFloat(x+0, 'f', -1, 64) // + 0: nobody writes -0
					if a := math.Abs(x); a > 0 && (a < 1e-6 || a >= 1e21) {
						v = strconv.FormatFloat(x, 'e', -1, 64)
					}
				case float32:
					v = strconv.FormatFloat(float64(x)+0, 'f', -1, 32)
					if a := math.Abs(float64(x)); a > 0 && a < 1e-6 {
						v = strconv.FormatFloat(float64(x), 'e', -1, 32)
					}
				case nil:
					v = ""
				}
				cells = append(cells, fmt.Sprint(v))
			}
			w.Write(append(cells, "1", "2", ""))
			rows = append(rows, row)
		}
		w.Flush()
		if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		b := data.NewBatch(e.Schema(), len(rows))
		if err := e.Encode(b, rows...); err != nil {
			t.Fatal(err)
		}
		for want, err := range c.Data.Stream(context.Background(), path, s.Map, data.StreamOptions{}).Batches(0, len(rows)) {
			if err != nil {
				t.Fatal(err)
			}
			clear(want.Label)
			if !reflect.DeepEqual(b, want) {
				t.Fatalf("rows %q\nin memory %+v\nin a file %+v\n%s", rows, b, want, file.Bytes())
			}
		}
	})
}

func BenchmarkEncodeRow(b *testing.B) {
	c := criteoCase(b)
	e, batch := encoderOf(b, c, 1)
	_, rows := c.Test(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Encode(batch, rows[:1]...); err != nil {
			b.Fatal(err)
		}
	}
}
