package set_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/datatest"
	"github.com/splice-ml/splice/data/set"
)

// cases are the data sets as datatest.Check tests them, by the registered name and what is special about a case. A new data set is
// a line here.
var cases = map[string]func(testing.TB) datatest.Case{
	"criteo":                 criteoCase,
	"csv":                    csvCase,
	"csv tasks":              tasksCase,
	"parquet":                parquetCase,
	"parquet tasks":          parquetTasksCase,
	"csv derived":            derivedCase,
	"libfm":                  libfmCase,
	"synthetic_interactions": synthInteractionsCase,
	"interactions":           func(t testing.TB) datatest.Case { return interactionsCase(t, "candidates", "") },
	"interactions items":     func(t testing.TB) datatest.Case { return interactionsCase(t, "candidates", itemsCase(t)) },
	"interactions seq items": func(t testing.TB) datatest.Case { return interactionsCase(t, "sequences", itemsCase(t)) },
	"interactions sequences": func(t testing.TB) datatest.Case { return interactionsCase(t, "sequences", "") },
	"frappe":                 frappeCase,
	"glue":                   func(t testing.TB) datatest.Case { return glueCase(t, "sst2") },
	"glue pair":              func(t testing.TB) datatest.Case { return glueCase(t, "rte") },
	"text":                   textCase,
	"text mask":              maskCase,
	"reviews":                reviewsCase,
	"tastes":                 tastesCase,
	"likes":                  likesCase,
}

func TestEveryDataset(t *testing.T) {
	for _, name := range data.Datasets.Names() {
		found := false
		for label, c := range cases {
			if label == name || strings.HasPrefix(label, name+" ") {
				found = true
				t.Run(label, func(t *testing.T) { datatest.Check(t, c(t)) })
			}
		}
		if !found {
			t.Errorf("%s has no case: add one to cases, so that datatest.Check tests it", name)
		}
	}
}

// three are how many train, validation and test rows the cases have.
var three = [3]int{24, 7, 11}

// files writes the rows of three parts from one list, the train rows into several files, so that several goroutines read them; line
// gives row i as text. It returns the globs of the parts and the number of the first test row.
func files(t testing.TB, ext, header string, line func(i int) string) (paths [3]string, test int) {
	t.Helper()
	dir, at := t.TempDir(), 0
	for part, n := range three {
		test = at
		name := data.Part(part).String()
		paths[part] = filepath.Join(dir, name+ext)
		if data.Part(part) == data.TrainPart && ext != ".tsv" {
			paths[part] = filepath.Join(dir, name+"*"+ext)
		}
		for at < test+n {
			var text strings.Builder
			text.WriteString(header)
			for k := 0; k < 5 && at < test+n || k < n && !strings.Contains(paths[part], "*"); k++ {
				text.WriteString(line(at) + "\n")
				at++
			}
			path := strings.Replace(paths[part], "*", fmt.Sprintf("-%02d", at), 1)
			if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return paths, test
}

// common returns the options of files.
func common(paths [3]string) data.Common {
	c := data.DefaultCommon()
	c.Path, c.ValidPath, c.TestPath = paths[:1], paths[1:2], paths[2:]
	return c
}

// testRows returns Case.Test of a file and rows in memory, where row gives row i.
func testRows(path string, first int, row func(i int) map[string]any) func(testing.TB, *data.Splits) (string, []map[string]any) {
	return func(testing.TB, *data.Splits) (string, []map[string]any) {
		var rows []map[string]any
		for i := range three[data.TestPart] {
			rows = append(rows, row(first+i))
		}
		return path, rows
	}
}

func criteoCase(t testing.TB) datatest.Case {
	row := func(i int) map[string]any {
		r := map[string]any{}
		for k := range 13 {
			r[fmt.Sprintf("I%d", k+1)] = []any{i * k, float64(i - k), fmt.Sprint(i % (k + 1)), nil, "", 1.5, int64(i) << 33}[(i+k)%7]
		}
		for k := range 26 {
			r[fmt.Sprintf("C%d", k+1)] = []any{fmt.Sprintf("%x", i%(k+2)), i % (k + 1), nil, float64(k) + .25, "c"}[(i+k)%5]
		}
		if i%2 == 0 {
			r["label"] = i % 3
		}
		return r
	}
	paths, test := files(t, ".log", "", func(i int) string {
		cells, r := []string{fmt.Sprint(i % 2)}, row(i)
		for k := range 39 {
			name := fmt.Sprintf("I%d", k+1)
			if k >= 13 {
				name = fmt.Sprintf("C%d", k-12)
			}
			cells = append(cells, cell(r[name]))
		}
		return strings.Join(cells, "\t")
	})
	d := set.Criteo{Common: common(paths)}
	d.Columns = map[string]data.Column{
		"I1": data.NumericColumn{Transform: data.Log1p}, "I2": data.NumericColumn{Transform: data.Standardize},
		"I3": data.NumericColumn{Transform: data.LogSquareBucket}, "C2": data.CategoricalColumn{Hash: 50}, "C3": data.IgnoreColumn{},
	}
	return datatest.Case{Data: d, Test: testRows(paths[2], test, row)}
}

// cell is a value as a person would write it into a file.
func cell(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func csvCase(t testing.TB) datatest.Case {
	row := func(i int) map[string]any {
		r := map[string]any{
			"user": i % 5, "name": []any{`say "hi", you`, "two\nlines", "plain", "", nil, "NA", "été"}[i%7],
			"price": []any{i, float64(i) / 8, "NA", nil, "-1e3", float32(.1), uint8(7)}[i%7],
			"age":   []any{i * 3, "", 1e6}[i%3],
			"tags":  []any{[]string{"a", "b", "c", "d"}, []any{"b", 7, nil, 2.5}, "c|d", nil, []int{7, 8}, []string{"NA"}, []any{}}[i%7],
		}
		switch i % 4 {
		case 0:
			r["y"], r["junk"] = 1, struct{}{}
		case 1:
			r["when"], r["y"] = "2024-01-02", "no label"
		}
		return r
	}
	text := func(v any) string {
		s := cell(v)
		switch v := v.(type) {
		case []string:
			s = strings.Join(v, "|")
		case []int:
			s = "7|8"
		case []any:
			s = ""
			if len(v) > 0 {
				s = "b|7||2.5"
			}
		}
		if strings.ContainsAny(s, "\",\n") {
			s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
		return s
	}
	paths, test := files(t, ".csv", "y,when,junk,user,name,price,age,tags\n", func(i int) string {
		r := row(i)
		return fmt.Sprintf("%d,%d,junk,%s,%s,%s,%s,%s", i%2, i, text(r["user"]), text(r["name"]), text(r["price"]), text(r["age"]),
			text(r["tags"]))
	})
	d := set.CSV{Common: common(paths), Label: data.Names{"y"}, Group: "user", Time: "when", Quote: true, Missing: []string{"NA"}}
	d.Columns = map[string]data.Column{
		"junk": data.IgnoreColumn{}, "user": data.CategoricalColumn{}, "name": data.CategoricalColumn{MinCount: 2},
		"price": data.NumericColumn{Transform: data.Standardize, Fill: new(float64)}, "age": data.NumericColumn{Transform: data.LogSquareBucket},
		"tags": data.MultiColumn{Separator: "|", MaxLen: 3},
	}
	*d.Columns["price"].(data.NumericColumn).Fill = .5
	return datatest.Case{Data: d, Test: testRows(paths[2], test, row)}
}

// tasksCase is rows with labels of four kinds, some of which are missing, and weights.
func tasksCase(t testing.TB) datatest.Case {
	row := func(i int) map[string]any {
		r := map[string]any{"user": i % 4, "price": []any{float64(i) / 4, i, nil}[i%3]}
		if i%2 == 0 {
			r["w"], r["like"], r["click"] = 2, nil, 1
		}
		return r
	}
	paths, test := files(t, ".csv", "like,w,user,seconds,price,stars,click\n", func(i int) string {
		r := row(i)
		return fmt.Sprintf("%s,%g,%s,%s,%s,%s,%d", []string{"", "0", "1"}[i%3], float64(i%5)/2, cell(r["user"]), []string{"1e3", "", "-2.5"}[i%3],
			cell(r["price"]), []string{"one", "", "two", "many"}[i%4], i%2)
	})
	d := set.CSV{
		Common: common(paths), Label: data.Names{"click", "like", "seconds", "stars"}, Weight: "w", Group: "user", NumberLabels: data.Names{"seconds"},
		ClassLabels: map[string][]string{"stars": {"one", "two", "many"}},
	}
	d.Columns = map[string]data.Column{"user": data.CategoricalColumn{}, "price": data.NumericColumn{Transform: data.Standardize}}
	return datatest.Case{Data: d, Test: testRows(paths[2], test, row)}
}

func parquetCase(t testing.TB) datatest.Case {
	row := func(i int) map[string]any {
		return map[string]any{
			"y": i % 2, "when": time.Unix(int64(i)*3600, 0).UTC(), "user": int64(i % 5), "junk": "j",
			"name":  []any{"plain", "", nil, "NA", "été", "two\nlines"}[i%6],
			"price": []any{float64(i) / 8, nil, -1e3, .1}[i%4], "age": []any{float32(i) / 10, nil, float32(.1)}[i%3],
			"tags": []any{[]any{"a", "b", nil, "c"}, []any{"b", "7", "NA"}, nil, []any{}}[i%4], "seen": []any{[]int64{1, int64(i % 4)}, []int64{}}[i%2],
			"vec": []any{[]float32{.1, float32(i), -2}, []float32{}}[i/5%2],
		}
	}
	columns := parquet.Group{
		"y": parquet.Int(64), "when": parquet.Timestamp(parquet.Millisecond), "user": parquet.Int(32), "junk": parquet.String(),
		"name": parquet.Optional(parquet.String()), "price": parquet.Optional(parquet.Leaf(parquet.DoubleType)),
		"age": parquet.Optional(parquet.Leaf(parquet.FloatType)), "tags": parquet.Optional(parquet.List(parquet.Optional(parquet.String()))),
		"seen": parquet.List(parquet.Int(64)), "vec": parquet.List(parquet.Leaf(parquet.FloatType)),
	}
	dir, at := t.TempDir(), 0
	var paths [3]string
	for part, n := range three {
		name := data.Part(part).String()
		paths[part] = filepath.Join(dir, name+"*.parquet")
		for end := at + n; at < end; {
			var rows []map[string]any
			for k := 0; k < 5 && at < end || k < n && part > 0; k++ {
				rows = append(rows, row(at))
				at++
			}
			datatest.WriteParquet(t, filepath.Join(dir, fmt.Sprintf("%s-%02d.parquet", name, at)), columns, rows, parquet.MaxRowsPerRowGroup(3))
		}
	}
	d := set.Parquet{Common: common(paths), Label: data.Names{"y"}, Group: "user", Time: "when", Missing: []string{"NA", "-1000"}}
	d.Columns = map[string]data.Column{
		"junk": data.IgnoreColumn{}, "user": data.CategoricalColumn{}, "name": data.CategoricalColumn{MinCount: 2},
		"price": data.NumericColumn{Transform: data.Standardize}, "age": data.NumericColumn{},
		"tags": data.MultiColumn{Separator: "|", MaxLen: 3}, "seen": data.SequenceColumn{Separator: "|", MaxLen: 5, Keep: data.KeepLast},
		"vec":  data.VectorColumn{Dim: 3, Separator: ",", Project: true},
		"hour": data.CategoricalColumn{From: "when", Derive: data.Hour}, "maker": data.CategoricalColumn{From: "name", Derive: data.Prefix, Length: 2},
		"price_part": data.NumericColumn{From: "price", Transform: data.QuantileBucket, Buckets: 3}, "seen_set": data.MultiColumn{CategoricalColumn: data.CategoricalColumn{From: "seen"}, Separator: "|", MaxLen: 2},
		"tags_text": data.CategoricalColumn{From: "tags"}, "age_range": data.NumericColumn{From: "age", Transform: data.MinMax},
	}
	test := strings.Replace(paths[data.TestPart], "*", fmt.Sprintf("-%02d", at), 1)
	grow := func(file []byte) []byte { // with some bytes before the footer, which lies at the end
		footer := len(file) - 8 - int(binary.LittleEndian.Uint32(file[len(file)-8:]))
		return slices.Insert(file, footer, 0)
	}
	return datatest.Case{Data: d, Test: testRows(test, at-three[data.TestPart], row), Grow: grow}
}

// derivedCase has columns that are made of others, and of themselves.
func derivedCase(t testing.TB) datatest.Case {
	row := func(i int) map[string]any {
		return map[string]any{
			"at": []any{"2024-01-0" + fmt.Sprint(1+i%9) + " 1" + fmt.Sprint(i%10) + ":00:00", nil, 1.7e9 + float64(i*7321), "2024-03-10T23:30:00-05:00"}[i%4],
			"ms": 1700000000000 + int64(i)*12345678, "device": []any{"été-12", "ab", nil, "phone 7"}[i%4], "price": []any{float64(i) / 3, nil, -i}[i%3],
			"tags": []any{[]string{"a", "b"}, nil, "c"}[i%3], "digits": 2024010100 + i%24,
			"vec": []any{[]float64{float64(i) / 4, -1, 1e-9}, "[1, 2 ,3.5]", nil, []float32{.1, 2, float32(i)}, []any{i, "2", 3.25}}[i%5],
		}
	}
	text := func(v any) string {
		switch list := v.(type) {
		case []string:
			return strings.Join(list, "|")
		case []float64, []float32, []any:
			return `"[` + strings.ReplaceAll(strings.Trim(fmt.Sprint(list), "[]"), " ", ", ") + `]"`
		case string:
			if strings.Contains(list, ",") {
				return `"` + list + `"`
			}
		}
		if f, ok := v.(float64); ok {
			return strconv.FormatFloat(f, 'f', -1, 64)
		}
		return cell(v)
	}
	paths, test := files(t, ".csv", "y,at,ms,device,price,tags,digits,vec\n", func(i int) string {
		r := row(i)
		return fmt.Sprintf("%d,%s,%s,%s,%s,%s,%s,%s", i%2, text(r["at"]), text(r["ms"]), text(r["device"]), text(r["price"]), text(r["tags"]), text(r["digits"]), text(r["vec"]))
	})
	d := set.CSV{Common: common(paths), Label: data.Names{"y"}, Quote: true}
	d.Columns = map[string]data.Column{
		"hour": data.CategoricalColumn{From: "at", Derive: data.Hour}, "weekday": data.CategoricalColumn{From: "at", Derive: data.Weekday},
		"weekend": data.CategoricalColumn{From: "ms", Derive: data.Weekend, TimeFormat: "milliseconds"},
		"ms":      data.CategoricalColumn{Derive: data.Hour, TimeFormat: "milliseconds"},
		"maker":   data.CategoricalColumn{From: "device", Derive: data.Prefix, Length: 3}, "device": data.CategoricalColumn{},
		"price": data.NumericColumn{Transform: data.MinMax}, "price_bucket": data.NumericColumn{From: "price", Transform: data.Bucket, Edges: []float64{-1, 0, 2.5}},
		"price_part": data.NumericColumn{From: "price", Transform: data.QuantileBucket, Buckets: 4}, "price_text": data.CategoricalColumn{From: "price"},
		"tags": data.MultiColumn{Separator: "|", MaxLen: 3}, "tags_text": data.CategoricalColumn{From: "tags", Hash: 9},
		"digits": data.CategoricalColumn{Derive: data.Hour, TimeFormat: "YYYYMMDDhh"},
		"vec":    data.VectorColumn{Dim: 3, Separator: ",", Project: true}, "vec_raw": data.VectorColumn{From: "vec", Dim: 3, Separator: ","},
	}
	return datatest.Case{Data: d, Test: testRows(paths[2], test, row)}
}

// parquetTasksCase is the rows of tasksCase in Parquet files.
func parquetTasksCase(t testing.TB) datatest.Case {
	csv := tasksCase(t)
	columns := parquet.Group{
		"like": parquet.Optional(parquet.String()), "w": parquet.Leaf(parquet.DoubleType), "user": parquet.Int(64), "seconds": parquet.Optional(parquet.Leaf(parquet.DoubleType)),
		"price": parquet.Optional(parquet.Leaf(parquet.DoubleType)), "stars": parquet.Optional(parquet.String()), "click": parquet.Int(32),
	}
	dir, at := t.TempDir(), 0
	var paths [3]string
	for part, n := range three {
		paths[part] = filepath.Join(dir, data.Part(part).String()+".parquet")
		var rows []map[string]any
		for range n {
			i := at
			rows = append(rows, map[string]any{
				"like": []any{nil, "0", "1"}[i%3], "w": float64(i%5) / 2, "user": int64(i % 4), "seconds": []any{1e3, nil, -2.5}[i%3],
				"price": []any{float64(i) / 4, float64(i), nil}[i%3], "stars": []any{"one", nil, "two", "many"}[i%4], "click": int64(i % 2),
			})
			at++
		}
		datatest.WriteParquet(t, paths[part], columns, rows, parquet.MaxRowsPerRowGroup(4))
	}
	of := csv.Data.(set.CSV)
	common := common(paths)
	common.Columns = of.Columns
	d := set.Parquet{Common: common, Label: of.Label, Weight: of.Weight, Group: of.Group, NumberLabels: of.NumberLabels, ClassLabels: of.ClassLabels}
	test := func(t testing.TB, s *data.Splits) (string, []map[string]any) {
		_, rows := csv.Test(t, s)
		return paths[data.TestPart], rows
	}
	return datatest.Case{Data: d, Test: test, Grow: parquetCase(t).Grow}
}

func libfmCase(t testing.TB) datatest.Case {
	row := func(i int) map[string]any {
		r := map[string]any{"user": i % 4, "item": fmt.Sprint(100 + i%6), "price": []any{float64(i) / 4, i, "1e2"}[i%3]}
		if i%2 == 0 {
			r["label"] = -1
		}
		return r
	}
	paths, test := files(t, ".libfm", "", func(i int) string {
		r := row(i)
		return fmt.Sprintf("%d %v:1 %v:1 300:%v", i%3-1, r["user"], r["item"], r["price"])
	})
	d := set.LibFM{Common: common(paths), Names: []string{"user", "item", "price"}}
	d.Columns = map[string]data.Column{"price": data.NumericColumn{}}
	return datatest.Case{Data: d, Test: testRows(paths[2], test, row)}
}

// frappeCase writes the test rows as a file: the negative ones are sampled when the data set is opened.
func frappeCase(t testing.TB) datatest.Case {
	c := data.DefaultCommon()
	c.Path, c.Split.Ratio = []string{datatest.WriteFile(t, "frappe.csv", frappeText(12))}, []float64{.6, .2, .2}
	return datatest.Case{Data: set.Frappe{Common: c, Negatives: 1}, Test: func(t testing.TB, s *data.Splits) (string, []map[string]any) {
		path, rows := decoded(t, s)
		for i := range rows {
			rows[i]["cnt"] = i
		}
		return path, rows
	}}
}

func tastesCase(testing.TB) datatest.Case {
	d := set.Tastes{Users: 7, Items: 5, Rows: 60, Seed: 2, Split: data.Split{By: data.SplitOrder, Ratio: []float64{.6, .2, .2}}}
	return datatest.Case{Data: d, Test: decoded}
}

func likesCase(testing.TB) datatest.Case {
	d := set.Likes{
		Users: 7, Items: 5, Rows: 60, Seed: 2, Shared: .5, Label: data.Names{"click", "like"},
		Split: data.Split{By: data.SplitOrder, Ratio: []float64{.6, .2, .2}},
	}
	return datatest.Case{Data: d, Test: func(t testing.TB, s *data.Splits) (string, []map[string]any) {
		path, rows := decoded(t, s)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			label, rest, _ := strings.Cut(line, "\t")
			lines[i] = label + "\t0\t" + rest
		}
		lines[0] = strings.Replace(lines[0], "label\t0", "click\tlike", 1)
		for _, row := range rows {
			delete(row, "label")
		}
		return datatest.WriteFile(t, "likes.tsv", strings.Join(lines, "\n")), rows
	}}
}

// decoded writes the test rows of a data set of categorical features as a file with a header, by the tokens of their ids.
func decoded(t testing.TB, s *data.Splits) (path string, rows []map[string]any) {
	all := datatest.Read(t, s.Test)
	var text strings.Builder
	text.WriteString("label")
	for _, f := range s.Schema.Features {
		text.WriteString("\t" + f.Name)
	}
	for i, label := range all.Label {
		row := map[string]any{"label": "?"}
		fmt.Fprintf(&text, "\n%g", label)
		for _, f := range s.Schema.Features {
			token, ok := s.Map.Token(f.Name, all.IDs[f.Name][i])
			if !ok {
				token = "never seen"
			}
			text.WriteString("\t" + token)
			row[f.Name] = token
		}
		rows = append(rows, row)
	}
	return datatest.WriteFile(t, "test.tsv", text.String()), rows
}

// textOptions are those of a small vocabulary.
func textOptions() data.TextOptions {
	o := data.DefaultTextOptions()
	o.VocabSize, o.MaxLength, o.Buckets = 60, 16, []int{6, 10}
	return o
}

// words is a text of i.
func words(i int) string {
	return strings.Join([]string{"a", "good", "film", "and", "slow", "éte", "story", "17", "\xff!"}[:1+i%9], " ")
}

func glueCase(t testing.TB, task string) datatest.Case {
	row := func(i int) map[string]any {
		if task == "sst2" {
			return map[string]any{"sentence": words(i), "label": i}
		}
		return map[string]any{"sentence1": words(i), "sentence2": []any{words(i + 4), i, 2.5, nil}[i%4]}
	}
	header, line := "sentence\tlabel\n", func(i int) string { return fmt.Sprintf("%s\t%d", words(i), i%2) }
	if task == "rte" {
		header, line = "index\tsentence1\tsentence2\tlabel\n", func(i int) string {
			return fmt.Sprintf("%d\t%s\t%s\t%s", i, words(i), cell(row(i)["sentence2"]), []string{"entailment", "not_entailment"}[i%2])
		}
	}
	paths, test := files(t, ".tsv", header, line)
	d := set.Glue{Task: task, Path: filepath.Dir(paths[0]), ValidPath: paths[1], TestPath: paths[2], TextOptions: textOptions()}
	return datatest.Case{Data: d, Test: testRows(paths[2], test, row)}
}

func textCase(t testing.TB) datatest.Case {
	row := func(i int) map[string]any { return map[string]any{"q": words(i), "a": "x " + words(i+2), "class": "?"} }
	paths, test := files(t, ".jsonl", "", func(i int) string {
		return fmt.Sprintf(`{"n": %d, "q": %q, "class": %q, "a": %q}`, i, strings.ToValidUTF8(words(i), "�"),
			[]string{"no", "yes", "who knows"}[i%3], strings.ToValidUTF8("x "+words(i+2), "�"))
	})
	d := set.Texts{
		Path: paths[:1], ValidPath: paths[1:2], TestPath: paths[2:], Text: "q", TextPair: "a", Label: "class",
		TextOptions: textOptions(),
	}
	return datatest.Case{Data: d, Test: testRows(paths[2], test, row)}
}

// maskCase is the rows of a masked language model, of which a text can be several: none are encoded from memory.
func maskCase(t testing.TB) datatest.Case {
	paths, _ := files(t, ".txt", "", func(i int) string { return words(i) + " " + words(i/2) })
	d := set.Texts{Path: paths[:1], ValidPath: paths[1:2], TestPath: paths[2:], Text: "text", MaskRate: .3, TextOptions: textOptions()}
	return datatest.Case{Data: d, Test: func(testing.TB, *data.Splits) (string, []map[string]any) { return paths[2], nil }}
}

// reviewsCase writes the generated test rows as a file.
func reviewsCase(testing.TB) datatest.Case {
	d := set.Reviews{Train: three[0], Valid: three[1], Test: three[2], Seed: 4, TextOptions: textOptions()}
	return datatest.Case{Data: d, Test: func(t testing.TB, _ *data.Splits) (string, []map[string]any) {
		text, rows := "sentence\tlabel\n", []map[string]any{}
		for i := range d.Test {
			sentence, label := set.Review(d.Seed, d.Train+d.Valid+i)
			text += fmt.Sprintf("%s\t%d\n", sentence, label)
			rows = append(rows, map[string]any{"sentence": sentence})
		}
		return datatest.WriteFile(t, "test.tsv", text), rows
	}}
}
