package text

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/internal/scan"
)

// textsOf is the sink that keeps the texts and labels of all rows.
type textsOf struct{ rows [][2]string }

func (r *textsOf) Work(*scan.Chunk) {}

func (r *textsOf) Emit(c *scan.Chunk) error {
	for i := range c.N {
		tok := c.Tok[i*c.Plan.Tokens : (i+1)*c.Plan.Tokens]
		at := func(k int) string { return string(c.Data[tok[k].Lo:tok[k].Hi]) }
		r.rows = append(r.rows, [2]string{at(firstText), at(labelCell)})
	}
	return nil
}

const fuzzLine = 1 << 10

// parseText reads rows in blocks that are little longer than the longest row.
func parseText(t *testing.T, kind string, text []byte) ([][2]string, error) {
	s := &Spec{Format: kind, Text: "text", Label: "label"}
	if kind == Lines {
		s.Label = ""
	}
	s.Options.MaxLine = fuzzLine
	f, err := s.format([]string{"x"})
	if err != nil {
		t.Fatal(err)
	}
	p, to := newPlan(fuzzLine), &textsOf{}
	pass := &scan.Pass{Format: f, Plan: p, Bad: scan.BadRows{Skip: true, Limit: math.MaxInt64}}
	reader := &scan.Scanner{Format: f, Plan: p, MaxLine: fuzzLine, More: 16, Free: make(chan []byte, 1)}
	c := &scan.Chunk{Plan: p}
	err = reader.Blocks(t.Context(), "x", bytes.NewReader(text), func(b *scan.Block) error {
		c.Reset(b)
		pass.Parse(c)
		if err := pass.Number(c); err != nil {
			return err
		}
		return to.Emit(c)
	})
	return to.rows, err
}

// plainRows reads rows of cells without quotes, and lines of JSON, in the simplest way. The first line is taken as read.
func plainRows(kind string, lines []string) (rows [][2]string) {
	var names []string
	for i, l := range lines {
		if l = strings.TrimSuffix(strings.TrimSuffix(l, "\n"), "\r"); l == "" {
			continue
		}
		switch kind {
		case Lines:
			rows = append(rows, [2]string{l, ""})
			continue
		case JSONL:
			object := map[string]any{}
			d := json.NewDecoder(strings.NewReader(l))
			d.UseNumber()
			if !json.Valid([]byte(l)) || d.Decode(&object) != nil {
				continue
			}
			text, ok := object["text"].(string)
			label := ""
			switch v := object["label"].(type) {
			case string, json.Number, bool:
				label = fmt.Sprint(v)
			}
			if ok && label != "" {
				rows = append(rows, [2]string{text, label})
			}
			continue
		}
		cells := strings.Split(l, map[string]string{TSV: "\t", CSV: ","}[kind])
		if i == 0 {
			names = cells
			continue
		}
		if label := slices.Index(names, "label"); len(cells) == len(names) && cells[label] != "" {
			rows = append(rows, [2]string{cells[slices.Index(names, "text")], cells[label]})
		}
	}
	return rows
}

// Rows of texts are those that the simplest reading finds, and no file ends the program.
func FuzzRows(f *testing.F) {
	good := "text\tlabel\n" + strings.Repeat("a film\t1\nanother\t0\n", 3)
	for _, s := range []string{
		"", "\n\n\n", good, "\ufeff" + good, strings.ReplaceAll(good, "\n", "\r\n"), strings.ReplaceAll(good, "\n", "\r"), "\xff\xfet\x00e\x00", good + "\x00\t1\n", "text\tlabel\n",
		"text\ttext\tlabel\na\tb\t1\n", good + "a\n", good + "a\t1\tb\n", good + "a\t\n", good + "\xff\xfe\t1\n", good + "\u2028\t1\n", good + "\x1b[2J\t1\n", good + strings.Repeat("a", 2000) + "\t1\n",
		good + strings.Repeat("\u0300", 400) + "\t1\n", "\"text\tlabel\n", "text\nx\n", "x\ny\n", "sentence\tlabel\na\t1\n", "\x00\x00\x00",
		"text,label\n\"a, b\",1\n\"c\nd\",0\n", "text,label\n\"a\"\"b\",1\n", "text,label\n\"a,1\n", "text,label\na\"b,1\n", "text,label\n\"a\"b,1\n", "text,label\n\"" + strings.Repeat("a\n", 700) + "\",1\n",
		`{"text": "a", "label": 1}` + "\n" + `{"text": "b", "label": "x"}`, `{"text": "a\u0000\ud800", "label": true}`, `{"text": "a", "label": null}`, `{"text": 1, "label": 1}`, `{"text": "a", "label": {}}`,
		`{"text": "a", "label": 1} x`, `{"text": "a", "text": "b", "label": 1e400}`, `[1]`, `{"text": ["a"], "label": 1}`, `{"text": "a", "label": 1}` + "\n" + `{"x": ` + strings.Repeat("[", 900) + "\n",
		`{"text": "a", "label": 1}` + "\n" + `{"text": "a`, `{"Text": "a", "label": 1}`, "null\n", "{}\n", `{"text":"a","label":1}` + "\n\n  \nnull\n" + `{"text":"` + "\xff" + `","label":""}`,
	} {
		for kind := range uint8(4) {
			f.Add(kind, []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, k uint8, text []byte) {
		kind := []string{TSV, CSV, JSONL, Lines}[k%4]
		got, err := parseText(t, kind, bytes.Clone(text))
		if err != nil || kind == CSV && bytes.ContainsRune(text, '"') || bytes.ContainsRune(text, 0) {
			return
		}
		lines := strings.SplitAfter(string(bytes.TrimPrefix(text, scan.UTF8BOM)), "\n")
		if slices.ContainsFunc(lines, func(l string) bool { return len(l) > fuzzLine }) {
			return
		}
		for lines[0] == "\n" || lines[0] == "\r\n" { // before the header
			lines = lines[1:]
		}
		if want := plainRows(kind, lines); !slices.Equal(got, want) {
			t.Fatalf("%s %q has rows %q, want %q", kind, text, got, want)
		}
	})
}
