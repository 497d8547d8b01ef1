package set

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/internal/table"
)

// rowsOf is the sink that keeps all rows as text.
type rowsOf struct {
	plan *scan.Plan
	rows [][]string // label, tokens, numbers
}

func (r *rowsOf) Work(*scan.Chunk) {}

func (r *rowsOf) Emit(c *scan.Chunk) error {
	for i := range c.N {
		row := []string{fmt.Sprint(c.Label[i])}
		for _, s := range c.Tok[i*c.Plan.Tokens : (i+1)*c.Plan.Tokens] {
			row = append(row, string(c.Data[s.Lo:s.Hi]))
		}
		for _, v := range c.Num[i*c.Plan.Numbers : (i+1)*c.Plan.Numbers] {
			row = append(row, fmt.Sprint(v))
		}
		r.rows = append(r.rows, row)
	}
	return nil
}

const fuzzLine = 1 << 10

// parseText reads text in blocks that are little longer than the longest row.
func parseText(t *testing.T, f scan.Format, features []data.MapFeature, text []byte) (rows [][]string, bad scan.BadRows, err error) {
	p := table.NewPlan(features)
	p.MaxLine = fuzzLine
	to := &rowsOf{plan: p}
	s := &scan.Pass{Format: f, Plan: p, Bad: scan.BadRows{Skip: true, Limit: math.MaxInt64}}
	reader := &scan.Scanner{Format: f, Plan: p, MaxLine: fuzzLine, More: 16, Free: make(chan []byte, 1)}
	c := &scan.Chunk{Plan: p}
	err = reader.Blocks(t.Context(), "x.txt", bytes.NewReader(text), func(b *scan.Block) error {
		c.Reset(b)
		s.Parse(c)
		if err := s.Number(c); err != nil {
			return err
		}
		if err := to.Emit(c); err != nil {
			return err
		}
		if b.Buf != nil {
			reader.Recycle(b.Buf)
		}
		return nil
	})
	if err == nil && s.Rows != int64(len(to.rows)) {
		t.Fatalf("counted %d rows, emitted %d", s.Rows, len(to.rows))
	}
	return to.rows, s.Bad, err
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// number is the naive reading of a cell.
func number(s string) (string, bool) {
	if s == "" {
		return "NaN", true
	}
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return "", false
	}
	v, err := strconv.ParseFloat(s, 64)
	return fmt.Sprint(v + 0), err == nil && math.Abs(v) <= math.MaxFloat32
}

func zeroOne(s string) (string, bool) {
	v, ok := number(s)
	return v, ok && (v == "0" || v == "1")
}

// textLines splits text into lines without their ends, leaving out blank ones; ok is false if the file as a whole must
// be refused.
func textLines(text []byte) (list []string, ok bool) {
	if scan.IsUTF16(text) {
		return nil, false
	}
	for l := range strings.SplitSeq(string(bytes.TrimPrefix(text, scan.UTF8BOM)), "\n") {
		if l = strings.TrimSuffix(l, "\r"); l != "" {
			list = append(list, l)
		}
	}
	return list, len(list) > 0 && len(list[0]) < fuzzLine && isText(list[0])
}

func sameRows(t *testing.T, got, want [][]string, text []byte) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if !slices.Equal(got[i], want[i]) {
			t.Fatalf("row %d of %q = %q, want %q", i, text, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows of %q, want %d", len(got), text, len(want))
	}
}

func FuzzCriteo(f *testing.F) {
	row := "1\t1\t-2\t\t0.5" + strings.Repeat("\t", 9) + strings.Repeat("\tab", 26)
	for _, s := range []string{
		row, row + "\n", row + "\r\n" + row + "\n\n", "\xef\xbb\xbf" + row, row + "\n2" + row[1:], row + "\n" + row + "\tx",
		row + "\n" + strings.Repeat("x", 3000) + "\n" + row, row + "\n\x00\n\xff", "", "\n", strings.Repeat(row+"\n", 30),
	} {
		f.Add([]byte(s))
	}
	features := benchFeatures(criteoNames[:], criteoNums)
	f.Fuzz(func(t *testing.T, text []byte) {
		got, _, err := parseText(t, criteoFormat{}, features, text)
		list, ok := textLines(text)
		if !ok {
			if err == nil {
				t.Fatalf("%q: no error, %d rows", text, len(got))
			}
			return
		}
		var want [][]string
		for _, l := range list {
			cells := strings.Split(l, "\t")
			if len(l) > fuzzLine || len(cells) != 40 || !isText(l) {
				continue
			}
			label, good := zeroOne(cells[0])
			row := append([]string{label}, cells[14:]...)
			for _, c := range cells[1:14] {
				v, ok := number(c)
				row, good = append(row, v), good && ok
			}
			if good {
				want = append(want, row)
			}
		}
		if err == nil {
			sameRows(t, got, want, text)
		} else if len(want) > 0 && !strings.Contains(err.Error(), ":1: ") {
			t.Fatalf("%q: %v, want %d rows", text, err, len(want))
		}
	})
}

func FuzzLibfm(f *testing.F) {
	for _, s := range []string{
		"1 2:1 3:0.5\n-1 7:1 1:2\n", "0 2:1 3:1", "1 2:1\n", "x 1:1 2:1", "1  2:1 3:1 \r\n1 2:1 3:1", "1 2:1 3:\n", "1 :1 2:1",
		"1 2:1 3:1\n1 2:2 3:1\n1 a:1 2:1\n1 2:1 3:1 4:1\n", "1 2:1 3:nan\n", strings.Repeat("1 2:1 3:1\n", 300),
	} {
		f.Add([]byte(s))
	}
	features := []data.MapFeature{{Name: "a", Table: "a"}, {Name: "b", Kind: data.Numeric, Transform: data.Raw}}
	d := LibFM{Names: []string{"a", "b"}}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, _, err := parseText(t, libfmFormat{d: d}, features, text)
		list, ok := textLines(text)
		if !ok {
			if err == nil {
				t.Fatalf("%q: no error, %d rows", text, len(got))
			}
			return
		}
		var want [][]string
		for _, l := range list {
			cells := strings.FieldsFunc(l, func(r rune) bool { return r == ' ' || r == '\t' })
			if len(l) > fuzzLine || len(cells) != 3 || !isText(l) {
				continue
			}
			a, one, _ := strings.Cut(cells[1], ":")
			_, v, _ := strings.Cut(cells[2], ":")
			label, good := zeroOne(cells[0])
			if y, ok := number(cells[0]); ok && y == "-1" {
				label, good = "0", true
			}
			x, ok1 := number(one)
			y, ok2 := number(v)
			index := func(s string) bool {
				i, _, ok := strings.Cut(s, ":")
				return ok && i != "" && strings.Trim(i, "0123456789") == ""
			}
			if good && ok1 && ok2 && x == "1" && v != "" && index(cells[1]) && index(cells[2]) {
				want = append(want, []string{label, a, y})
			}
		}
		if err == nil {
			sameRows(t, got, want, text)
		} else if len(want) > 0 && !strings.Contains(err.Error(), ":1: ") {
			t.Fatalf("%q: %v, want %d rows", text, err, len(want))
		}
	})
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{
		"y,a,n\n1,x,2\n", "y,a,n\r\n0,\"x,\"\"y\"\"\nz\",\"\"\r\n1,b,-3.5", "\xef\xbb\xbfy,a,n\n1,,\n", "y,a,n\n1,\"x\"z,2\n0,b,3\n",
		"y,a,n\n1,x\"z,2\n0,b,3\n", "y,a,n\n1,\"open,2\n0,b,3\n", "\"y\",\"a\",n\n1,\"\",2\n", "y,a,n", "n,a,y\n5,q,1\n",
		"y,a,n\n2,x,1\n1,x,1,1\n1\n",
		"y,a,n\n" + strings.Repeat("1,\"a\"\"b\",2\n", 300), "y,a,n\n1," + strings.Repeat("x", 3000) + ",2\n1,b,2\n",
		"y,a,n\n0,\"" + strings.Repeat("line\n", 400) + "\",1\n1,b,2\n",
	} {
		f.Add([]byte(s))
	}
	features := []data.MapFeature{{Name: "a", Table: "a"}, {Name: "n", Kind: data.Numeric, Transform: data.Raw}}
	d := CSV{Common: data.DefaultCommon(), Label: data.Names{"y"}, Delimiter: ",", Quote: true}
	d.MaxLine = fuzzLine
	d.Columns = map[string]data.Column{"a": data.CategoricalColumn{}, "n": data.NumericColumn{}}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, bad, err := parseText(t, d.format(), features, text)
		if err != nil {
			return
		}
		// encoding/csv is the oracle up to the first record that it cannot read, if none is too long for us.
		r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, scan.UTF8BOM)))
		r.FieldsPerRecord = -1
		header, herr := r.Read()
		if herr != nil {
			t.Fatalf("%q: the header is accepted, encoding/csv says %v", text, herr)
		}
		at := func(name string) int { return slices.Index(header, name) }
		last := r.InputOffset()
		for n := 0; ; {
			rec, rerr := r.Read()
			long := r.InputOffset()-last > fuzzLine
			if long || rerr != nil {
				if rerr != nil && rerr.Error() == "EOF" && n != len(got) {
					t.Fatalf("%q: %d rows, want %d", text, len(got), n)
				}
				return
			}
			raw := bytes.TrimPrefix(text, scan.UTF8BOM)[last:r.InputOffset()]
			last = r.InputOffset()
			if len(rec) != len(header) || !isText(string(raw)) {
				continue
			}
			label, ok1 := zeroOne(rec[at("y")])
			v, ok2 := number(rec[at("n")])
			if !ok1 || !ok2 {
				continue
			}
			if n >= len(got) {
				t.Fatalf("%q: %d rows, want more; bad: %v", text, len(got), bad.First)
			}
			// encoding/csv turns \r\n inside of quotes into \n; we keep it.
			got[n][1] = strings.ReplaceAll(got[n][1], "\r\n", "\n")
			if want := []string{label, rec[at("a")], v}; !slices.Equal(got[n], want) {
				t.Fatalf("%q: row %d = %q, want %q", text, n, got[n], want)
			}
			n++
		}
	})
}

// Blanks around values and quotes are trimmed wherever a block of the file ends.
func TestTrimInBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	blank := func() string { return strings.Repeat(" ", r.IntN(3)) + strings.Repeat("\t", r.IntN(2)) }
	d := CSV{Common: data.DefaultCommon(), Label: data.Names{"y"}, Delimiter: ",", Quote: true, Trim: true, Names: []string{"y", "a", "b"}}
	d.Columns = map[string]data.Column{"*": data.CategoricalColumn{}}
	features := []data.MapFeature{{Name: "a", Table: "a"}, {Name: "b", Table: "b"}}
	var text strings.Builder
	var want [][]string
	for range 5000 {
		row := []string{"a" + strings.Repeat("x", r.IntN(20)), []string{"", "p q", `p"q`, "p, q", "p\nq"}[r.IntN(5)]}
		text.WriteString(blank() + "1" + blank())
		for _, v := range row {
			if r.IntN(2) == 0 || strings.ContainsAny(v, "\",\n") {
				v = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
			}
			text.WriteString("," + blank() + v + blank())
		}
		text.WriteString("\n")
		want = append(want, row)
	}
	rows, bad, err := parseText(t, d.format(), features, []byte(text.String()))
	if err != nil || bad.Count > 0 {
		t.Fatalf("%d bad rows %q, error = %v", bad.Count, bad.First, err)
	}
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d", len(rows), len(want))
	}
	for i := range rows {
		if !slices.Equal(rows[i][len(rows[i])-2:], want[i]) {
			t.Fatalf("row %d = %q, want %q", i, rows[i], want[i])
		}
	}
}
