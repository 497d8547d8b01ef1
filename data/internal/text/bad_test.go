package text_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

func TestTextBadFiles(t *testing.T) {
	const good = "text\tlabel\na\tpos\nb\tneg\n"
	for _, tc := range []struct{ name, file, text, options, want string }{
		{"missing column", "x.tsv", "sentence\tlabel\na\tpos\n", "", "x.tsv: no column text; the file has sentence, label"},
		{"missing columns", "x.tsv", "sentence\ty\na\tpos\n", "", "x.tsv: no column text, label; the file has sentence, y"},
		{
			"a label with a blank", "x.tsv", good + "c\tpos \n", ", labels: [neg, pos]",
			`x.tsv:4: column label: unknown label "pos "; the labels are neg, pos; trim: true takes the blanks around it off`,
		},
		{
			"no header", "x.tsv", "a film\tneg\nc\tpos\n", ", labels: [neg, pos]",
			`no column text, label; the file has a film, neg; if the first line is no header, set names to those of the columns`,
		},
		{
			"unknown label", "x.tsv", good + "c\tgood\n", ", labels: [neg, pos]",
			`x.tsv:4: column label: unknown label "good"; the labels are neg, pos`,
		},
		{
			"number beyond the labels", "x.tsv", good + "c\t2\n", ", labels: [neg, pos]",
			`x.tsv:4: column label: unknown label "2"; the labels are neg, pos`,
		},
		{"blank label", "x.tsv", good + "c\t\n", "", `x.tsv:4: column label: "": the label is blank; want one on every row`},
		{
			"one label", "x.tsv", "text\tlabel\na\tpos\nb\tpos\n", "",
			"x.tsv: all train rows have the label pos (column label); want two classes or more",
		},
		{
			"label of a regression", "x.tsv", good, ", regression: true",
			`x.tsv:2: column label: label "pos" is not a number; want digits like 2.5 (regression)`,
		},
		{"too few columns", "x.tsv", good + "c\n", "", "x.tsv:4: 1 columns, want 2 (text, label); is a delimiter missing or one too many?"},
		{
			"too many columns", "x.tsv", good + "c\tpos\tx\n", "",
			"x.tsv:4: 3 columns, want 2 (text, label); is a delimiter missing or one too many?",
		},
		{"too few columns in csv", "x.csv", "text,label\n\"a\nb\",pos\n\"c\"\n", "", "x.csv:4: 1 columns, want 2 (text, label)"},
		{"open quote", "x.csv", "text,label\na,pos\n\"c,pos\n", "", "x.csv:3: column text: a quote is not closed"},
		{"empty", "x.tsv", "", "", "x.tsv: is empty; want rows"},
		{"header alone", "x.tsv", "text\tlabel\n", "", "x.tsv: has a header but no rows"},
		{"header twice", "x.tsv", "text\ttext\na\tb\n", "", "x.tsv:1: column text is in the header twice"},
		{"binary", "x.tsv", good + "a\x00b\tpos\n", "", "x.tsv:4: holds a NUL byte"},
		{"UTF-16", "x.tsv", "\xff\xfet\x00", "", "x.tsv: is UTF-16; convert it to UTF-8"},
		{
			"long line", "x.tsv", good + strings.Repeat("a ", 1000) + "\tpos\n", ", max_line: 1024",
			"x.tsv:4: the row has 2005 bytes, the longest may have 1024 (max_line)",
		},
		{"no JSON", "x.jsonl", "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"a\"\n", "", "x.jsonl:2: the line is no JSON object"},
		{"no JSON at all", "x.jsonl", "a\tb\n", "", "x.jsonl:1: the line is no JSON object"},
		{
			"missing key", "x.jsonl", "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"a\", \"y\": 1}\n", "",
			"x.jsonl:2: column label: is missing in this row; it has text, y",
		},
		{
			"text that is none", "x.jsonl", "{\"text\": \"a\", \"label\": 1}\n{\"text\": [1], \"label\": 1}\n", "",
			"x.jsonl:2: column text: \"[1]\" is no text; want a string in quotes",
		},
		{"unknown format", "x.data", good, "", "x.data: the name does not say what it is; set format to tsv, csv, jsonl or lines"},
		{"label of lines", "x.txt", good, "", "x.txt: no column label; the file has text"},
		{
			"no room for labels", "x.tsv", "text\tlabel\n" + manyLabels(), "",
			"more than 1000 different labels; set regression if they are numbers",
		},
		{"no tokenizer", "x.tsv", good, ", tokenizer: /nowhere", "data: tokenizer: token: stat /nowhere"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, _ := datatest.Options(t)
			if !strings.Contains(tc.options, "tokenizer") {
				tc.options += ", tokenizer: " + tokenizer(t, letters)
			}
			_, err := datatest.Section(t,
				fmt.Sprintf("{type: text, path: %s, label: label%s}", datatest.WriteFile(t, tc.file, tc.text), tc.options)).Open(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "EXTRA") {
				t.Errorf("error %v\nwant %s", err, tc.want)
			}
		})
	}
}

func manyLabels() string {
	var s strings.Builder
	for i := range 1100 {
		fmt.Fprintf(&s, "a\t%d.5\n", i)
	}
	return s.String()
}

// Rows that cannot be read are left out and counted if the options say so.
func TestTextBadRows(t *testing.T) {
	file := datatest.WriteFile(t, "x.tsv", "text\tlabel\na\tpos\nb\nc\tneg\nd\tgood\n")
	o, log := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t,
		fmt.Sprintf("{type: text, path: %s, label: label, labels: [neg, pos], bad_rows: skip, tokenizer: %s}", file, tokenizer(t, letters))), o)
	got := byRow(textsOf(t, s.Train, s.Map.Text.Tokenizer(), 0, 2))
	if len(got) != 2 || got[1].Tokens != "[CLS] c [SEP]" || got[1].Row != 1 {
		t.Errorf("rows %v", got)
	}
	if !strings.Contains(log.String(), "skipped=2 read=2") || !strings.Contains(log.String(), "x.tsv:5: column label") {
		t.Errorf("log %s", log)
	}
}

func TestTextBadOptions(t *testing.T) {
	for options, want := range map[string]string{
		"path: x, label: y, mask_rate: 0.1":                                    "mask_rate: a masked language model has one text and no label",
		"path: x":                                                              "label: is missing; want the column of the label, or mask_rate for a masked language model",
		"label: y":                                                             "path: is missing",
		"path: x, label: text":                                                 "label: text is a text too",
		"path: x, label: y, text_pair: text":                                   "text_pair: text is the first text too",
		"path: x, label: y, blocks: true":                                      "blocks: are of masked language models",
		"path: x, label: y, labels: [a]":                                       "labels: want two classes or more",
		"path: x, label: y, labels: [a, a]":                                    "labels.1: \"a\" is blank or there twice",
		"path: x, label: y, labels: [a, b], regression: true":                  "labels: numbers to regress on",
		"path: x, mask_rate: 1.5":                                              "mask_rate: must be in [0, 1), have 1.5",
		"path: x, label: y, max_length: 2":                                     "max_length: must be in [4, 32768] tokens, have 2",
		"path: x, label: y, buckets: [8, 8]":                                   "buckets.1: want lengths above 0 that rise, have 8",
		"path: x, label: y, max_train_rows: -1":                                "max_train_rows: must not be negative, have -1",
		"path: x, label: y, vocab_size: 5":                                     "vocab_size: must be in [10, 1048576] tokens, have 5",
		"path: x, label: y, format: xml":                                       "format: want tsv, csv, jsonl or lines",
		"path: x, label: y, delimiter: ab":                                     "delimiter: want one ASCII character or tab",
		"path: x, label: y, names: [a, a]":                                     "names.1: \"a\" is blank or there twice",
		"path: x, label: y, max_columns: 2":                                    "max_columns: want the number of names",
		"path: x, label: y, split: {by: time, ratio: [0.5, 0.5]}":              "split.by: texts have no time column",
		"path: x, label: y, valid_path: v, split: {ratio: [0.5, 0.5]}":         "valid_path: the split makes a validation part too",
		"path: x, label: y, fallback: maybe":                                   "fallback: must be none or synthetic",
		"path: x, label: y, bad_rows: maybe":                                   "bad_rows: must be error or skip",
		"type: glue, path: x":                                                  "task",
		"type: glue, task: sst3, path: x":                                      "task: want one of cola, mnli, mrpc, qnli, qqp, rte, sst2, stsb, wnli, have \"sst3\"",
		"type: glue, task: rte, path: x, dev: train":                           "dev: want valid or test",
		"type: glue, task: rte, path: x, split: {ratio: [0.9, 0.1]}":           "split: there is another validation part; set dev: test",
		"type: glue, task: rte, path: x, dev: test, test_path: y":              "test_path: dev is the test part too",
		"type: glue, task: rte, path: x, dev: test, split: {ratio: [1, 0, 0]}": "",
		"type: glue, task: stsb, path: x, fallback: synthetic":                 "fallback: generated reviews have classes, stsb has numbers",
		"type: reviews, train: 0":                                              "train: must be in [0, 16777216] rows, of train above 0",
	} {
		if !strings.HasPrefix(options, "type") {
			options = "type: text, " + options
		}
		_, err := datatest.TrySection("{" + options + "}")
		if want == "" && err == nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("{%s}: error %v\nwant %s", options, err, want)
		}
	}
}

// A row that cannot be read is an error of Open or of the first batch, and the file is named however it was given.
func TestTextBadStream(t *testing.T) {
	o, _ := datatest.Options(t)
	d := datatest.Section(t, fmt.Sprintf("{type: text, path: %s, label: label, bad_rows: skip, tokenizer: %s}",
		datatest.WriteFile(t, "x.tsv", "text\tlabel\na\tpos\nb\tneg\n"), tokenizer(t, letters)))
	s := datatest.Open(t, d, o)
	for _, tc := range []struct {
		name, text string
		labels     bool
		want       string
	}{
		{"too few columns", "text\tlabel\na\n", false, "y.tsv:2: 1 columns, want 2"},
		{"no label", "text\na\n", true, "y.tsv: no column label; the file has text"},
		{"unknown label", "text\tlabel\na\tx\n", true, `y.tsv:2: column label: unknown label "x"; the labels are neg, pos`},
		{"no text", "sentence\na\n", false, "y.tsv: no column text; the file has sentence"},
		{"empty", "", false, "y.tsv: is empty"},
	} {
		src := d.Stream(t.Context(), datatest.WriteFile(t, "y.tsv", tc.text), s.Map, data.StreamOptions{Labels: tc.labels})
		var err error
		for _, err = range src.Batches(0, 4) {
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v\nwant %s", tc.name, err, tc.want)
		}
	}
	src := d.Stream(t.Context(), filepath.Join(t.TempDir(), "none.tsv"), s.Map, data.StreamOptions{})
	for _, err := range src.Batches(0, 4) {
		if err == nil || !strings.Contains(err.Error(), "none.tsv") {
			t.Errorf("no file: %v", err)
		}
	}
}
