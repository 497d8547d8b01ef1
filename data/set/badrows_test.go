package set_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

const weighted = "{type: csv, path: FILE, label: y, weight: w, columns: {a: categorical}}"

const csvSection = "{type: csv, path: FILE, label: y, columns: {a: categorical, n: numeric}}"

// TestBadFiles has a file that cannot be read in each way, and the exact error.
func TestBadFiles(t *testing.T) {
	good := datatest.CriteoRow("1", "1", "2") + "\n"
	for _, c := range []struct{ name, section, file, text, want string }{
		{
			"csv: weight below 0", weighted, "a.csv", "y,w,a\n1,2.5,x\n0,-1,x\n",
			`data: FILE:3: column w: weight "-1"; want a number of 0 or more, for each row that is trained on or measured`,
		},
		{
			"csv: no weight", weighted, "a.csv", "y,w,a\n1,,x\n",
			`data: FILE:2: column w: weight ""; want a number of 0 or more, for each row that is trained on or measured`,
		},
		{
			"csv: weight nan", weighted, "a.csv", "y,w,a\n1,0,x\n0,NaN,x\n",
			`data: FILE:3: column w: weight "NaN"; want a number of 0 or more, for each row that is trained on or measured`,
		},
		{
			"csv: weight of blanks around", weighted, "a.csv", "y,w,a\n1, 1,x\n",
			`data: FILE:2: column w: weight " 1"; want a number of 0 or more, for each row that is trained on or measured; ` +
				`trim: true takes the blanks around it off`,
		},
		{"csv: no column of weights", weighted, "a.csv", "y,a\n1,x\n", "data: FILE: weight: no column w; there are y, a"},
		{
			"csv: second label", "{type: csv, path: FILE, label: [y, z], columns: {a: categorical}}", "a.csv", "y,z,a\n1,,x\n1,2,x\n",
			`data: FILE:3: column z: label "2"; want 0 or 1, or a blank for a row that has no part in its task ` +
				`(of other labels, number_labels are numbers and class_labels are classes)`,
		},
		{
			"csv: label that is no number", "{type: csv, path: FILE, label: y, number_labels: y, columns: {a: categorical}}", "a.csv",
			"y,a\n1.5,x\ninf,x\n", `data: FILE:3: column y: label "inf"; want a number in the range of float32`,
		},
		{
			"csv: no number", "{type: csv, path: FILE, label: y, number_labels: y, columns: {a: categorical}}", "a.csv", "y,a\n,x\n",
			`data: FILE:2: column y: label ""; want a number in the range of float32`,
		},
		{
			"csv: no such class", "{type: csv, path: FILE, label: y, class_labels: {y: [a, b]}, columns: {a: categorical}}", "a.csv",
			"y,a\na,x\nc,x\n", `data: FILE:3: column y: label "c"; want a class of class_labels`,
		},
		{
			"criteo: too few columns", "{type: criteo, path: FILE}", "t.txt", good + "1\t2\t3\n",
			"data: FILE:2: 3 columns, want 40 separated by tabs",
		},
		{
			"criteo: too many columns", "{type: criteo, path: FILE}", "t.txt", good + datatest.CriteoRow("1") + "\tx\n",
			"data: FILE:2: 41 columns, want 40 separated by tabs",
		},
		{
			"criteo: no number", "{type: criteo, path: FILE}", "t.txt", good + datatest.CriteoRow("0", "", "", "1x") + "\n",
			`data: FILE:2: column I3: "1x" is not a number in the range of float32; want digits like -12 or 0.5, or a blank`,
		},
		{
			"criteo: nan", "{type: criteo, path: FILE}", "t.txt", good + datatest.CriteoRow("0", "nan") + "\n",
			`data: FILE:2: column I1: "nan" is not a number in the range of float32; want digits like -12 or 0.5, or a blank`,
		},
		{
			"criteo: huge", "{type: criteo, path: FILE}", "t.txt", datatest.CriteoRow("0", "1e39"),
			`data: FILE:1: column I1: "1e39" is not a number in the range of float32; want digits like -12 or 0.5, or a blank`,
		},
		{
			"criteo: label 2", "{type: criteo, path: FILE}", "t.txt", good + good + datatest.CriteoRow("2") + "\n",
			`data: FILE:3: column label: label "2"; want 0 or 1`,
		},
		{
			"criteo: no label", "{type: criteo, path: FILE}", "t.txt", good + datatest.CriteoRow("") + "\n",
			`data: FILE:2: column label: label ""; want 0 or 1`,
		},
		{
			"criteo: invalid UTF-8", "{type: criteo, path: FILE}", "t.txt",
			good + datatest.CriteoRow("1", "", "", "", "", "", "", "", "", "", "", "", "", "", "a\xff") + "\n",
			"data: FILE:2: column C1: invalid UTF-8 (byte 0xff); convert the file to UTF-8",
		},
		{
			"criteo: NUL", "{type: criteo, path: FILE}", "t.txt", good + datatest.CriteoRow("1", "\x00") + "\n",
			"data: FILE:2: column I1: holds a NUL byte; is the file binary, or UTF-16? Convert it to UTF-8",
		},
		{"criteo: UTF-16", "{type: criteo, path: FILE}", "t.txt", "\xff\xfe1\x00\t\x00", "data: FILE: is UTF-16; convert it to UTF-8"},
		{
			"criteo: 10 MB line", "{type: criteo, path: FILE}", "t.txt", good + strings.Repeat("x", 10<<20) + "\n" + good,
			"data: FILE:2: the row is longer than 1048576 bytes (max_line); is a line end or a closing quote missing?",
		},
		{
			"criteo: 10 MB first line", "{type: criteo, path: FILE}", "t.txt", strings.Repeat("x", 10<<20) + "\n" + good,
			"data: FILE:1: the first line is longer than 1048576 bytes (max_line); is this a text file?",
		},
		{
			"criteo: 1.5 MB line", "{type: criteo, path: FILE}", "t.txt", good + strings.Repeat("x", 3<<19) + "\n" + good,
			"data: FILE:2: the row has 1572864 bytes, the longest may have 1048576 (max_line)",
		},
		{"criteo: empty", "{type: criteo, path: FILE}", "t.txt", "", "data: FILE: is empty; want rows"},
		{"criteo: blank lines", "{type: criteo, path: FILE}", "t.txt", "\n\r\n\n", "data: FILE: is empty; want rows"},
		{
			"criteo: commas", "{type: criteo, path: FILE}", "t.txt", "Id,Label,I1\n1,1,1\n",
			"data: FILE:1: no tab in the first line but commas; for files with a header use type csv",
		},
		{
			"criteo: header", "{type: criteo, path: FILE}", "t.txt", datatest.CriteoRow("Label", "I1") + "\n",
			`data: FILE:1: the first line is a header; use type csv with delimiter "\t"`,
		},
		{"csv: empty", csvSection, "t.csv", "", "data: FILE: is empty; want rows"},
		{"csv: header only", csvSection, "t.csv", "y,a,n\n", "data: FILE: has a header but no rows"},
		{"csv: header without line end", csvSection, "t.csv", "y,a,n", "data: FILE: has a header but no rows"},
		{"csv: label 2", csvSection, "t.csv", "y,a,n\n1,a,2\n2,a,2\n", `data: FILE:3: column y: label "2"; want 0 or 1 (if the labels are two other numbers, such as 1 and -1, positive is the one that counts as 1, in quotes)`},
		{
			"csv: number", csvSection, "t.csv", "y,a,n\n1,\"a\nb\",2\n1,a,0x10\n",
			`data: FILE:4: column n: "0x10" is not a number in the range of float32; want digits like -12 or 0.5, or a blank`,
		},
		{"csv: columns", csvSection, "t.csv", "y,a,n\n1,a\n", "data: FILE:2: 2 columns, want 3 as in the header"},
		{"csv: more columns", csvSection, "t.csv", "y,a,n\r\n1,a,1,1\r\n", "data: FILE:2: 4 columns, want 3 as in the header; if all rows have it, such as an index that was written along, give it a name in the header"},
		{
			"csv: bare quote", csvSection, "t.csv", "y,a,n\n1,a\"b,1\n",
			"data: FILE:2: column a: a quote inside a cell; quote the whole cell and double the quote, or set quote: false",
		},
		{
			"csv: text after quote", csvSection, "t.csv", "y,a,n\n1,\"a\"b,1\n",
			"data: FILE:2: column a: text after a closing quote; double quotes inside a cell",
		},
		{
			"csv: open quote", csvSection, "t.csv", "y,a,n\n1,a,1\n1,\"a,1\n1,b,1\n",
			"data: FILE:3: column a: a quote is not closed within max_line bytes or the file",
		},
		{
			"csv: UTF-8", csvSection, "t.csv", "y,a,n\n1,a,1\n1,\xc3\x28,1\n",
			"data: FILE:3: column a: invalid UTF-8 (byte 0xc3); convert the file to UTF-8",
		},
		{
			"csv: undeclared", csvSection, "t.csv", "y,a,n,b,c\n1,a,1,1,1\n",
			"data: FILE: columns: nothing says what to do with b, c; give each a type (categorical, numeric, multi) or ignore",
		},
		{"csv: missing column", csvSection, "t.csv", "y,n\n1,1\n", "data: FILE: columns.a: no such column; there are y, n"},
		{
			"csv: missing label", csvSection, "t.csv", "z,a,n\n1,a,1\n",
			"data: FILE: label: no column y; there are z, a, n\ncolumns: nothing says what to do with z; give each a type (categorical, numeric, multi) or ignore",
		},
		{"csv: column twice", csvSection, "t.csv", "y,a,a\n1,a,1\n", "data: FILE:1: column a is in the header twice"},
		{
			"csv: nameless column", csvSection, "t.csv", "y,,a,n\n1,a,1,2\n",
			"data: FILE: columns: column 2 of the header has no name, such as an index column that was written along; " +
				`to ignore it, put "": ignore under columns`,
		},
		{
			"csv: group", "{type: csv, path: FILE, label: y, group: u, columns: {a: categorical}}", "t.csv", "y,a,u\n1,a,\n",
			`data: FILE:2: column u: "" is blank; want the key of a group`,
		},
		{
			"csv: time", "{type: csv, path: FILE, label: y, time: u, columns: {a: categorical}}", "t.csv", "y,a,u\n1,a,yesterday\n",
			`data: FILE:2: column u: "yesterday" is not a time; want a number, 2006-01-02, 2006-01-02 15:04:05 or RFC 3339`,
		},
		{"libfm: label", "{type: libfm, path: FILE}", "t.libfm", "2 1:1 2:1\n", `data: FILE:1: column label: label "2"; want 1, 0 or -1`},
		{
			"libfm: fields", "{type: libfm, path: FILE}", "t.libfm", "1 1:1 2:1\n-1 1:1\n",
			"data: FILE:2: 1 fields, want 2; rows of varying length are not supported",
		},
		{
			"libfm: value", "{type: libfm, path: FILE}", "t.libfm", "1 1:1 2:1\n-1 1:1 2:0.5\n",
			`data: FILE:2: column f2: value "0.5" of a categorical field; want 1, or declare the field numeric under columns`,
		},
		{
			"libfm: index", "{type: libfm, path: FILE}", "t.libfm", "1 1:1 2:1\n-1 -1:1 2:1\n",
			`data: FILE:2: column f1: index "-1" is not a whole number`,
		},
		{
			"libfm: cell", "{type: libfm, path: FILE}", "t.libfm", "1 1:1 2:1\n-1 1:1 2\n",
			`data: FILE:2: column f2: "2" is no index:value, like 17:1`,
		},
		{"libfm: only a label", "{type: libfm, path: FILE}", "t.libfm", "1\n", "data: FILE:1: no field; want rows like `1 17:1 204:1`"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := datatest.WriteFile(t, c.file, c.text)
			o, _ := datatest.Options(t)
			_, err := datatest.Section(t, strings.ReplaceAll(c.section, "FILE", path)).Open(t.Context(), o)
			if err == nil {
				t.Fatal("no error")
			}
			if got, want := err.Error(), strings.ReplaceAll(c.want, "FILE", path); got != want {
				t.Errorf("error:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestSkipBadRows(t *testing.T) {
	var rows []string
	for i := range 100 {
		switch {
		case i%10 == 3:
			rows = append(rows, "1,bad")
		case i == 50:
			rows = append(rows, "1,"+strings.Repeat("x", 3000)+",1")
		default:
			rows = append(rows, "1,a,1")
		}
	}
	path := datatest.WriteFile(t, "t.csv", "y,a,n\n"+strings.Join(rows, "\n"))
	sec := "{type: csv, path: " + path + ", label: y, max_line: 1024, columns: {a: categorical, n: numeric}, bad_rows: skip"
	o, log := datatest.Options(t)
	for range 2 { // from the text, and from the cache
		s := datatest.Open(t, datatest.Section(t, sec+"}"), o)
		if s.Train.Rows() != 89 {
			t.Errorf("%d rows, want 89", s.Train.Rows())
		}
		if got := log.String(); !strings.Contains(got, "skipped=11 read=89") || !strings.Contains(got, path+":5: 2 columns, want 3") {
			t.Errorf("log = %s", got)
		}
		log.Reset()
	}
	_, err := datatest.Section(t, sec+", max_bad_rows: 10}").Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "more than 10 rows cannot be read (max_bad_rows); the first: data: "+path+":5: ") {
		t.Errorf("error = %v", err)
	}
	all := datatest.WriteFile(t, "t.csv", "y,a,n\nx,a,1\n")
	_, err = datatest.Section(t,
		"{type: csv, path: "+all+", label: y, columns: {a: categorical, n: numeric}, bad_rows: skip}").Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "none of its 1 rows can be read") {
		t.Errorf("error = %v", err)
	}
	var re *data.RowError
	_, err = datatest.Section(t, strings.Replace(sec, ", bad_rows: skip", "}", 1)).Open(t.Context(), o)
	if !errors.As(err, &re) || re.Line != 5 || re.File != path {
		t.Errorf("error = %#v, want a RowError of line 5", err)
	}
}

// TestOddFiles has files that are unusual but right.
func TestOddFiles(t *testing.T) {
	for _, c := range []struct{ name, section, file, text string }{
		{"line ends of Windows", csvSection, "t.csv", "y,a,n\r\n1,p,1\r\n0,q,2\r\n"},
		{"no last line end", csvSection, "t.csv", "y,a,n\n1,p,1\n0,q,2"},
		{"byte order mark", csvSection, "t.csv", "\xef\xbb\xbfy,a,n\n1,p,1\n0,q,2\n"},
		{"blank lines", csvSection, "t.csv", "\n\ny,a,n\n\n1,p,1\n\r\n0,q,2\n\n"},
		{"quotes", csvSection, "t.csv", "\"y\",\"a\",n\n\"1\",\"p\",\"1\"\n0,q,2\n"},
		{"other order", csvSection, "t.csv", "n,y,a\n1,1,p\n2,0,q\n"},
		{"gzip", csvSection, "t.csv.gz", datatest.Gzip(t, "y,a,n\n1,p,1\n0,q,2\n")},
		{"zstd", csvSection, "t.csv.zst", datatest.Zstd(t, "y,a,n\n1,p,1\n0,q,2\n")},
		{"tabs", strings.Replace(csvSection, "label", "delimiter: tab, label", 1), "t.tsv", "y\ta\tn\n1\tp\t1\n0\tq\t2\n"},
		{"no header", strings.Replace(csvSection, "label", "names: [a, y, n], label", 1), "t.csv", "p,1,1\nq,0,2\n"},
		{
			"ignored", "{type: csv, path: FILE, label: y, columns: {a: categorical, '*': ignore, n: numeric}}", "t.csv",
			"z,y,a,n,w\n,1,p,1,\"\"\n,0,q,2,x\n",
		},
		{"libfm", "{type: libfm, path: FILE, names: [a, n], columns: {n: numeric}}", "t", "1 5:1 9:1\n-1  6:1\t9:2 \n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, _ := datatest.Options(t)
			s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(c.section, "FILE", datatest.WriteFile(t, c.file, c.text))), o)
			s2, err := data.FromRows(s.Schema, []data.Row{
				{IDs: map[string][]int32{"a": {2}}, Dense: []float32{1}, Label: 1},
				{IDs: map[string][]int32{"a": {3}}, Dense: []float32{2}, Label: 0},
			})
			if err != nil {
				t.Fatal(err)
			}
			sortByLabel(t, s.Train, s2)
		})
	}
}

// sortByLabel compares two sources of two rows, the first positive.
func sortByLabel(t *testing.T, got, want data.Source) {
	t.Helper()
	g, w := datatest.Read(t, got), datatest.Read(t, want)
	if len(g.Label) != 2 {
		t.Fatalf("%d rows, want 2", len(g.Label))
	}
	for i := range g.Label {
		k := i
		if g.Label[0] == 0 {
			k = 1 - i
		}
		if g.Label[k] != w.Label[i] || g.Dense[k] != w.Dense[i] || g.IDs["a"][k] != w.IDs["a"][i] {
			t.Errorf("row %d = %v, want %v", i, g, w)
		}
	}
}
