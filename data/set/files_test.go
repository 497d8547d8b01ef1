package set_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// censusSection reads rows as the census income files of the UCI repository have them.
const censusSection = `{type: csv, path: FILE, label: income, names: [age, work, education, income], positive: ">50K", trim: true,
  missing: ["?"], columns: {age: numeric, work: categorical, education: categorical}}`

const census = "39, State-gov, Bachelors, <=50K\n50, ?, HS-grad, >50K\n\n38,  Private ,Bachelors, <=50K\n \n28,\tPrivate, HS-grad, >50K\n"

func TestCensus(t *testing.T) {
	d := datatest.Section(t, strings.ReplaceAll(censusSection, "FILE", datatest.WriteFile(t, "adult.data", census)))
	o, log := datatest.Options(t)
	s := datatest.Open(t, d, o)
	if got := s.Map.Table("work").Tokens; !slices.Equal(got, []string{"Private", "", "State-gov"}) {
		t.Errorf("tokens %q", got)
	}
	train := datatest.Read(t, d.Stream(t.Context(), datatest.WriteFile(t, "t", census), s.Map, data.StreamOptions{Labels: true}))
	if fmt.Sprint(train.Label, train.Dense) != "[0 1 0 1] [39 50 38 28]" {
		t.Errorf("labels %v, numbers %v", train.Label, train.Dense)
	}
	noLabel := "39, State-gov, Bachelors\n50, ?, HS-grad\n38,  Private ,Bachelors\n28,\tPrivate, HS-grad\n"
	path := datatest.WriteFile(t, "new.csv", noLabel)
	o2 := data.StreamOptions{Log: o.Log}
	got := datatest.Read(t, d.Stream(t.Context(), path, s.Map, o2))
	if fmt.Sprint(got.IDs, got.Dense) != fmt.Sprint(train.IDs, train.Dense) || fmt.Sprint(got.Label) != "[0 0 0 0]" {
		t.Errorf("without the label: %v, want %v", got, train)
	}
	if strings.Contains(log.String(), "WARN") {
		t.Errorf("warnings: %s", log)
	}
	_, err := datatest.TryRead(d.Stream(t.Context(), path, s.Map, data.StreamOptions{Labels: true}))
	if err == nil || !strings.Contains(err.Error(), "new.csv:1: 3 columns, one fewer than names: "+
		"rows without their label (income) can be predicted, but not evaluated") {
		t.Errorf("evaluated without labels: error = %v", err)
	}
	enc, err := d.Encoder(s.Map)
	if err != nil {
		t.Fatal(err)
	}
	b := data.NewBatch(s.Schema, 2)
	err = enc.Encode(b, map[string]any{"age": " 50 ", "work": " ? ", "education": "\tHS-grad ", "income": 7},
		map[string]any{"age": 38, "work": "  Private", "education": "Bachelors"})
	if err != nil {
		t.Fatal(err)
	}
	for name, ids := range map[string][]int32{"work": train.IDs["work"][1:3], "education": train.IDs["education"][1:3]} {
		if !slices.Equal(b.IDs[name], ids) {
			t.Errorf("%s of rows in memory = %v, want %v", name, b.IDs[name], ids)
		}
	}
	if !slices.Equal(b.Dense, []float32{50, 38}) {
		t.Errorf("ages of rows in memory = %v", b.Dense)
	}
}

// TestTrim: with trim, rows whose values have blanks around them are those without, in files and in memory.
func TestTrim(t *testing.T) {
	criteo := func(blank string) string {
		return strings.ReplaceAll("1"+strings.Repeat("\t12", 13)+strings.Repeat("\tab", 26)+"\n0"+strings.Repeat("\t", 39)+"\n", "\t", blank+"\t"+blank)
	}
	bert := "tokenizer: " + datatest.WriteFile(t, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\n")
	for _, tc := range []struct{ name, file, section, plain, blanks string }{
		{"criteo", "x.tsv", "{type: criteo, path: FILE", criteo(""), criteo(" ")},
		{"tsv", "x.tsv", "{type: text, path: FILE, label: y, " + bert, "text\ty\na b\tgood\nc\tbad\n", " text \t y\n  a b \tgood  \nc\t bad\n"},
		{"csv", "x.csv", "{type: text, path: FILE, label: y, " + bert, "text,y\n\"a, b\",good\nc,bad\n", "text , y\n \"a, b\" , good\n c ,bad \n"},
		{
			"jsonl", "x.jsonl", "{type: text, path: FILE, label: y, " + bert,
			`{"text": "a", "y": "good"}` + "\n" + `{"text": "c", "y": "bad"}` + "\n", `{"text": " a", "y": "good "}` + "\n" + `{"text": "c\t", "y": " bad"}` + "\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			read := func(text, more string) (data.Dataset, *data.FeatureMap, string) {
				d := datatest.Section(t, strings.ReplaceAll(tc.section, "FILE", datatest.WriteFile(t, tc.file, text))+more+"}")
				o, _ := datatest.Options(t)
				s := datatest.Open(t, d, o)
				b := datatest.Read(t, d.Stream(t.Context(), datatest.WriteFile(t, tc.file, text), s.Map, data.StreamOptions{Labels: true}))
				return d, s.Map, fmt.Sprintf("%+v %v", b, s.Map.Digest())
			}
			_, _, want := read(tc.plain, "")
			d, m, got := read(tc.blanks, ", trim: true")
			if got != want {
				t.Errorf("with blanks:\n%s\nwant\n%s", got, want)
			}
			enc, err := d.Encoder(m)
			if err != nil {
				t.Fatal(err)
			}
			row, blank := map[string]any{"text": "a"}, map[string]any{"text": " a\t"}
			if tc.name == "criteo" {
				row, blank = map[string]any{}, map[string]any{}
				for i := range 39 {
					name := fmt.Sprintf("C%d", i-12)
					if i < 13 {
						name = fmt.Sprintf("I%d", i+1)
					}
					row[name], blank[name] = "12", " 12 "
				}
			}
			batch := func() *data.Batch {
				if s := enc.Schema(); s.Text != nil {
					return data.NewTokenBatch(s, 1, s.Text.Lengths[0])
				}
				return data.NewBatch(enc.Schema(), 1)
			}
			x, y := batch(), batch()
			if err := errors.Join(enc.Encode(x, row), enc.Encode(y, blank)); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(x, y) {
				t.Errorf("rows in memory: %+v, want %+v", y, x)
			}
		})
	}
}

// TestNoLabels: a file without labels can be predicted, and the error says so if it is to be evaluated.
func TestNoLabels(t *testing.T) {
	counts := strings.Repeat("\t1", 13) + strings.Repeat("\ta", 26)
	for _, tc := range []struct{ name, section, rows, bare, want string }{
		{
			"a header", "{type: csv, path: FILE, label: y, columns: {a: numeric}}", "y,a\n1,2\n0,3\n", "a\n2\n",
			"no column y; the file has a: rows without their label (y) can be predicted, but not evaluated: give a file that has it",
		},
		{
			"criteo", "{type: criteo, path: FILE}", "1" + counts + "\n0" + counts + "\n", counts[1:] + "\n",
			":1: 39 columns, one fewer than the layout has: rows without their label (the first) can be predicted, but not evaluated",
		},
	} {
		d := datatest.Section(t, strings.ReplaceAll(tc.section, "FILE", datatest.WriteFile(t, "rows", tc.rows)))
		o, _ := datatest.Options(t)
		s := datatest.Open(t, d, o)
		path := datatest.WriteFile(t, "bare", tc.bare)
		if got := datatest.Read(t, d.Stream(t.Context(), path, s.Map, data.StreamOptions{})); len(got.Label) != 1 {
			t.Errorf("%s: %d rows to predict", tc.name, len(got.Label))
		}
		_, err := datatest.TryRead(d.Stream(t.Context(), path, s.Map, data.StreamOptions{Labels: true}))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v\nwant %s", tc.name, err, tc.want)
		}
	}
}

// Each has what Open says of a file; want is empty if it can be read.
func TestFilesAsPeopleHaveThem(t *testing.T) {
	const section = "{type: csv, path: FILE, label: y, columns: {a: categorical}"
	byTime := "{type: csv, path: FILE, label: y, time: ts, columns: {a: categorical}, split: {by: time, ratio: [0.5, 0.5]}}"
	for _, c := range []struct{ name, section, text, want string }{
		{"words", section + ", positive: yes}", "y,a\nyes,1\nno,2\n", ""},
		{"words in quotes", section + ", positive: 'a,b'}", "y,a\n\"a,b\",1\nno,2\n", ""},
		{
			"a third word", section + ", positive: yes}", "y,a\nyes,1\nno,2\nYes,2\n",
			`FILE:4: label "Yes", but "no" (FILE:3) is not the positive one either; want two words`,
		},
		{"no positive word", section + ", positive: '>50k'}", "y,a\n<=50K,1\n>50K,2\n", `label ">50K", but "<=50K"`},
		{"a blank word", section + ", positive: 100%}", "y,a\n,1\n", `column y: label ""; want a word, that of positive or the other one`},
		{
			"words without positive", section + "}", "y,a\nyes,1\n",
			`label "yes"; want 0 or 1 (of labels that are words, positive is the one that counts as 1)`,
		},
		{"an index column", section + "}", ",y,a\n0,1,1\n", `column 1 of the header has no name, such as an index column that was written along; to ignore it, put "": ignore under columns`},
		{"an index column that is ignored", "{type: csv, path: FILE, label: y, columns: {a: categorical, '': ignore}}", ",y,a,\n0,1,1,2\n", ""},
		{"a header that ends in the delimiter", section + "}", "y,a,\n1,1\n", `column 3 of the header has no name, since the header ends in the delimiter; if the rows do too, put "": ignore under columns, else take it off`},
		{"rows that end in the delimiter", section + "}", "y,a\n1,1,\n", `FILE:2: 3 columns, want 2 as in the header; the row ends in the delimiter, after which there is a blank column: end the header in it too, and put "": ignore under columns`},
		{"rows that end in the delimiter under names", section + ", names: [y, a]}", "1,1,\n", `FILE:1: 3 columns, want 2 as in names; the row ends in the delimiter, after which there is a blank column: give it a name in names, and ignore`},
		{"rows with an index that the header lacks", section + "}", "y,a\n0,1,1\n", `FILE:2: 3 columns, want 2 as in the header; if all rows have it, such as an index that was written along, give it a name in the header`},
		{"semicolons", section + "}", "y;a\n1;1\n", `the first line has no ",": if its delimiter is ;, set delimiter: ";"`},
		{"tabs", section + "}", "y\ta\n1\t1\n", `the first line has no ",": if its delimiter is tab, set delimiter: "tab"`},
		{"commas where tabs are wanted", section + ", delimiter: tab}", "y,a\n1,1\n", `the first line has no "\t": if its delimiter is ,, set delimiter: ","`},
		{"blanks in the header", section + "}", "y, a\n1, 1\n", `names in the header have blanks around them (" a"): trim: true takes them off`},
		{"blanks around a label", section + "}", "y,a\n 1,1\n", `label " 1"; want 0 or 1; trim: true takes the blanks around it off`},
		{"labels of 1 and -1", section + "}", "y,a\n1,1\n-1,1\n", `label "-1"; want 0 or 1 (if the labels are two other numbers, such as 1 and -1, positive is the one that counts as 1, in quotes)`},
		{"labels of 1 and -1 with positive", section + ", positive: '1'}", "y,a\n1,1\n-1,1\n", ""},
		{"a label that is a share", section + "}", "y,a\n0.3,1\n", `label "0.3"; want 0 or 1`},
		{"a blank label", section + "}", "y,a\n,1\n", `label ""; want 0 or 1, for each row that is trained on or measured`},
		{"a number with blanks", "{type: csv, path: FILE, label: y, columns: {a: numeric}}", "y,a\n1, 1\n", `or a blank; trim: true takes the blanks around it off`},
		{"a word for a missing number", "{type: csv, path: FILE, label: y, columns: {a: numeric}}", "y,a\n1,NA\n", `or a blank; if it stands for a missing value, list it under missing, and if it is a category, declare its column categorical`},
		{"a web page", section + "}", "<!DOCTYPE html>\n<html></html>\n", "the file is a web page or XML, not rows: get the data itself"},
		{"objects", section + "}", "{\"y\": 1, \"a\": 2}\n", "FILE:1: looks like JSON, not like delimited rows; convert it to CSV"},
		{"a list of objects", section + "}", "[{\"y\": 1, \"a\": 2},\n", "FILE:1: looks like JSON"},
		{"an index column that is a feature", "{type: csv, path: FILE, label: y, columns: {'*': categorical}}", ",y,a\n0,1,1\n", `put "": ignore under columns`},
		{"a header like values", section + "}", "1,u7\n0,u2\n", `the first line looks like values ("1"), not like a header: if the file has none, set names`},
		{"a header with a value twice", section + "}", "1,1\n0,u2\n", `column 1 is in the header twice; the first line looks like values ("1")`},
		{"a header without values", section + "}", "z,u7\n0,u2\n", "categorical, numeric, multi) or ignore; if the first line is no header, set names to those of the columns"},
		{"names and a header", section + ", names: [y, a]}", "y,a\n0,u2\n", "FILE:1: the first line is a header, but names are set, which are for files without one; remove names"},
		{"names and a header with another name", section + ", names: [y, a]}", "y,b\n0,u2\n", "the first line is a header, but names are set"},
		{"quotes after blanks", section + ", trim: true}", "y , a\n1 , \"x, \"\"y\"\"\" \n 0,z\n", ""},
		{"quotes after blanks that count", section + "}", "y,a\n1, \"x\"\n", "a quote inside a cell"},
		{
			"numbers and dates", byTime, "y,a,ts\n1,1,20260101\n0,1,2026-01-02\n",
			`FILE:3: column ts: "2026-01-02" is a date without a zone, but "20260101" (FILE:2) is a number; write all times in one format`,
		},
		{"dates with and without a zone", byTime, "y,a,ts\n1,1,2026-01-01 00:00:00\n0,1,2026-01-02T00:00:00Z\n", "is a date with a zone"},
		{"seconds and dates that are numbers", byTime, "y,a,ts\n1,1,1767225600\n0,1,20260102\n", "data: column ts: 1767225600 looks like seconds since 1970, but 20260102 like a date (YYYYMMDD); write all times in one format"},
		{"seconds and milliseconds", byTime, "y,a,ts\n1,1,1767225600\n0,1,1767225601000\n", "1767225600 looks like seconds since 1970, but 1767225601000 like milliseconds since 1970"},
		{"a counter that has all sizes", byTime, "y,a,ts\n1,1,1767225600\n0,1,20260102\n1,1,40000000\n0,1,5\n", ""},
		{"dates of one day", byTime, "y,a,ts\n1,1,20260101\n0,1,20260102\n", ""},
		{"times with minutes", byTime, "y,a,ts\n1,1,2026-01-01 10:00\n0,1,2026-01-02T10:01\n", ""},
		{"zoned times with minutes", byTime, "y,a,ts\n1,1,2026-01-01 10:00+02:00\n0,1,2026-01-02T10:01Z\n", ""},
		{"a time with blanks", byTime, "y,a,ts\n1,1, 2026-01-01\n", "or RFC 3339; trim: true takes the blanks around it off"},
		{"dates and times", byTime, "y,a,ts\n1,1,2026-01-01\n0,1,2026-01-02T00:00:00\n1,1,2026-01-02 00:00:00.5\n", ""},
		{
			"mixed times that decide nothing", strings.Replace(byTime, "{by: time,", "{by: order,", 1), "y,a,ts\n1,1,20260101\n0,1,2026-01-02\n", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := datatest.WriteFile(t, "t.csv", c.text)
			o, _ := datatest.Options(t)
			_, err := datatest.Section(t, strings.ReplaceAll(c.section, "FILE", path)).Open(t.Context(), o)
			if err == nil && c.want == "" {
				return
			}
			if err == nil || c.want == "" || !strings.Contains(err.Error(), strings.ReplaceAll(c.want, "FILE", path)) {
				t.Errorf("error = %v, want %s", err, c.want)
			}
		})
	}
}

// Zoned times are ordered as they are, whichever way the zone is written; files of one split have one format.
func TestZonedTimes(t *testing.T) {
	for _, zone := range []string{"Z", "+00:00", " +00:00", "+0000", " +0000", "+00", " UTC"} {
		for _, sep := range []string{" ", "T"} {
			if sep == "T" && strings.HasPrefix(zone, " ") {
				continue
			}
			var text strings.Builder
			text.WriteString("y,a,ts\n")
			for _, hour := range []int{4, 1, 3, 2} {
				fmt.Fprintf(&text, "%d,1,2026-01-02%s0%d:00:00.25%s\n", hour%2, sep, hour, zone)
			}
			text.WriteString("0,1,2026-01-02T00:30:00+01:00\n1,1,2026-01-02T09:30:00-01:00\n")
			o, _ := datatest.Options(t)
			d := "{type: csv, path: FILE, label: y, time: ts, columns: {a: categorical}, split: {by: time, counts: [3, 3]}}"
			s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(d, "FILE", datatest.WriteFile(t, "t.csv", text.String()))), o)
			if got := datatest.Read(t, s.Valid).Label; fmt.Sprint(got) != "[0 1 1]" {
				t.Errorf("zone %q after %q: last labels %v, want those of 4, 3 and 10.30", zone, sep, got)
			}
		}
	}
	dir := t.TempDir()
	for name, at := range map[string]string{"day_9.csv": "2026-01-01", "day_10.csv": "1767225600"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("y,a,ts\n1,1,"+at+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, _ := datatest.Options(t)
	d := datatest.Section(t, "{type: csv, path: '"+dir+"/*', label: y, time: ts, columns: {a: categorical}, split: {by: time, counts: [1, 1]}}")
	_, err := d.Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), `day_10.csv:2: column ts: "1767225600" is a number, but "2026-01-01" (`) {
		t.Errorf("files of two formats: error = %v", err)
	}
}

// A line with nothing on it is a row of a file of one column, whose value is blank.
func TestBlankValuesOfOneColumn(t *testing.T) {
	tokens := func(t *testing.T, section, train, text string) []int32 {
		t.Helper()
		o, _ := datatest.Options(t)
		d := datatest.Section(t, strings.ReplaceAll(section, "FILE", datatest.WriteFile(t, "train.csv", train)))
		s := datatest.Open(t, d, o)
		rows := datatest.Read(t, d.Stream(t.Context(), datatest.WriteFile(t, "p.csv", text), s.Map, data.StreamOptions{}))
		return rows.IDs["a"]
	}
	header, names := "{type: csv, path: FILE, label: y, columns: {a: categorical}}", "{type: csv, path: FILE, label: y, names: [y, a], columns: {a: categorical}}"
	rows := "1,u\n0,u\n1,u\n1,\n1,\n"
	for _, c := range []struct{ name, section, train, text, want string }{
		{"header", header, "y,a\n" + rows, "a\nu\n\nu\n\r\n", "[2 3 2 3]"},
		{"names", names, rows, "\n\nu\n\nu", "[3 3 2 3 2]"},
		{"two columns", names, rows, "\n\n1,u\n\n0,\n", "[2 3]"},
		{"trimmed", strings.Replace(header, "label", "trim: true, label", 1), "y,a\n" + rows, "a\n u\n  \nu\n", "[2 3 2]"},
	} {
		if got := fmt.Sprint(tokens(t, c.section, c.train, c.text)); got != c.want {
			t.Errorf("%s: ids %s, want %s", c.name, got, c.want)
		}
	}
}

// Texts without labels: a header or names of all columns, and empty texts.
func TestTextsWithoutLabels(t *testing.T) {
	for _, c := range []struct{ name, section, train, text, dev string }{
		{"header", "{type: text, path: FILE, format: csv, label: y, labels: [a, b], vocab_size: 50}", "y,text\na,one\nb,two\n", "text\none\n\ntwo\n", ""},
		{"names", "{type: text, path: FILE, format: tsv, label: y, labels: [a, b], names: [y, text], vocab_size: 50}", "a\tone\nb\ttwo\n", "\none\ntwo\n", ""},
		{
			"the rest of a line", "{type: text, path: FILE, format: tsv, delimiter: ' ', label: y, labels: [a, b], names: [y, text], max_columns: 2, vocab_size: 50}",
			"a one\nb two two\n", "one\n\ntwo\n", "",
		},
		{"glue", "{type: glue, task: cola, path: DIR, vocab_size: 50}", "s\t0\t*\tone\ns\t1\t\ttwo\n", "s\t*\tone\ns\t*\t\ns\t*\ttwo\n", "s\t0\t*\tone\n"},
	} {
		path := datatest.WriteFile(t, "train.tsv", c.train)
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "dev.tsv"), []byte(c.dev), 0o600); err != nil {
			t.Fatal(err)
		}
		o, _ := datatest.Options(t)
		d := datatest.Section(t, strings.NewReplacer("FILE", path, "DIR", filepath.Dir(path)).Replace(c.section))
		s := datatest.Open(t, d, o)
		rows, err := datatest.TryRead(d.Stream(t.Context(), datatest.WriteFile(t, "new.tsv", c.text), s.Map, data.StreamOptions{}))
		if err != nil || len(rows.Label) != 3 {
			t.Errorf("%s: %d rows, want 3; error = %v", c.name, len(rows.Label), err)
		}
	}
	o, _ := datatest.Options(t)
	path := datatest.WriteFile(t, "t.csv", "1,one\n0,two\n")
	_, err := datatest.Section(t, "{type: text, path: "+path+", label: y, vocab_size: 50}").Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), `the first line looks like values ("1"), not like a header: if the file has none, set names`) {
		t.Errorf("texts without a header: error = %v", err)
	}
}

// A column more in a file that is streamed, and a column none of whose tokens is known, are warnings by name.
func TestWarnings(t *testing.T) {
	path := datatest.WriteFile(t, "train.csv", "y,a,b,tags,h\n1,1,x,p|q,7\n0,2,z,p,8\n")
	section := "{type: csv, path: " + path + ", label: y, MORE columns: {a: categorical, b: categorical, " +
		"tags: {type: multi, separator: '|', max_len: 2}, h: {type: categorical, hash: 5}}}"
	d := datatest.Section(t, strings.ReplaceAll(section, "MORE", ""))
	o, log := datatest.Options(t)
	s := datatest.Open(t, d, o)
	if strings.Contains(log.String(), "WARN") {
		t.Fatalf("warnings about rows that the map was fitted on: %s", log)
	}
	for _, c := range []struct {
		text string
		want []string
	}{
		{"a,b,tags,h\n1,x,p,7\n5,v,r,9\n", nil},
		{"a,b,tags,h\n1.0,x,r|p,7\n2.0,v,r,9\n", []string{"columns=[a] in="}},
		{"a,b,tags,h\n1,w,r|s,7\n2,v,r,9\n", []string{`columns="[b tags]" in=`}},
		{"a,b,tags,h\n1,x,,7\n2,z,,9\n", nil},
		{"zip,b,a,tags,h,\n1,x,1,p,7,\n", []string{`declare are left out" columns="zip, " in=`}},
	} {
		for _, labels := range []bool{false, true} {
			text := c.text
			if labels {
				text = strings.ReplaceAll("y,"+strings.TrimSuffix(text, "\n"), "\n", "\n1,") + "\n"
			}
			log.Reset()
			rows, err := datatest.TryRead(d.Stream(t.Context(), datatest.WriteFile(t, "p.csv", text), s.Map, data.StreamOptions{Labels: labels, Log: o.Log}))
			if err != nil || len(rows.Label) != strings.Count(text, "\n")-1 {
				t.Errorf("%q: %d rows, error = %v", text, len(rows.Label), err)
			}
			if n := strings.Count(log.String(), "WARN"); n != len(c.want) {
				t.Errorf("%q: %d warnings, want %d: %s", text, n, len(c.want), log)
			}
			for _, w := range c.want {
				if !strings.Contains(log.String(), w) {
					t.Errorf("%q: log %s, want %s", text, log, w)
				}
			}
		}
	}
	valid := datatest.WriteFile(t, "valid.csv", "y,a,b,tags,h\n1,1.0,x,p,7\n0,2.0,z,p,8\n")
	d = datatest.Section(t, strings.ReplaceAll(section, "MORE", "valid_path: "+valid+","))
	for _, cached := range []bool{false, true} {
		log.Reset()
		datatest.Open(t, d, o)
		if want := "columns=[a] in=" + valid; strings.Count(log.String(), "WARN") != 1 || !strings.Contains(log.String(), want) {
			t.Errorf("cached %v: log %s, want one warning with %s", cached, log, want)
		}
	}
	if _, err := d.Open(t.Context(), data.OpenOptions{CacheDir: o.CacheDir}); err != nil {
		t.Error(err)
	}
}
