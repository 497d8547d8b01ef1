// Package webpage writes results as one HTML file that needs nothing else: tables that can be sorted, figures, and what made them.
package webpage

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Document is a page of results.
type Document struct {
	Title    string
	Words    []string // sentences below the title
	Facts    []Fact
	Chapters []*Chapter
}

// Chapter is a part of the page.
type Chapter struct {
	ID, Title string
	Wide      bool // its sections have the page's whole width; else two may stand beside each other
	Sections  []*Section
}

// Section is about one result.
type Section struct {
	ID, Title string
	Words     []string
	SVG       template.HTML // a figure, from [Inline]; may be empty
	Alt       string        // what the figure shows, for those who do not see it
	Tables    []*Table
	Facts     []Fact   // command, machine, digests
	Details   []Detail // folded up
}

// Fact is a name with a value.
type Fact struct {
	Name, Value string
	Code        bool // the value is something to type
}

// Detail is a text, or a table, that is folded up.
type Detail struct {
	Title string
	Text  string // kept as it is
	Table *Table
}

// Table is a table of results.
type Table struct {
	ID      string
	Caption string
	Head    []string
	Rows    []Row
}

// Row is a row of a table.
type Row struct {
	From  string // file#pointer of the stored results that the row shows, as in RFC 6901; several with blanks between them
	Cells []Cell
}

// Cell is one place of a table.
type Cell struct {
	Text  string
	Value *float64 // what the column is sorted by; nil: the text
	Hover string   // more digits, values by seed
	Bold  bool
}

// Number is the value by which a cell is sorted. It is nil, so that the cell stands last, if v is not finite.
func Number(v float64) *float64 {
	if v-v != 0 {
		return nil
	}
	return &v
}

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
		"exact": func(v *float64) string { return strconv.FormatFloat(*v, 'g', -1, 64) },
		"first": func(i int) bool { return i == 0 },
	}).Parse(pageText))
)

// Write writes the page. It is XML, too, so that a parser that is strict can check it. Equal documents give equal bytes.
func (d *Document) Write(w io.Writer) error {
	if err := d.check(); err != nil {
		return err
	}
	err := pageTemplate.Execute(w, struct {
		*Document
		Style  template.CSS
		Script template.JS
	}{d, template.CSS(pageStyle), template.JS(pageScript)}) //nolint:gosec // both are files of this package
	if err != nil {
		return fmt.Errorf("webpage: %w", err)
	}
	return nil
}

// check reports ids that are missing, wrong or given twice, and rows that are longer than the head of their table.
func (d *Document) check() error {
	seen := map[string]bool{}
	id := func(name string) error {
		if name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || seen[name] {
			return fmt.Errorf("webpage: %q is no id, or two things have it", name)
		}
		seen[name] = true
		return nil
	}
	table := func(t *Table) error {
		for _, r := range t.Rows {
			if len(r.Cells) != len(t.Head) {
				return fmt.Errorf("webpage: table %s: a row has %d cells, the head %d", t.ID, len(r.Cells), len(t.Head))
			}
		}
		return id(t.ID)
	}
	for _, c := range d.Chapters {
		if err := id(c.ID); err != nil {
			return err
		}
		for _, s := range c.Sections {
			if err := id(s.ID); err != nil {
				return err
			}
			tables := s.Tables
			for _, x := range s.Details {
				if x.Table != nil {
					tables = append(tables[:len(tables):len(tables)], x.Table)
				}
			}
			for _, t := range tables {
				if err := table(t); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ID turns a name into an id.
func ID(parts ...string) string {
	text := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, strings.Join(parts, "-"))
	for strings.Contains(text, "--") {
		text = strings.ReplaceAll(text, "--", "-")
	}
	return strings.Trim(text, "-")
}

var handler = regexp.MustCompile(`<[^>]*\son[a-zA-Z]+\s*=`)

// Inline returns an SVG file as an element of a page: without prolog, comments and namespaces, and as wide as its place. It fails if the
// file has a script, a link or a style of its own, or no size.
func Inline(svg []byte) (template.HTML, error) {
	text := string(svg)
	from := strings.Index(text, "<svg")
	if from < 0 {
		return "", fmt.Errorf("webpage: this is no SVG file")
	}
	text = text[from:]
	open, rest, _ := strings.Cut(text, ">")
	box := ""
	for field := range strings.FieldsFuncSeq(open, func(r rune) bool { return r == '\n' }) {
		if _, after, ok := strings.Cut(field, `viewBox="`); ok {
			box, _, _ = strings.Cut(after, `"`)
		}
	}
	if len(strings.Fields(box)) != 4 || !strings.Contains(rest, "</svg>") {
		return "", fmt.Errorf("webpage: an SVG file needs a viewBox of 4 numbers and an end")
	}
	for _, bad := range []string{"<script", "<style", "<a ", "href", "<image", "<foreignObject", "url(", "<!--"} {
		if strings.Contains(rest, bad) {
			return "", fmt.Errorf("webpage: an SVG file has %q, which a page does not take", bad)
		}
	}
	if handler.MatchString(rest) {
		return "", fmt.Errorf("webpage: an SVG file has a handler of events, which a page does not take")
	}
	return template.HTML(`<svg viewBox="` + template.HTMLEscapeString(box) + `" aria-hidden="true">` + rest), nil //nolint:gosec // checked above
}
