package webpage_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cmd/internal/webpage"
)

const picture = `<?xml version="1.0"?>
<!-- made by a program -->
<svg width="4pt" height="2pt" viewBox="0 0 4 2"
	xmlns="http://www.w3.org/2000/svg"
	xmlns:xlink="http://www.w3.org/1999/xlink">
<circle cx="1" cy="1" r="1"><title>a point on it: 1</title></circle>
</svg>
`

func document(t *testing.T) *webpage.Document {
	t.Helper()
	svg, err := webpage.Inline([]byte(picture))
	if err != nil {
		t.Fatal(err)
	}
	cell := func(text string, v float64) webpage.Cell {
		return webpage.Cell{Text: text, Value: webpage.Number(v), Hover: text + " & more"}
	}
	table := &webpage.Table{ID: "t", Caption: "A <table>", Head: []string{"method", "AUC", "note"}, Rows: []webpage.Row{
		{From: "a.json#/rows/0", Cells: []webpage.Cell{{Text: "base & co"}, cell("0.9", .9), {Text: "b"}}},
		{From: "a.json#/rows/1", Cells: []webpage.Cell{{Text: "merge"}, cell("-", 0), {Text: "a10"}}},
		{From: "a.json#/rows/2", Cells: []webpage.Cell{{Text: "CKI"}, cell("0.95", .95), {Text: "a9"}}},
		{From: "a.json#/rows/3", Cells: []webpage.Cell{{Text: "other"}, cell("-0.1", -.1), {Text: ""}}},
	}}
	table.Rows[1].Cells[1].Value = nil
	wide := &webpage.Table{ID: "wide", Caption: "Wide", Head: []string{"method"}, Rows: []webpage.Row{{Cells: []webpage.Cell{{Text: "a"}}}}}
	for range 40 {
		wide.Head = append(wide.Head, "a column of some length")
		wide.Rows[0].Cells = append(wide.Rows[0].Cells, cell("0.12345 [0.1, 0.2]", .1))
	}
	return &webpage.Document{
		Title: "Results <1>", Words: []string{"Words & more."}, Facts: []webpage.Fact{{Name: "Go", Value: "go1"}},
		Chapters: []*webpage.Chapter{
			{ID: "figures", Title: "Figures", Sections: []*webpage.Section{{ID: "f", Title: "F", SVG: svg, Alt: "a figure", Facts: []webpage.Fact{{Name: "command", Value: "go run ./x --set 'a<b'", Code: true}}}}},
			{ID: "tables", Title: "Tables", Wide: true, Sections: []*webpage.Section{{ID: "s", Title: "S", Tables: []*webpage.Table{table, wide}, Details: []webpage.Detail{
				{Title: "Settings", Text: "a: " + strings.Repeat("long ", 200) + "\nb: </pre><script>alert(1)</script>"},
			}}}},
		},
	}
}

func write(t *testing.T, d *webpage.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := d.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The page is XML, its ids are unique, what it links to is there, and it needs nothing else.
func TestPage(t *testing.T) {
	page := write(t, document(t))
	ids, links := map[string]bool{}, []string{}
	d := xml.NewDecoder(strings.NewReader(page))
	scripts := 0
	for {
		x, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, page)
		}
		e, ok := x.(xml.StartElement)
		if !ok {
			continue
		}
		if e.Name.Local == "script" {
			scripts++
		}
		for _, a := range e.Attr {
			switch {
			case a.Name.Local == "id" && ids[a.Value]:
				t.Errorf("two elements have the id %q", a.Value)
			case a.Name.Local == "id":
				ids[a.Value] = true
			case a.Name.Local == "href" || a.Name.Local == "aria-labelledby":
				links = append(links, strings.TrimPrefix(a.Value, "#"))
			case a.Name.Local == "src" || strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Value, "://"):
				t.Errorf("<%s %s=%q>", e.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
	for _, l := range links {
		if !ids[l] {
			t.Errorf("there is nothing with the id %q", l)
		}
	}
	if scripts != 1 {
		t.Errorf("%d scripts", scripts)
	}
	for _, want := range []string{
		"<h1>Results &lt;1&gt;</h1>", `<td data-value="0.9" title="0.9 &amp; more">0.9</td>`, `<tr data-from="a.json#/rows/2"><th scope="row">CKI</th>`,
		`<svg viewBox="0 0 4 2" aria-hidden="true">`, "&lt;/pre&gt;&lt;script&gt;", "<title>a point on it: 1</title>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	if again := write(t, document(t)); again != page {
		t.Error("written again it is another page")
	}
}

func TestBadDocuments(t *testing.T) {
	for want, change := range map[string]func(d *webpage.Document){
		`"s" is no id, or two`:       func(d *webpage.Document) { d.Chapters[0].Sections[0].ID = "s" },
		`"a b" is no id`:             func(d *webpage.Document) { d.Chapters[1].Sections[0].Tables[0].ID = "a b" },
		"table t: a row has 2 cells": func(d *webpage.Document) { r := &d.Chapters[1].Sections[0].Tables[0].Rows[1]; r.Cells = r.Cells[:2] },
		`"" is no id`:                func(d *webpage.Document) { d.Chapters[1].ID = "" },
		"table u: a row has 1 cells, the": func(d *webpage.Document) {
			s := d.Chapters[1].Sections[0]
			s.Details[0].Table = &webpage.Table{ID: "u", Rows: []webpage.Row{{Cells: make([]webpage.Cell, 1)}}}
		},
	} {
		d := document(t)
		change(d)
		var b bytes.Buffer
		if err := d.Write(&b); err == nil || !strings.Contains(err.Error(), want) || b.Len() > 0 {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for want, svg := range map[string]string{
		"no SVG file": "<html/>", "viewBox": strings.Replace(picture, "0 0 4 2", "0 0", 1), `"<script"`: strings.Replace(picture, "</svg>", "<script/></svg>", 1),
		`"href"`: strings.Replace(picture, "<circle", `<circle href="x"`, 1), "handler": strings.Replace(picture, "<circle", `<circle onclick="x"`, 1),
	} {
		if _, err := webpage.Inline([]byte(svg)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if id := webpage.ID("docs/results/table1", "Sheet 0!"); id != "docs-results-table1-sheet-0" {
		t.Error(id)
	}
}
